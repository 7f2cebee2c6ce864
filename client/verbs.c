#include <string.h>

#include "base/nearest.h"
#include "client/verb.h"

const pf_verb pf_verbs[] = {
#define PF_VERB(name, usage, summary) {#name, usage, summary, &pf_verb_##name},
#include "client/verbs.def"
#undef PF_VERB
    {.name = NULL},
};

const pf_verb pf_cache_verbs[] = {
#define PF_VERB(name, usage, summary) {#name, usage, summary, &pf_verb_cache_##name},
#include "client/cache_verbs.def"
#undef PF_VERB
    {.name = NULL},
};

const pf_verb pf_keys_verbs[] = {
#define PF_VERB(name, usage, summary) {#name, usage, summary, &pf_verb_keys_##name},
#include "client/keys_verbs.def"
#undef PF_VERB
    {.name = NULL},
};

const pf_verb *pf_verb_find(const pf_verb *verbs, const char *name)
{
    for (const pf_verb *verb = verbs; verb->name; verb++)
        if (strcmp(verb->name, name) == 0)
            return verb;
    return NULL;
}

/* What users of other tools type first. */
static const struct { const char *theirs, *ours; } elsewhere[] = {
    { "ls", "list" },       { "ps", "list" },           { "jobs", "list" },     { "queue", "list" },
    { "history", "list" },  { "get", "fetch" },         { "download", "fetch" },{ "pull", "fetch" },
    { "describe", "status" }, { "show", "status" },
    { "log", "logs" },      { "tail", "logs JOB -f" },  { "output", "logs" },
    { "follow", "watch" },  { "wait", "watch" },        { "attach", "watch" },
    { "delete", "cancel" }, { "rm", "cancel" },         { "kill", "cancel" },   { "stop", "cancel" },
    { "abort", "cancel" },  { "retry", "kick" },        { "requeue", "kick" },
    { "resume", "drain AGENT --resume" },   { "cordon", "drain" },  { "uncordon", "drain AGENT --resume" },
    { "nodes", "agents" },  { "workers", "agents" },    { "info", "agents" },   { "ping", "agents" },
    { "gpus", "agents" },
    { "start", "up" },      { "compile", "build" },     { "benchmark", "bench" },   { "diff", "compare" },
};

static const char *find_elsewhere(const char *name)
{
    for (size_t i = 0; i < sizeof elsewhere / sizeof elsewhere[0]; i++)
        if (strcmp(elsewhere[i].theirs, name) == 0)
            return elsewhere[i].ours;
    return NULL;
}

pf_status pf_verb_unknown(const pf_verb *verbs, const char *name, pf_err *err)
{
    pf_nearest  nearest;
    const char *meant = verbs == pf_verbs ? find_elsewhere(name) : NULL;

    if (meant)
        return PF_FAIL(err, PF_USAGE, "there is no verb \"%.80s\"; here it is planfarm %s", name, meant);
    pf_nearest_begin(&nearest, name);
    for (const pf_verb *verb = verbs; verb->name; verb++)
        pf_nearest_offer(&nearest, verb->name);
    meant = pf_nearest_end(&nearest);
    if (meant)
        return PF_FAIL(err, PF_USAGE, "there is no verb \"%.80s\"; did you mean %s?", name, meant);
    return PF_FAIL(err, PF_USAGE, "there is no verb \"%.80s\"; planfarm help lists those there are", name);
}
