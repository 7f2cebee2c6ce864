/* The assignment of layouts as a PBQP, and the copies that follow from its solution. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/formats.h"
#include "engine/pbqp.h"

enum { SETS = 1 << PF_FORMAT_STATES };

#define REFUSED (PF_NONE - 1)
#define UNTIMED (PF_NONE - 2)
enum { ROUNDS_MAX = 16 };        /* of choosing and timing, before every copy is timed */
#define CPU_COPY_FACTOR 3      /* 2 to 6 times on seven networks, two threads: docs/TIMING.md */

typedef struct reader { uint32_t unit, slot; } reader;     /* unit PF_NONE: the world outside, or the tail */

/* A value between units. */
typedef struct flow {
    uint32_t producer, slot;        /* unit and its output; producer PF_NONE: a graph input */
    reader  *readers;               /* owned */
    uint32_t reader_count, reader_capacity;
    /* search item of the copy from one layout to another; PF_NONE: not needed, REFUSED: not made, UNTIMED: not yet
       asked for */
    uint32_t item[PF_FORMAT_STATES][PF_FORMAT_STATES];
    uint32_t *sets;                 /* owned; layouts that it may be kept in, as bits; only with several readers */
    uint32_t set_count, set_node;
    double   bytes;                 /* of the value, at the usual sizes */
} flow;

typedef struct assigning {
    pf_formats *f;
    flow       *flows;              /* by value of the graph; those without readers are not used */
    pf_pbqp    *pbqp;
    uint32_t   *unit_node;          /* unit -> node of the pbqp */
    uint32_t    outside;            /* node of the world outside: one state, LINEAR */
    uint32_t   *states;
    bool        places;             /* values may lie in their places in wider ones */
    double      least_ns, ns_per_byte;      /* of any step that was timed, and of what it writes */
} assigning;

/* ---- Who produces and who reads */

static pf_status add_reader(flow *to, uint32_t unit, uint32_t slot, pf_err *err)
{
    if (pf_grow((void **)&to->readers, &to->reader_capacity, to->reader_count + 1, sizeof *to->readers))
        return PF_FAIL_MEMORY(err, (to->reader_count + 1) * sizeof *to->readers);
    to->readers[to->reader_count++] = (reader){ unit, slot };
    return PF_OK;
}

static bool is_laid_out(const pf_formats *f, pf_value_id value)
{
    return value != PF_NONE && !f->graph->values[value].is_constant;
}

static bool is_copied_out(const pf_formats *f, uint32_t leaving)
{
    for (uint32_t u = 0; u < f->unit_count; u++)
        if (f->units[u].output == leaving)
            return true;
    return false;
}

static pf_status find_flows(assigning *a, pf_err *err)
{
    pf_formats *f = a->f;
    pf_status   st = PF_OK;

    for (uint32_t v = 0; v < f->graph->value_count; v++) {
        a->flows[v].producer = PF_NONE;
        memset(a->flows[v].item, 0xff, sizeof a->flows[v].item);
    }
    for (uint32_t u = 0; u < f->unit_count && !st; u++) {
        for (uint32_t i = 0; i < f->units[u].out_count; i++)
            if (f->units[u].out[i] != PF_NONE) {
                a->flows[f->units[u].out[i]].producer = u;
                a->flows[f->units[u].out[i]].slot = i;
            }
        for (uint32_t i = 0; i < f->units[u].in_count && !st; i++)
            if (is_laid_out(f, f->units[u].in[i]))
                st = add_reader(&a->flows[f->units[u].in[i]], u, i, err);
    }
    for (uint32_t i = 0; i < f->tail->leaving_count && !st; i++)
        if (!is_copied_out(f, i) && is_laid_out(f, f->tail->leaving[i].value))
            st = add_reader(&a->flows[f->tail->leaving[i].value], PF_NONE, i, err);
    return st;
}

/* ---- Layouts at the ends of a flow */

