/* Rewriting: rules that replace nodes by others that compute the same, applied until none applies.
   1. Rules run in phases.  In a phase every rule of this and of earlier phases looks at every live node, producers
      first, again and again until a whole sweep changes nothing.
   2. Which rules apply, and in which order, depends on the graph and on the list of rules alone: the same graph gives
      the same result.
   3. After a sweep that changed something all types are inferred again; after a phase the graph is verified (with
      PF_LOG=rewrite:debug after each rule that fired).
   4. A rule keeps what the graph computes, up to the rounding of constants that were computed in double and rounded
      once.
   5. Bodies of control flow are rewritten before the graph that holds them. */
#ifndef PF_ENGINE_REWRITE_H
#define PF_ENGINE_REWRITE_H

#include "engine/op.h"

typedef struct pf_rewrite pf_rewrite;

enum {                          /* pf_rule.phase */
    PF_RULES_CLEAN,             /* less of the same: constants folded, nothing done twice or for nothing */
    PF_RULES_WEIGHTS,           /* arithmetic moved into weights; one form for each linear op */
    PF_RULES_PATTERN,           /* networks' ways of writing an op that is one here */
    PF_RULES_MERGE,             /* neighbours joined */
    PF_RULES_PHASES,
    /* no rewriting: a choice of the builder's, which may be switched off as rules are; apply is NULL */
    PF_RULES_BUILD = PF_RULES_PHASES,
};

enum { PF_RULE_LOSES_SELDOM = 1, PF_RULE_LOSES_OFTEN };     /* often: it is left out where nothing is timed */

typedef struct pf_rule {
    const char *name;           /* in build specs and plans: never renamed, never reused */
    const char *summary;        /* one line for people */
    uint32_t    phase;
    bool        default_on;
    uint32_t    may_lose;       /* PF_RULE_*: what it makes may be slower on some device, so a build times the network
                                   with and without it */
    /* Looks at one live node and may change the graph round it. *changed is false on entry and says whether it did: a
       rule that says so again and again for ever is a defect, and is switched off after many sweeps.  Errors end the
       rewriting; a node that the rule is not for is not an error. */
    pf_status (*apply)(pf_rewrite *rewrite, pf_node_id node, bool *changed, pf_err *err);
} pf_rule;

/* All rules in the order of rules.def; *count of them. */
const pf_rule *const *pf_rules(uint32_t *count);
const pf_rule *pf_rule_find(const char *name);          /* NULL when there is none */
/* disabled: as in pf_rewrite_options. */
bool           pf_rule_is_on(const pf_rule *rule, const char *disabled);

/* How often a rule fired, and where: node names joined by ", " ("" where a model has none). */
typedef struct pf_rule_use { const pf_rule *rule; uint32_t count; char *nodes; } pf_rule_use;
typedef struct pf_rewrite_report {
    pf_rule_use *uses;          /* one per rule, in the order of rules.def */
    uint32_t     count;
    uint32_t     stopped;       /* rules that fired again and again and were switched off: 0 unless there is a defect in
                                   one */
} pf_rewrite_report;
void pf_rewrite_report_clear(pf_rewrite_report *report);
/* "fold_batchnorm 53" a line, for the rules that fired; with_nodes: and where. */
void pf_rewrite_report_print(const pf_rewrite_report *report, bool with_nodes, pf_buf *out);

typedef struct pf_rewrite_options {
    const char *disabled;       /* comma-separated names of rules that are off; NULL: none. "all": every one */
    const char *only;  /* comma-separated names of the only rules that are on; NULL: those that are on by default */
} pf_rewrite_options;

/* Rewrites the graph in place. options and report may be NULL; the report is filled (and to be cleared) even on
   failure.
   Errors   USAGE: no such rule (the message lists what there is); INTERNAL: a rule broke the graph. */
pf_status pf_rewrite_run(pf_graph *graph, const pf_rewrite_options *options, pf_rewrite_report *report, pf_err *err);

/* For rules. */
pf_graph  *pf_rewrite_graph(pf_rewrite *rewrite);
/* Output `slot` of node is what `value` is from now on, and the node goes when nothing else of it is used.  A graph
   output never becomes an input, a constant or another graph output: then an identity stands in between, or, when the
   node is one, *changed stays false. */
pf_status  pf_rewrite_replace(pf_rewrite *rewrite, pf_node_id node, uint32_t slot, pf_value_id value, bool *changed,
                              pf_err *err);
/* How a rule makes anew what nodes of one op compute.  node is a copy, since adding nodes moves them; *out stays
   PF_NONE where the rule is not for it. */
typedef struct pf_rewrite_row {
    pf_op_kind op;
    pf_status (*make)(pf_graph *graph, const pf_node *node, pf_value_id *out, pf_err *err);
} pf_rewrite_row;
/* Replaces the node's first output by what the row of its op makes, if one has it. */
pf_status  pf_rewrite_by_op(pf_rewrite *rewrite, pf_node_id node, const pf_rewrite_row *rows, size_t row_count,
                            bool *changed, pf_err *err);
/* Removes the nodes from `first` on that nobody uses: what a rule made before it saw that it does not apply. */
void       pf_rewrite_discard(pf_rewrite *rewrite, pf_node_id first);
/* The node that makes value when it is of that op, else PF_NONE. */
pf_node_id pf_rewrite_maker(const pf_graph *graph, pf_value_id value, pf_op_kind op);
/* Used by one input slot and no graph output. */
bool       pf_rewrite_used_once(const pf_graph *graph, pf_value_id value);
/* "a+b" in the graph's arena; what is too long is cut. NULL when out of memory. */
const char *pf_rewrite_joined_name(pf_graph *graph, const char *a, const char *b);

#endif
