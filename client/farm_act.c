#include "client/farm_act.h"

pf_status pf_farm_act_run(pf_call *call, pf_farm_act *act, pf_err *err)
{
    pf_farm_names names = {0};
    pf_farm       farm = {0};
    pf_status     status = pf_farm_names_parse(call->args, &names, err);

    if (!status)
        status = pf_farm_open(call, NULL, &farm, err);
    if (!status)
        status = act(&farm, call, &names, err);
    pf_farm_close(&farm);
    pf_farm_names_clear(&names);
    return status;
}