static uint32_t producer_states(const assigning *a, const flow *fl)
{
    return fl->producer == PF_NONE ? 1 : a->f->units[fl->producer].option_count;
}

static pf_layout produced(const assigning *a, const flow *fl, uint32_t state)
{
    return fl->producer == PF_NONE ? PF_LAYOUT_LINEAR : a->f->units[fl->producer].options[state].out[fl->slot];
}

static uint32_t reader_states(const assigning *a, const reader *r)
{
    return r->unit == PF_NONE ? 1 : a->f->units[r->unit].option_count;
}

static pf_layout wanted(const assigning *a, const reader *r, uint32_t state)
{
    return r->unit == PF_NONE ? PF_LAYOUT_LINEAR : a->f->units[r->unit].options[state].in[r->slot];
}

static uint32_t produced_set(const assigning *a, const flow *fl)
{
    uint32_t set = 0;

    for (uint32_t s = 0; s < producer_states(a, fl); s++)
        set |= 1u << pf_format_state(produced(a, fl, s));
    return set;
}

static uint32_t wanted_set(const assigning *a, const flow *fl)
{
    uint32_t set = 0;

    for (uint32_t r = 0; r < fl->reader_count; r++)
        for (uint32_t s = 0; s < reader_states(a, &fl->readers[r]); s++)
            set |= 1u << pf_format_state(wanted(a, &fl->readers[r], s));
    return set;
}

/* ---- What copies cost */

static pf_layout layout_of(const assigning *a, pf_value_id v, uint32_t state)
{
    return state < PF_LAYOUT_COUNT ? (pf_layout)state
                                   : pf_layout_pitched((pf_layout)(state - PF_LAYOUT_COUNT), a->f->pitch[v]);
}

static pf_status add_copy_item(assigning *a, pf_value_id v, pf_layout from, pf_layout to, pf_err *err)
{
    uint32_t       *item = &a->flows[v].item[pf_format_state(from)][pf_format_state(to)];
    pf_formats     *f = a->f;
    const pf_value *value = pf_graph_value(f->graph, v);
    pf_problem     *symbolic = NULL, *bound = NULL;
    pf_status       st = pf_problem_reformat(f->graph->dims, value->dtype, &value->shape, from, to, &symbolic, err);

    if (!st)
        st = pf_problem_bind(symbolic, f->graph->dims, f->profile->usual, &bound, err);
    if (!st)
        st = pf_search_add(f->search, bound, value->name && value->name[0] ? value->name : "reformat", item, err);
    pf_problem_free(symbolic);
    return st;
}

/* Into its place, and out of it, a value goes in one kind of layout: other ways have two steps and are rarely worth
   timing. */
static bool is_offered(const pf_formats *f, pf_layout from, pf_layout to)
{
    return pf_layout_pitch(from) == pf_layout_pitch(to) ||
           (pf_layout_kind(from) == pf_layout_kind(to) && pf_formats_copies_to_places(f));
}

bool pf_formats_copies_to_places(const pf_formats *formats)
{
    return formats->search->device->kind == PF_DEVICE_CPU;
}

/* bindings: of the graph's symbols; NULL where it has none. */
static double bytes_of(const pf_graph *graph, pf_value_id v, const int64_t *bindings)
{
    const pf_value *value = pf_graph_value(graph, v);
    double          bytes = pf_dtype_bits(value->dtype) / 8.0;

    for (int32_t d = 0; d < value->shape.rank; d++) {
        int64_t extent = 0;

        if (pf_dim_eval(graph->dims, value->shape.dim[d], bindings, &extent, NULL))
            return 0;
        bytes *= (double)extent;
    }
    return bytes;
}

