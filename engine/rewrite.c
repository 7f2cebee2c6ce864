#include "engine/rewrite.h"

#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "engine/graph_private.h"

#define PF_RULE(name) extern const pf_rule pf_rule_##name;
#include "engine/rules.def"
#undef PF_RULE

static const pf_rule *const rules[] = {
#define PF_RULE(name) &pf_rule_##name,
#include "engine/rules.def"
#undef PF_RULE
};

enum {
    RULE_COUNT = sizeof rules / sizeof rules[0],
    SWEEP_LIMIT = 1000,         /* of one phase: far more than rules that end can need */
    BODY_DEPTH_LIMIT = 16,
    REPORT_LIMIT_BYTES = 1 << 20,
    NAME_LIMIT_BYTES = 200,
};

struct pf_rewrite {
    pf_graph *graph;
    bool      on[RULE_COUNT];
    uint32_t  counts[RULE_COUNT];
    bool      fired[RULE_COUNT];        /* in this sweep */
    uint32_t  stopped;
    pf_buf    nodes[RULE_COUNT];
    bool      verify_each;
    int       depth;
    pf_err   *err;
};

const pf_rule *const *pf_rules(uint32_t *count)
{
    *count = RULE_COUNT;
    return rules;
}

static uint32_t rule_index(const char *name, size_t length)
{
    for (uint32_t i = 0; i < RULE_COUNT; i++)
        if (strlen(rules[i]->name) == length && !strncmp(rules[i]->name, name, length))
            return i;
    return UINT32_MAX;
}

const pf_rule *pf_rule_find(const char *name)
{
    uint32_t index = rule_index(name, strlen(name));

    return index == UINT32_MAX ? NULL : rules[index];
}

bool pf_rule_is_on(const pf_rule *rule, const char *disabled)
{
    size_t length = 0;

    for (const char *at = disabled; at && *at; at += length + (at[length] == ',')) {
        length = strcspn(at, ",");
        if ((length == 3 && !strncmp(at, "all", 3)) ||
            (length == strlen(rule->name) && !strncmp(at, rule->name, length)))
            return false;
    }
    return rule->default_on;
}

static pf_status refuse_name(const char *name, size_t length, pf_err *err)
{
    pf_buf known;

    pf_buf_init(&known, 4096);
    for (uint32_t i = 0; i < RULE_COUNT; i++)
        pf_buf_printf(&known, "%s%s", i ? ", " : "", rules[i]->name);
    (void)PF_FAIL(err, PF_USAGE, "there is no rewrite rule \"%.*s\"; there are %s", (int)length, name,
                  known.data ? (char *)known.data : "");
    pf_buf_clear(&known);
    return PF_USAGE;
}

/* Sets on[] for each name of a list. */
static pf_status switch_rules(pf_rewrite *r, const char *list, bool on)
{
    while (list && *list) {
        size_t   length = strcspn(list, ",");
        uint32_t index = rule_index(list, length);

        if (length == 3 && !strncmp(list, "all", 3))
            memset(r->on, on, sizeof r->on);
        else if (index != UINT32_MAX)
            r->on[index] = on;
        else if (length)
            return refuse_name(list, length, r->err);
        list += length + (list[length] == ',');
    }
    return PF_OK;
}

static pf_status choose_rules(pf_rewrite *r, const pf_rewrite_options *options)
{
    pf_status st = PF_OK;

    for (uint32_t i = 0; i < RULE_COUNT; i++)
        r->on[i] = rules[i]->default_on && !(options && options->only);
    if (options)
        st = switch_rules(r, options->only, true);
    if (!st && options)
        st = switch_rules(r, options->disabled, false);
    return st;
}

