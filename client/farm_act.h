/* Verbs that name jobs and do one thing about them at the farm. */
#ifndef PF_CLIENT_FARM_ACT_H
#define PF_CLIENT_FARM_ACT_H

#include "client/farm.h"
#include "client/farm_names.h"

typedef pf_status pf_farm_act(pf_farm *farm, pf_call *call, const pf_farm_names *names, pf_err *err);

/* Reads the names that the call was given and calls act with them at the farm. */
pf_status pf_farm_act_run(pf_call *call, pf_farm_act *act, pf_err *err);

#endif