static void find_copies_of(assigning *a, pf_value_id v)
{
    flow           *fl = &a->flows[v];
    const pf_shape *shape = &a->f->graph->values[v].shape;
    uint32_t        made = fl->reader_count ? produced_set(a, fl) : 0, read = fl->reader_count ? wanted_set(a, fl) : 0;

    for (uint32_t x = 0; x < PF_FORMAT_STATES; x++)
        for (uint32_t y = 0; y < PF_FORMAT_STATES; y++) {
            pf_layout from = layout_of(a, v, x), to = layout_of(a, v, y);

            if ((made & 1u << x) && (read & 1u << y) && !pf_layout_same_bytes(from, to, shape))
                fl->item[x][y] = is_offered(a->f, from, to) ? UNTIMED : REFUSED;
        }
    fl->bytes = bytes_of(a->f->graph, v, a->f->profile->usual);
}

static void find_copies(assigning *a)
{
    for (uint32_t v = 0; v < a->f->graph->value_count; v++)
        find_copies_of(a, v);
}

static double written_bytes(const pf_graph *graph)
{
    double bytes = 0;

    for (uint32_t i = 0; i < graph->output_count; i++)
        bytes += bytes_of(graph, graph->outputs[i], NULL);
    return bytes;
}

/* Of thousands of copies that might be, an assignment holds a few.  Before one is timed it is taken to cost as much as
   the quickest step that was, and to write as fast as the one that writes fastest: less than it will. */
static void find_quickest(assigning *a)
{
    const pf_search *search = a->f->search;

    a->least_ns = a->ns_per_byte = INFINITY;
    for (uint32_t i = 0; i < search->count; i++) {
        double ns = pf_search_cost(search, i), bytes = written_bytes(search->items[i].problem->graph);

        a->least_ns = fmin(a->least_ns, ns);
        if (bytes > 0)
            a->ns_per_byte = fmin(a->ns_per_byte, ns / bytes);
    }
    if (isinf(a->least_ns))
        a->least_ns = a->ns_per_byte = 0;
}

/* A copy was timed with its values in the cache of the core that copies; in a network it waits for them. */
static double copy_cost(const assigning *a, const flow *fl, pf_layout from, pf_layout to)
{
    double   factor = a->f->search->device->kind == PF_DEVICE_CPU ? CPU_COPY_FACTOR : 1;
    uint32_t item = fl->item[pf_format_state(from)][pf_format_state(to)];

    if (item == PF_NONE || item == REFUSED)
        return item == PF_NONE ? 0 : INFINITY;
    return factor * (item == UNTIMED ? fmax(a->least_ns, a->ns_per_byte * fl->bytes)
                                     : pf_search_cost(a->f->search, item));
}

/* ---- Nodes and edges */

static double option_cost(const assigning *a, const pf_format_unit *unit, const pf_format_option *option)
{
    bool lies_in_place = false;

    for (uint32_t i = 0; i < unit->in_count; i++)
        lies_in_place = lies_in_place || pf_layout_pitch(option->in[i]);
    for (uint32_t i = 0; i < unit->out_count; i++)
        lies_in_place = lies_in_place || pf_layout_pitch(option->out[i]);
    if (lies_in_place && !a->places)
        return INFINITY;
    return option->problem ? pf_search_cost(a->f->search, option->item) : 0;
}

static pf_status add_unit_nodes(assigning *a, pf_err *err)
{
    pf_formats  *f = a->f;
    const double nothing = 0;
    pf_status    st = pf_pbqp_add_node(a->pbqp, &nothing, 1, &a->outside, err);

    for (uint32_t u = 0; u < f->unit_count && !st; u++) {
        const pf_format_unit *unit = &f->units[u];
        double               *costs = pf_calloc(unit->option_count + 1, sizeof *costs);

        if (!costs)
            return PF_FAIL_MEMORY(err, unit->option_count * sizeof *costs);
        for (uint32_t i = 0; i < unit->option_count; i++)
            costs[i] = option_cost(a, unit, &unit->options[i]);
        st = pf_pbqp_add_node(a->pbqp, costs, unit->option_count, &a->unit_node[u], err);
        pf_free(costs);
    }
    return st;
}

