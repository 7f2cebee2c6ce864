/* Scripts that let shells complete verbs, options and file names, made from the tables of verbs and options. */
#ifndef PF_CLIENT_COMPLETION_H
#define PF_CLIENT_COMPLETION_H

#include "client/verb.h"

/* Errors   UNSUPPORTED: no such shell. */
pf_status pf_completion(pf_call *call, const char *shell, pf_err *err);

#endif
