/* What is in a plan. */
#ifndef PF_CLIENT_PLAN_REPORT_H
#define PF_CLIENT_PLAN_REPORT_H

#include "client/verb.h"

/* Reads the options "layers" and "rules" of the call. */
pf_status pf_plan_report(pf_call *call, const char *path, pf_err *err);

#endif