static uint32_t node_of(const assigning *a, uint32_t unit)
{
    return unit == PF_NONE ? a->outside : a->unit_node[unit];
}

/* Between the world's input and the world's output there is nothing to choose. */
static pf_status add_edge(assigning *a, uint32_t from, uint32_t to, const double *costs, pf_err *err)
{
    return from == to ? PF_OK : pf_pbqp_add_edge(a->pbqp, from, to, costs, err);
}

static pf_status connect_one_reader(assigning *a, const flow *fl, const reader *r, pf_err *err)
{
    uint32_t  rows = producer_states(a, fl), columns = reader_states(a, r);
    double   *costs = pf_calloc((size_t)rows * columns, sizeof *costs);
    pf_status st = costs ? PF_OK : PF_FAIL_MEMORY(err, (size_t)rows * columns * sizeof *costs);

    for (uint32_t i = 0; i < rows && !st; i++)
        for (uint32_t j = 0; j < columns; j++)
            costs[(size_t)i * columns + j] = copy_cost(a, fl, produced(a, fl, i), wanted(a, r, j));
    if (!st)
        st = add_edge(a, node_of(a, fl->producer), node_of(a, r->unit), costs, err);
    pf_free(costs);
    return st;
}

/* Every set of layouts that holds one which may be produced; the others in it may be wanted. */
static pf_status add_set_node(assigning *a, flow *fl, pf_err *err)
{
    static const double nothing[SETS] = { 0 };
    uint32_t            made = produced_set(a, fl), all = made | wanted_set(a, fl);

    fl->set_count = 0;
    fl->sets = pf_alloc(SETS * sizeof *fl->sets);
    if (!fl->sets)
        return PF_FAIL_MEMORY(err, SETS * sizeof *fl->sets);
    for (uint32_t set = 1; set < SETS; set++)
        if ((set & made) && !(set & ~all))
            fl->sets[fl->set_count++] = set;
    return pf_pbqp_add_node(a->pbqp, nothing, fl->set_count, &fl->set_node, err);
}

static double set_cost(const assigning *a, const flow *fl, pf_layout made, uint32_t set)
{
    pf_value_id v = (pf_value_id)(fl - a->flows);
    uint32_t    own = pf_format_state(made);
    double      cost = 0;

    if (!(set & 1u << own))
        return INFINITY;
    for (uint32_t to = 0; to < PF_FORMAT_STATES; to++)
        if ((set & 1u << to) && to != own)
            cost += copy_cost(a, fl, made, layout_of(a, v, to));
    return cost;
}

static pf_status connect_producer(assigning *a, const flow *fl, pf_err *err)
{
    uint32_t  rows = producer_states(a, fl);
    double   *costs = pf_calloc((size_t)rows * fl->set_count, sizeof *costs);
    pf_status st = costs ? PF_OK : PF_FAIL_MEMORY(err, (size_t)rows * fl->set_count * sizeof *costs);

    for (uint32_t i = 0; i < rows && !st; i++)
        for (uint32_t j = 0; j < fl->set_count; j++)
            costs[(size_t)i * fl->set_count + j] = set_cost(a, fl, produced(a, fl, i), fl->sets[j]);
    if (!st)
        st = add_edge(a, node_of(a, fl->producer), fl->set_node, costs, err);
    pf_free(costs);
    return st;
}

static pf_status connect_reader(assigning *a, const flow *fl, const reader *r, pf_err *err)
{
    uint32_t  columns = reader_states(a, r);
    double   *costs = pf_calloc((size_t)fl->set_count * columns, sizeof *costs);
    pf_status st = costs ? PF_OK : PF_FAIL_MEMORY(err, (size_t)fl->set_count * columns * sizeof *costs);

    for (uint32_t i = 0; i < fl->set_count && !st; i++)
        for (uint32_t j = 0; j < columns; j++)
            costs[(size_t)i * columns + j] = fl->sets[i] & 1u << pf_format_state(wanted(a, r, j)) ? 0 : INFINITY;
    if (!st)
        st = add_edge(a, fl->set_node, node_of(a, r->unit), costs, err);
    pf_free(costs);
    return st;
}

