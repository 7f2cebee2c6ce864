#include "builder-agent/timing_home.h"

#include <limits.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/log.h"
#include "builder-agent/timing_farm.h"
#include "cache/timing_db.h"
#include "cache/trial.h"

struct pf_timing_home {
    pf_timing_db    *db;
    pf_timing_store *store, *farm;      /* farm over store; NULL without one */
    char             kernels[PATH_MAX];
};

pf_status pf_timing_home_open(const char *agent_folder, const char *coordinator, const char *lease_folder,
                              pf_timing_home **out, pf_err *err)
{
    char            folder[PATH_MAX];
    pf_timing_home *home = pf_calloc(1, sizeof *home);
    pf_status       st = PF_OK;

    *out = NULL;
    if (!home)
        return PF_FAIL_MEMORY(err, sizeof *home);
    st = pf_path_join(agent_folder, "timing", folder, sizeof folder, err);
    if (!st)
        st = pf_path_join(folder, "kernels", home->kernels, sizeof home->kernels, err);
    if (!st)
        st = pf_timing_db_open(folder, NULL, &home->db, err);
    if (!st)
        st = pf_timing_db_store(home->db, &home->store, err);
    if (!st && coordinator[0])
        st = pf_timing_farm_store(home->db, home->store, coordinator, lease_folder, &home->farm, err);
    if (!st)
        st = pf_trial_settle(folder, pf_timing_home_store(home), err);
    if (st) {
        pf_timing_home_close(home);
        return st;
    }
    *out = home;
    return PF_OK;
}

bool pf_timing_home_crashed(const char *agent_folder, pid_t pid)
{
    char folder[PATH_MAX];

    return !pf_path_join(agent_folder, "timing", folder, sizeof folder, NULL) && pf_trial_crashed(folder, pid);
}

void pf_timing_home_blame(const char *agent_folder, pid_t pid)
{
    char folder[PATH_MAX];

    if (!pf_path_join(agent_folder, "timing", folder, sizeof folder, NULL) &&
        pf_trial_blame(folder, pid, PF_TIMING_STOOD_STILL_NS))
        pf_log(PF_LOG_WARN, "agent", "stood_still pid=%ld hint=\"the candidate that it tried is left out\"", (long)pid);
}

void pf_timing_home_close(pf_timing_home *home)
{
    if (!home)
        return;
    if (home->farm)
        home->farm->close(home->farm);
    if (home->store)
        home->store->close(home->store);
    pf_timing_db_close(home->db);
    pf_free(home);
}

pf_timing_store *pf_timing_home_store(pf_timing_home *home)
{
    return home->farm ? home->farm : home->store;
}

const char *pf_timing_home_warning(const pf_timing_home *home)
{
    return pf_timing_db_store_warning(home->store);
}

const char *pf_timing_home_kernels(const pf_timing_home *home)
{
    return home->kernels;
}