static pf_status note_fired(pf_rewrite *r, uint32_t rule, const char *node)
{
    r->counts[rule]++;
    r->fired[rule] = true;
    if (r->nodes[rule].size < REPORT_LIMIT_BYTES)
        pf_buf_printf(&r->nodes[rule], "%s%s", r->counts[rule] > 1 ? ", " : "", node);
    pf_log(PF_LOG_DEBUG, "rewrite", "fired rule=%s node=\"%s\"", rules[rule]->name, node);
    if (!r->verify_each)
        return PF_OK;
    pf_status st = pf_graph_infer(r->graph, r->err);

    if (!st)
        st = pf_graph_verify(r->graph, r->err);
    return st ? pf_err_add(r->err, st, "after rule %s at \"%s\"", rules[rule]->name, node) : PF_OK;
}

/* What nobody uses is for drop_dead alone; it stays when it finds out a size that is needed. */
static bool is_used(const pf_graph *graph, const pf_node *node)
{
    for (uint32_t i = 0; i < node->out_count; i++)
        if (pf_graph_use_count(graph, node->out[i]))
            return true;
    return false;
}

static pf_status visit(pf_rewrite *r, pf_node_id node, uint32_t phase, bool *any)
{
    for (uint32_t i = 0; i < RULE_COUNT && r->graph->nodes[node].live; i++) {
        const char *name = r->graph->nodes[node].name;
        bool        changed = false;
        pf_status   st = PF_OK;

        if (!r->on[i] || rules[i]->phase > phase ||
            (rules[i] != &pf_rule_drop_dead && !is_used(r->graph, &r->graph->nodes[node])))
            continue;
        st = rules[i]->apply(r, node, &changed, r->err);
        if (st)
            return pf_err_add(r->err, st, "rule %s at \"%s\"", rules[i]->name, name);
        *any |= changed;
        st = changed ? note_fired(r, i, name) : PF_OK;
        if (st)
            return st;
    }
    return PF_OK;
}

static pf_status sweep(pf_rewrite *r, uint32_t phase, bool *any)
{
    pf_node_id *order = NULL;
    uint32_t    count = 0;
    pf_status   st = pf_graph_order(r->graph, &order, &count, r->err);

    *any = false;
    memset(r->fired, 0, sizeof r->fired);
    for (uint32_t i = 0; i < count && !st; i++)
        st = visit(r, order[i], phase, any);
    pf_free(order);
    return st || !*any ? st : pf_graph_infer(r->graph, r->err);
}

/* The graph is right as it is, and rules that undo each other are no reason to refuse it. */
static void stop_those_that_fired(pf_rewrite *r)
{
    for (uint32_t i = 0; i < RULE_COUNT; i++) {
        if (!r->fired[i])
            continue;
        r->on[i] = false;
        r->stopped++;
        pf_log(PF_LOG_WARN, "rewrite", "stopped rule=%s reason=\"no end after %d sweeps\"", rules[i]->name,
               SWEEP_LIMIT);
    }
}

static pf_status run_phase(pf_rewrite *r, uint32_t phase)
{
    bool      any = true;
    pf_status st = PF_OK;

    for (uint32_t i = 1; any && !st; i++) {
        st = sweep(r, phase, &any);
        if (any && !st && i % SWEEP_LIMIT == 0)
            stop_those_that_fired(r);
    }
    return st ? st : pf_graph_verify(r->graph, r->err);
}

static pf_status run_graph(pf_rewrite *r, pf_graph *graph);

static pf_status run_bodies(pf_rewrite *r, pf_graph *graph)
{
    bool      any = false;
    pf_status st = PF_OK;

    for (pf_node_id id = 0; id < graph->node_count && !st; id++) {
        const pf_node *node = &graph->nodes[id];
        pf_graph      *bodies[GRAPH_BODY_LIMIT] = { NULL };
        uint32_t       count = node->live && node->attrs ? graph_bodies(pf_op_def_of(node->op), node->attrs, bodies)
                                                         : 0;

        for (uint32_t i = 0; i < count && !st; i++) {
            any = true;
            st = bodies[i] ? run_graph(r, bodies[i]) : PF_OK;
        }
    }
    /* what is known of a body's results may have become more */
    return st || !any ? st : pf_graph_infer(graph, r->err);
}

