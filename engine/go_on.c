#include "engine/go_on.h"

static _Thread_local pf_go_on current;

pf_go_on pf_go_on_set(pf_go_on asked)
{
    pf_go_on before = current;

    current = asked;
    return before;
}

bool pf_go_on_asked(void)
{
    return !current.ask || current.ask(current.user);
}

pf_status pf_go_on_check(pf_err *err)
{
    return pf_go_on_asked() ? PF_OK : PF_FAIL(err, PF_CANCELLED, "the build was cancelled");
}

bool pf_go_on_ended(pf_status status)
{
    return status == PF_CANCELLED || status == PF_NO_SPACE;
}
