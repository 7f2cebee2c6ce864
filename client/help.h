/* Help, made from the tables of verbs, options and statuses. */
#ifndef PF_CLIENT_HELP_H
#define PF_CLIENT_HELP_H

#include "client/verb.h"

pf_status pf_help_overview(pf_call *call, pf_err *err);
/* path: "build", "cache export" */
pf_status pf_help_verb(pf_call *call, const pf_verb *verb, const char *path, pf_err *err);
pf_status pf_help_exit_codes(pf_call *call, pf_err *err);

#endif