static pf_status run_graph(pf_rewrite *r, pf_graph *graph)
{
    pf_status st = PF_OK;

    if (++r->depth > BODY_DEPTH_LIMIT)
        return PF_FAIL(r->err, PF_UNSUPPORTED, "control flow is nested deeper than %d", BODY_DEPTH_LIMIT);
    st = run_bodies(r, graph);
    r->graph = graph;
    for (uint32_t phase = 0; phase < PF_RULES_PHASES && !st; phase++)
        st = run_phase(r, phase);
    r->depth--;
    return st;
}

static pf_status fill_report(pf_rewrite *r, pf_rewrite_report *report)
{
    report->uses = pf_calloc(RULE_COUNT, sizeof *report->uses);
    if (!report->uses)
        return PF_FAIL_MEMORY(r->err, RULE_COUNT * sizeof *report->uses);
    report->count = RULE_COUNT;
    report->stopped = r->stopped;
    for (uint32_t i = 0; i < RULE_COUNT; i++) {
        size_t bytes = 0;

        report->uses[i].rule = rules[i];
        report->uses[i].count = r->counts[i];
        pf_buf_put_u8(&r->nodes[i], 0);
        report->uses[i].nodes = (char *)pf_buf_take(&r->nodes[i], &bytes);
        if (!report->uses[i].nodes)
            return PF_FAIL_MEMORY(r->err, 1);
    }
    return PF_OK;
}

pf_status pf_rewrite_run(pf_graph *graph, const pf_rewrite_options *options, pf_rewrite_report *report, pf_err *err)
{
    pf_rewrite *r = pf_calloc(1, sizeof *r);
    pf_status   st = PF_OK, reported = PF_OK;

    if (report)
        memset(report, 0, sizeof *report);
    if (!r)
        return PF_FAIL_MEMORY(err, sizeof *r);
    r->err = err;
    r->verify_each = pf_log_wanted(PF_LOG_DEBUG, "rewrite");
    for (uint32_t i = 0; i < RULE_COUNT; i++)
        pf_buf_init(&r->nodes[i], REPORT_LIMIT_BYTES * 2);
    st = choose_rules(r, options);
    if (!st)
        st = run_graph(r, graph);
    if (report)
        reported = fill_report(r, report);
    for (uint32_t i = 0; i < RULE_COUNT; i++)
        pf_buf_clear(&r->nodes[i]);
    pf_free(r);
    return st ? st : reported;
}

void pf_rewrite_report_clear(pf_rewrite_report *report)
{
    for (uint32_t i = 0; i < report->count; i++)
        pf_free(report->uses[i].nodes);
    pf_free(report->uses);
    memset(report, 0, sizeof *report);
}

void pf_rewrite_report_print(const pf_rewrite_report *report, bool with_nodes, pf_buf *out)
{
    for (uint32_t i = 0; i < report->count; i++) {
        const pf_rule_use *use = &report->uses[i];

        if (!use->count)
            continue;
        pf_buf_printf(out, "%s %u", use->rule->name, use->count);
        if (with_nodes && use->nodes)
            pf_buf_printf(out, ": %s", use->nodes);
        pf_buf_put_u8(out, '\n');
    }
}

pf_graph *pf_rewrite_graph(pf_rewrite *rewrite) { return rewrite->graph; }

/* Whether `to` may stand where a graph output stood. */
static bool may_be_output(const pf_graph *graph, pf_value_id to)
{
    return !graph->values[to].is_input && !graph->values[to].is_constant && !pf_graph_is_output(graph, to);
}

static pf_status learn_size(pf_graph *graph, pf_dim from, pf_dim to, uint32_t symbol, pf_err *err)
{
    if (from == to || to == PF_DIM_INVALID ||
        from != pf_dims_symbol(graph->dims, pf_dims_symbol_name(graph->dims, symbol)) ||
        pf_dim_uses(graph->dims, to, symbol))
        return PF_OK;
    return pf_graph_substitute(graph, symbol, to, err);
}

