/* A verb of the command line: a row of verbs.def (or cache_verbs.def, keys_verbs.def), and in verb_<name>.c its
   options, its text and what it does. */
#ifndef PF_CLIENT_VERB_H
#define PF_CLIENT_VERB_H

#include <jansson.h>

#include "client/options.h"

/* One run of a verb. */
typedef struct pf_call {
    const pf_args *args;
    bool           json, verbose;
    json_t        *result;  /* the object that --json prints; a verb adds its members to it, whether asked for or not */
} pf_call;

/* What a verb's file defines as pf_verb_<name>. */
typedef struct pf_verb_body {
    const pf_option *options;   /* besides pf_common_options; NULL: none */
    const char      *details;   /* paragraphs and examples for help; NULL: none */
    /* Results for people go through pf_say, for programs into call->result.  The caller prints errors. */
    pf_status      (*run)(pf_call *call, pf_err *err);
    const struct pf_verb *verbs;        /* instead of run: verbs of its own, up to a name NULL */
} pf_verb_body;

typedef struct pf_verb {
    const char         *name, *usage, *summary;
    const pf_verb_body *body;
} pf_verb;

extern const pf_verb pf_verbs[];        /* ends with name NULL */
extern const pf_verb pf_cache_verbs[], pf_keys_verbs[];

#define PF_VERB(name, usage, summary) extern const pf_verb_body pf_verb_##name;
#include "client/verbs.def"
#undef PF_VERB
#define PF_VERB(name, usage, summary) extern const pf_verb_body pf_verb_cache_##name;
#include "client/cache_verbs.def"
#undef PF_VERB
#define PF_VERB(name, usage, summary) extern const pf_verb_body pf_verb_keys_##name;
#include "client/keys_verbs.def"
#undef PF_VERB

const pf_verb *pf_verb_find(const pf_verb *verbs, const char *name);    /* NULL when there is none */
/* "there is no verb X; did you mean Y?" */
pf_status      pf_verb_unknown(const pf_verb *verbs, const char *group, const char *name, pf_err *err);

/* Runs a command line and answers the exit code; argv as main got it. */
int pf_client_main(int argc, char **argv);

#endif