static pf_status connect(assigning *a, pf_err *err)
{
    pf_status st = PF_OK;

    for (uint32_t v = 0; v < a->f->graph->value_count && !st; v++) {
        flow *fl = &a->flows[v];

        if (fl->reader_count == 1)
            st = connect_one_reader(a, fl, &fl->readers[0], err);
        if (fl->reader_count < 2)
            continue;
        st = add_set_node(a, fl, err);
        if (!st)
            st = connect_producer(a, fl, err);
        for (uint32_t r = 0; r < fl->reader_count && !st; r++)
            st = connect_reader(a, fl, &fl->readers[r], err);
    }
    return st;
}

/* ---- The solution */

static bool has_copy(const pf_formats *f, pf_value_id v, pf_layout to)
{
    for (uint32_t i = f->copy_count; i-- > 0 && f->copies[i].value == v;)
        if (f->copies[i].to == to)
            return true;
    return false;
}

static pf_status add_copy(pf_formats *f, pf_value_id v, pf_layout from, pf_layout to, uint32_t item, pf_err *err)
{
    const pf_value *value = pf_graph_value(f->graph, v);
    pf_format_copy *copy = NULL;

    if (pf_grow((void **)&f->copies, &f->copy_capacity, f->copy_count + 1, sizeof *f->copies))
        return PF_FAIL_MEMORY(err, (f->copy_count + 1) * sizeof *f->copies);
    copy = &f->copies[f->copy_count++];
    *copy = (pf_format_copy){ v, from, to, NULL, item };
    return pf_problem_reformat(f->graph->dims, value->dtype, &value->shape, from, to, &copy->problem, err);
}

static uint32_t chosen_of(const assigning *a, uint32_t unit)
{
    return unit == PF_NONE ? 0 : a->f->units[unit].chosen;
}

static bool is_chosen(const assigning *a, const flow *fl, uint32_t from, uint32_t to)
{
    if (pf_format_state(produced(a, fl, chosen_of(a, fl->producer))) != from)
        return false;
    for (uint32_t r = 0; r < fl->reader_count; r++)
        if (pf_format_state(wanted(a, &fl->readers[r], chosen_of(a, fl->readers[r].unit))) == to)
            return true;
    return false;
}

static pf_status add_copies(assigning *a, pf_value_id v, pf_err *err)
{
    const flow *fl = &a->flows[v];
    pf_layout   from = produced(a, fl, chosen_of(a, fl->producer));
    pf_status   st = PF_OK;

    for (uint32_t r = 0; r < fl->reader_count && !st; r++) {
        pf_layout to = wanted(a, &fl->readers[r], chosen_of(a, fl->readers[r].unit));
        uint32_t  item = fl->item[pf_format_state(from)][pf_format_state(to)];

        if (item != PF_NONE && !has_copy(a->f, v, to))
            st = add_copy(a->f, v, from, to, item, err);
    }
    return st;
}

static void forget_problem(assigning *a)
{
    for (uint32_t v = 0; v < a->f->graph->value_count; v++) {
        pf_free(a->flows[v].sets);
        a->flows[v].sets = NULL;
    }
    pf_pbqp_free(a->pbqp);
    a->pbqp = NULL;
}