/* Sizes that the old node was to find out and that the new value knows, or finds out under another name. */
static pf_status learn_sizes(pf_graph *graph, pf_node_id node, pf_value_id from, pf_value_id to, pf_err *err)
{
    uint32_t        count = 0;
    const uint32_t *symbols = pf_graph_sizes_of(graph, node, &count);
    pf_status       st = PF_OK;

    for (uint32_t i = 0; i < count && !st; i++) {
        const pf_value *a = &graph->values[from], *b = &graph->values[to];

        for (int32_t d = 0; d < a->shape.rank && a->shape.rank == b->shape.rank && !st; d++)
            st = learn_size(graph, a->shape.dim[d], b->shape.dim[d], symbols[i], err);
        for (uint32_t c = 0; c < a->content_count && a->content_count == b->content_count && !st; c++)
            st = learn_size(graph, a->content[c], b->content[c], symbols[i], err);
    }
    return st;
}

pf_status pf_rewrite_replace(pf_rewrite *rewrite, pf_node_id node, uint32_t slot, pf_value_id value, bool *changed,
                             pf_err *err)
{
    pf_graph   *graph = rewrite->graph;
    pf_value_id from = graph->nodes[node].out[slot], to = value;
    pf_status   st = PF_OK;

    if (pf_graph_is_output(graph, from) && !may_be_output(graph, value)) {
        if (graph->nodes[node].op == PF_OP_IDENTITY)
            return PF_OK;
        st = pf_graph_add_node(graph, PF_OP_IDENTITY, graph->nodes[node].name, &value, 1, NULL, 1, &to, err);
    }
    if (!st)
        st = learn_sizes(graph, node, from, value, err);
    if (!st)
        st = pf_graph_replace(graph, from, to, err);
    if (st)
        return st;
    *changed = true;
    pf_graph_remove_node(graph, node);
    return PF_OK;
}

pf_status pf_rewrite_by_op(pf_rewrite *rewrite, pf_node_id id, const pf_rewrite_row *rows, size_t row_count,
                           bool *changed, pf_err *err)
{
    pf_graph   *graph = pf_rewrite_graph(rewrite);
    pf_node     node = graph->nodes[id];
    pf_value_id out = PF_NONE;
    pf_status   st = PF_OK;

    for (size_t i = 0; i < row_count && !st; i++)
        if (rows[i].op == node.op)
            st = rows[i].make(graph, &node, &out, err);
    return st || out == PF_NONE ? st : pf_rewrite_replace(rewrite, id, 0, out, changed, err);
}

void pf_rewrite_discard(pf_rewrite *rewrite, pf_node_id first)
{
    for (pf_node_id id = rewrite->graph->node_count; id-- > first;)
        pf_graph_remove_node(rewrite->graph, id);
}

pf_node_id pf_rewrite_maker(const pf_graph *graph, pf_value_id value, pf_op_kind op)
{
    pf_node_id node = value == PF_NONE ? PF_NONE : graph->values[value].producer;

    return node != PF_NONE && graph->nodes[node].op == op ? node : PF_NONE;
}

bool pf_rewrite_used_once(const pf_graph *graph, pf_value_id value)
{
    return pf_graph_use_count(graph, value) == 1 && pf_graph_use(graph, value, 0).node != PF_NONE;
}

/* Is b one of the names that a was joined from? */
static bool holds_name(const char *a, const char *b)
{
    size_t length = strlen(b);

    for (const char *at = strstr(a, b); at && length; at = strstr(at + 1, b))
        if ((at == a || at[-1] == '+') && (!at[length] || at[length] == '+'))
            return true;
    return length == 0;
}

const char *pf_rewrite_joined_name(pf_graph *graph, const char *a, const char *b)
{
    pf_buf name;
    char  *copy = NULL;

    if (holds_name(a, b))
        return a;
    if (holds_name(b, a))
        return b;
    pf_buf_init(&name, 4 * NAME_LIMIT_BYTES);
    pf_buf_printf(&name, "%.*s%s%.*s", NAME_LIMIT_BYTES, a, *a && *b ? "+" : "", NAME_LIMIT_BYTES, b);
    copy = name.data ? pf_arena_strdup(graph->arena, (const char *)name.data) : NULL;
    pf_buf_clear(&name);
    return copy;
}
