/* What is in an ONNX model. */
#ifndef PF_CLIENT_MODEL_REPORT_H
#define PF_CLIENT_MODEL_REPORT_H

#include "client/verb.h"

/* Reads the options of client/verb_inspect.c. */
pf_status pf_model_report(pf_call *call, const char *path, pf_err *err);

#endif