/* Keeps what it finds when that is cheaper than what is kept.  Errors   INVALID: nothing fits; NO_SPACE. */
static pf_status solve(assigning *a, bool places, pf_err *err)
{
    pf_formats *f = a->f;
    bool        exact = false;
    pf_status   st = PF_OK;

    a->places = places;
    a->pbqp = pf_pbqp_new();
    st = a->pbqp ? add_unit_nodes(a, err) : PF_FAIL_MEMORY(err, sizeof *a);
    if (!st)
        st = connect(a, err);
    if (!st)
        st = pf_pbqp_solve(a->pbqp, a->states, &exact, err);
    if (!st) {
        double cost = pf_pbqp_cost(a->pbqp, a->states);

        for (uint32_t u = 0; u < f->unit_count && cost < f->cost_ns; u++)
            f->units[u].chosen = a->states[a->unit_node[u]];
        f->exact = cost < f->cost_ns ? exact && places : f->exact;
        f->cost_ns = fmin(f->cost_ns, cost);
    }
    forget_problem(a);
    return st;
}

static bool has_places(const pf_formats *f)
{
    for (uint32_t v = 0; v < f->graph->value_count; v++)
        if (f->pitch[v])
            return true;
    return false;
}

/* What lies in wider values ties many layers together, so where the answer is not known to be the best, that without
   any of it may be better, or the only one. */
static pf_status choose_units(assigning *a, pf_err *err)
{
    pf_err    own = { 0 };
    pf_status st = PF_OK, without = PF_INVALID;

    a->f->cost_ns = INFINITY;
    st = solve(a, true, &own);
    if (has_places(a->f) && (st ? st == PF_INVALID : !a->f->exact)) {
        pf_err_clear(&own);
        without = solve(a, false, &own);
    }
    st = without == PF_INVALID ? st : without;
    if (!st)
        return PF_OK;
    pf_err_pass(err, st, &own);
    return st == PF_INVALID ? pf_err_add(err, st, "no layouts fit all layers together") : st;
}

/* Has those timed that the chosen options need and nobody timed; with all, every one that some options need. */
static pf_status time_copies(assigning *a, bool all, bool *any, pf_err *err)
{
    pf_status st = PF_OK;

    *any = false;
    for (uint32_t v = 0; v < a->f->graph->value_count && !st; v++)
        for (uint32_t x = 0; x < PF_FORMAT_STATES; x++)
            for (uint32_t y = 0; y < PF_FORMAT_STATES && !st; y++)
                if (a->flows[v].item[x][y] == UNTIMED && (all || is_chosen(a, &a->flows[v], x, y))) {
                    st = add_copy_item(a, v, layout_of(a, v, x), layout_of(a, v, y), err);
                    *any = true;
                }
    return st || !*any ? st : pf_search_run(a->f->search, err);
}

static pf_status choose(assigning *a, pf_err *err)
{
    bool      again = true;
    pf_status st = PF_OK;

    for (uint32_t round = 0; again && !st; round++) {
        st = choose_units(a, err);
        if (!st)
            st = time_copies(a, round == ROUNDS_MAX, &again, err);
    }
    for (uint32_t v = 0; v < a->f->graph->value_count && !st; v++)
        if (a->flows[v].reader_count)
            st = add_copies(a, v, err);
    return st;
}

pf_status pf_formats_assign(pf_formats *f, pf_err *err)
{
    uint32_t  values = f->graph->value_count + 1;
    assigning a = { .f = f };
    pf_status st = PF_OK;

    a.flows = pf_calloc(values, sizeof *a.flows);
    a.unit_node = pf_calloc(f->unit_count + 1, sizeof *a.unit_node);
    a.states = pf_calloc((size_t)values + f->unit_count + 1, sizeof *a.states);
    if (!a.flows || !a.unit_node || !a.states)
        st = PF_FAIL_MEMORY(err, values * sizeof *a.flows);
    if (!st)
        st = find_flows(&a, err);
    if (!st) {
        find_copies(&a);
        find_quickest(&a);
        st = choose(&a, err);
    }
    for (uint32_t v = 0; a.flows && v < values; v++)
        pf_free(a.flows[v].readers);
    pf_free(a.flows);
    pf_free(a.unit_node);
    pf_free(a.states);
    return st;
}
