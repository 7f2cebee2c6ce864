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

/* What users of other tools type first; group: of which verbs, "" of planfarm itself. */
static const struct { const char *group, *theirs, *ours; } elsewhere[] = {
    { "", "ls", "list" },       { "", "ps", "list" },           { "", "jobs", "list" },     { "", "queue", "list" },
    { "", "history", "list" },  { "", "get", "fetch" },         { "", "download", "fetch" },
    { "", "pull", "fetch" },    { "", "describe", "status" },   { "", "show", "status" },
    { "", "log", "logs" },      { "", "tail", "logs JOB -f" },  { "", "output", "logs" },
    { "", "follow", "watch" },  { "", "wait", "watch" },        { "", "attach", "watch" },
    { "", "monitor", "watch" }, { "", "push", "submit" },       { "", "enqueue", "submit" },
    { "", "put", "submit" },    { "", "stats", "agents" },      { "", "nodes", "agents" },
    { "", "delete", "cancel" }, { "", "rm", "cancel" },         { "", "kill", "cancel" },   { "", "stop", "cancel" },
    { "", "del", "cancel" },    { "", "bury", "cancel" },       { "", "abort", "cancel" },
    { "", "retry", "kick" },    { "", "requeue", "kick" },      { "", "resume", "drain AGENT --resume" },
    { "", "cordon", "drain" },  { "", "uncordon", "drain AGENT --resume" },
    { "", "workers", "agents" },    { "", "info", "agents" },   { "", "ping", "agents" },   { "", "gpus", "agents" },
    { "", "start", "up" },      { "", "compile", "build" },     { "", "benchmark", "bench" },
    { "", "diff", "compare" },  { "", "infer", "run" },         { "", "exec", "run" },      { "", "convert", "build" },
    { "", "trtexec", "build" }, { "", "cat", "inspect" },
    { "", "top", "list" },      { "", "query", "list" },        { "", "clone", "fetch" },   { "", "serve", "up" },
    { "", "login", "keys" },    { "", "test", "compare" },
    { "cache", "ls", "stats" },     { "cache", "list", "stats" },       { "cache", "info", "stats" },
    { "cache", "show", "stats" },   { "cache", "save", "export FILE" }, { "cache", "load", "import FILE" },
    { "cache", "fsck", "verify" },  { "cache", "check", "verify" },     { "cache", "help", "--help" },
    { "keys", "ls", "list" },       { "keys", "show", "list" },         { "keys", "add", "new" },
    { "keys", "create", "new" },    { "keys", "generate", "new" },      { "keys", "rm", "revoke" },
    { "keys", "remove", "revoke" }, { "keys", "delete", "revoke" },     { "keys", "help", "--help" },
};

static const char *find_elsewhere(const char *group, const char *name)
{
    for (size_t i = 0; i < sizeof elsewhere / sizeof elsewhere[0]; i++)
        if (strcmp(elsewhere[i].group, group) == 0 && strcmp(elsewhere[i].theirs, name) == 0)
            return elsewhere[i].ours;
    return NULL;
}

pf_status pf_verb_unknown(const pf_verb *verbs, const char *group, const char *name, pf_err *err)
{
    pf_nearest  nearest;
    const char *meant = find_elsewhere(group, name), *blank = group[0] ? " " : "";

    if (name[0] == '-')
        return PF_FAIL(err, PF_USAGE, "a verb comes before %.80s; planfarm help%s%s lists those there are", name,
                       blank, group);
    if (meant)
        return PF_FAIL(err, PF_USAGE, "there is no verb \"%s%s%.80s\"; here it is planfarm %s%s%s", group, blank, name,
                       group, blank, meant);
    pf_nearest_begin(&nearest, name);
    for (const pf_verb *verb = verbs; verb->name; verb++)
        pf_nearest_offer(&nearest, verb->name);
    meant = pf_nearest_end(&nearest);
    if (meant)
        return PF_FAIL(err, PF_USAGE, "there is no verb \"%s%s%.80s\"; did you mean %s?", group, blank, name, meant);
    return PF_FAIL(err, PF_USAGE, "there is no verb \"%s%s%.80s\"; planfarm help%s%s lists those there are", group,
                   blank, name, blank, group);
}
