#include "engine/picks.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/op.h"
#include "engine/ops/attrs.h"
#include "engine/ops/lines.h"

/* Scores beyond so many times the greatest that was picked are masks, which say nothing of the others' range. */
#define MASKED 1e4

const char *pf_picks_name(const pf_graph *graph, pf_value_id value)
{
    const pf_value *of = &graph->values[value];
    const pf_node  *maker = pf_graph_maker(graph, value);

    if (of->name[0] || !maker)
        return of->name;
    return maker->out[maker->out_count - 1] == value ? maker->name : "";
}

static bool picks(const pf_graph *graph, const pf_node *node, pf_pick *out)
{
    if (!node->live)
        return false;
    if (node->op == PF_OP_TOPK && node->out_count > 1)
        *out = (pf_pick){ .scores = node->in[0], .best = node->out[0], .picked = node->out[1],
                          .axis = ((const pf_topk_attrs *)node->attrs)->axis };
    else if (node->op == PF_OP_ARG_REDUCE)
        *out = (pf_pick){ .scores = node->in[0], .best = PF_NONE, .picked = node->out[0],
                          .axis = ((const pf_arg_reduce_attrs *)node->attrs)->axis };
    else
        return false;
    out->name = pf_picks_name(graph, out->picked);
    return out->name[0] && pf_graph_use_count(graph, out->picked);
}

static pf_status find_picks(const pf_graph *graph, pf_picks *out, pf_err *err)
{
    uint32_t capacity = 0;

    for (uint32_t n = 0; n < graph->node_count; n++) {
        pf_pick pick = { 0 };

        if (!picks(graph, &graph->nodes[n], &pick))
            continue;
        if (pf_grow((void **)&out->items, &capacity, out->count + 1, sizeof *out->items))
            return PF_FAIL_MEMORY(err, (out->count + 1) * sizeof *out->items);
        out->items[out->count++] = pick;
    }
    return PF_OK;
}

/* ---- As many as data says */

static bool picks_some(const pf_node *node)
{
    return node->op == PF_OP_NON_MAX_SUPPRESSION || node->op == PF_OP_NON_ZERO || node->op == PF_OP_COMPRESS ||
           node->op == PF_OP_UNIQUE;
}

/* Without the casts that lowering adds, which have no name. */
static pf_value_id named(const pf_graph *graph, pf_value_id value)
{
    const pf_node *maker = pf_graph_maker(graph, value);

    while (maker && maker->op == PF_OP_CAST && !pf_picks_name(graph, value)[0]) {
        value = maker->in[0];
        maker = pf_graph_maker(graph, value);
    }
    return value;
}

static pf_status add_crossings(const pf_graph *graph, const pf_node *node, uint32_t *capacity, pf_picks *out,
                               pf_err *err)
{
    for (uint32_t i = 0; i < node->in_count; i++) {
        pf_value_id value = node->in[i] == PF_NONE ? PF_NONE : named(graph, node->in[i]);

        if (value == PF_NONE || graph->values[value].is_constant || !pf_picks_name(graph, value)[0])
            continue;
        if (pf_grow((void **)&out->crossings, capacity, out->crossing_count + 1, sizeof *out->crossings))
            return PF_FAIL_MEMORY(err, (out->crossing_count + 1) * sizeof *out->crossings);
        out->crossings[out->crossing_count++] = (pf_crossing){ .name = pf_picks_name(graph, value), .value = value };
    }
    return PF_OK;
}

static bool is_any_behind(const bool *behind, const pf_node *node)
{
    for (uint32_t i = 0; i < node->in_count; i++)
        if (node->in[i] != PF_NONE && behind[node->in[i]])
            return true;
    return false;
}

/* Crossings are what goes into the first such picks; what hangs on these goes into others. */
static pf_status find_crossings(const pf_graph *graph, pf_picks *out, pf_err *err)
{
    bool       *behind = pf_calloc(graph->value_count + 1, sizeof *behind);
    pf_node_id *order = NULL;
    uint32_t    count = 0, capacity = 0;
    pf_status   st = behind ? pf_graph_order(graph, &order, &count, err) : PF_FAIL_MEMORY(err, graph->value_count);

    out->is_behind = pf_calloc(graph->output_count + 1, sizeof *out->is_behind);
    if (!st && !out->is_behind)
        st = PF_FAIL_MEMORY(err, graph->output_count);
    for (uint32_t n = 0; n < count && !st; n++) {
        const pf_node *node = &graph->nodes[order[n]];
        bool           is_behind = is_any_behind(behind, node);

        if (picks_some(node) && !is_behind)
            st = add_crossings(graph, node, &capacity, out, err);
        for (uint32_t i = 0; i < node->out_count; i++)
            behind[node->out[i]] = is_behind || picks_some(node);
    }
    for (uint32_t i = 0; i < graph->output_count && !st; i++)
        out->is_behind[i] = behind[graph->outputs[i]];
    pf_free(order);
    pf_free(behind);
    return st;
}

pf_status pf_picks_open(const pf_graph *graph, pf_picks *out, pf_err *err)
{
    pf_status st = PF_OK;

    *out = (pf_picks){ 0 };
    st = find_picks(graph, out, err);
    if (!st)
        st = find_crossings(graph, out, err);
    if (st)
        pf_picks_close(out);
    return st;
}

void pf_picks_close(pf_picks *picks)
{
    for (uint32_t i = 0; i < picks->count; i++) {
        pf_tensor_clear(&picks->items[i].of_scores);
        pf_tensor_clear(&picks->items[i].indices);
    }
    for (uint32_t i = 0; i < picks->crossing_count; i++)
        pf_tensor_clear(&picks->crossings[i].tensor);
    pf_free(picks->items);
    pf_free(picks->crossings);
    pf_free(picks->is_behind);
    *picks = (pf_picks){ 0 };
}

static void keep(pf_picks *picks, const pf_tensor *tensor, pf_tensor *out)
{
    pf_tensor_clear(out);
    picks->failed |= pf_tensor_copy(tensor, out, NULL) != PF_OK;
}

void pf_picks_note(void *user, pf_value_id value, pf_tensor *tensor)
{
    pf_picks *picks = user;

    for (uint32_t i = 0; i < picks->count; i++)
        if (picks->items[i].picked == value)
            keep(picks, tensor, &picks->items[i].indices);
    for (uint32_t i = 0; i < picks->crossing_count; i++)
        if (picks->crossings[i].value == value)
            keep(picks, tensor, &picks->crossings[i].tensor);
}

void pf_picks_note_named(pf_picks *picks, const char *name, const pf_tensor *tensor)
{
    for (uint32_t i = 0; i < picks->count; i++)
        if (!strcmp(picks->items[i].name, name))
            keep(picks, tensor, &picks->items[i].indices);
    for (uint32_t i = 0; i < picks->crossing_count; i++)
        if (!strcmp(picks->crossings[i].name, name))
            keep(picks, tensor, &picks->crossings[i].tensor);
}

/* ---- One pick: what is given, in the lines that were scored */

typedef struct given { const pf_tensor *scores, *indices; pf_lines in, out; } given;

static const pf_tensor *find(const pf_picks *picks, const char *name)
{
    for (uint32_t i = 0; i < picks->count; i++)
        if (picks->items[i].indices.data && !strcmp(picks->items[i].name, name))
            return &picks->items[i].indices;
    return NULL;
}

static int64_t index_at(const pf_tensor *indices, int64_t at)
{
    return pf_dtype_get_i64(indices->dtype, indices->data, (uint64_t)at);
}

/* The score of that index, in the line that the element at `at` of the picks belongs to. */
static double score_of(const given *g, int64_t at, int64_t index)
{
    int64_t line = at / (g->out.size * g->out.inner) * g->out.inner + at % g->out.inner;

    return pf_dtype_get(g->scores->dtype, g->scores->data,
                        (uint64_t)(pf_lines_at(&g->in, line) + index * g->in.inner));
}

static bool is_in_range(const given *g)
{
    for (int64_t i = 0, count = pf_tensor_elems(g->indices); i < count; i++) {
        int64_t index = index_at(g->indices, i);

        if (index < 0 || index >= g->in.size)
            return false;
    }
    return true;
}

/* picked: the tensor of as many indices, or scores, that the graph made by itself.  False: nothing is given, or nothing
   that fits. */
static bool find_given(const pf_following *f, const pf_pick *pick, const pf_tensor *picked, given *out)
{
    const pf_tensor *indices = find(f->given, pick->name), *scores = &pick->of_scores;
    int64_t          lines = 0;

    if (!indices || !scores->data || !pf_tensor_same_shape(indices, picked))
        return false;
    *out = (given){ .scores = scores, .indices = indices, .in = pf_lines_of(scores, pick->axis, pick->axis + 1) };
    lines = pf_lines_count(&out->in);
    out->out = (pf_lines){ out->in.outer, lines ? pf_tensor_elems(picked) / lines : 0, out->in.inner };
    return is_in_range(out);
}

/* Of the scores, without masks. */
static double range_of(const given *g, const pf_tensor *own)
{
    double least = INFINITY, most = -INFINITY, picked = 0;

    for (int64_t i = 0, count = pf_tensor_elems(own); i < count; i++) {
        double score = fabs(score_of(g, i, index_at(own, i)));

        picked = isfinite(score) && score > picked ? score : picked;
    }
    for (int64_t i = 0, count = pf_tensor_elems(g->scores); i < count; i++) {
        double score = pf_dtype_get(g->scores->dtype, g->scores->data, (uint64_t)i);

        if (isfinite(score) && (picked == 0 || fabs(score) <= MASKED * picked)) {
            least = score < least ? score : least;
            most = score > most ? score : most;
        }
    }
    return most > least ? most - least : 0;
}

/* Nobody picks an element twice. */
static bool has_twins(const given *g)
{
    int64_t  lines = pf_lines_count(&g->out);
    int64_t *seen = pf_calloc((size_t)g->in.size + 1, sizeof *seen);
    bool     twins = !seen;

    for (int64_t line = 0; line < lines && !twins; line++)
        for (int64_t k = 0; k < g->out.size && !twins; k++) {
            int64_t *last = &seen[index_at(g->indices, pf_lines_at(&g->out, line) + k * g->out.inner)];

            twins = *last == line + 1;
            *last = line + 1;
        }
    pf_free(seen);
    return twins;
}

static double loss_of(const given *g, const pf_tensor *own)
{
    double range = range_of(g, own), most = 0;

    if (has_twins(g))
        return INFINITY;
    for (int64_t i = 0, count = pf_tensor_elems(own); i < count; i++) {
        double wanted = score_of(g, i, index_at(own, i)), found = score_of(g, i, index_at(g->indices, i));
        double off = wanted == found || (isnan(wanted) && isnan(found)) ? 0 : fabs(wanted - found) / range;

        most = off > most || isnan(off) ? off : most;
    }
    return isnan(most) ? INFINITY : most;
}

/* ---- Following */

static void follow_indices(pf_following *f, const pf_pick *pick, pf_tensor *tensor)
{
    given  g = { 0 };
    double loss = 0;

    if (!find_given(f, pick, tensor, &g))
        return;
    loss = loss_of(&g, tensor);
    f->loss = loss > f->loss ? loss : f->loss;
    for (int64_t i = 0, count = pf_tensor_elems(tensor); i < count; i++)
        pf_dtype_set_i64(tensor->dtype, tensor->data, (uint64_t)i, index_at(g.indices, i));
}

static void follow_scores(const pf_following *f, const pf_pick *pick, pf_tensor *tensor)
{
    given g = { 0 };

    if (!find_given(f, pick, tensor, &g))
        return;
    for (int64_t i = 0, count = pf_tensor_elems(tensor); i < count; i++)
        pf_dtype_set(tensor->dtype, tensor->data, (uint64_t)i, score_of(&g, i, index_at(g.indices, i)));
}

static double share_apart(const pf_tensor *test, const pf_tensor *reference)
{
    int64_t count = pf_tensor_elems(reference), apart = 0;

    for (int64_t i = 0; i < count; i++)
        apart += index_at(test, i) != index_at(reference, i);
    return count ? (double)apart / (double)count : 0;
}

static void compare_crossing(pf_following *f, const char *name, const pf_tensor *tensor)
{
    for (uint32_t i = 0; i < f->given->crossing_count; i++) {
        const pf_tensor *wanted = &f->given->crossings[i].tensor;
        pf_difference    difference = { 0 };
        double           apart = 0;

        if (!wanted->data || strcmp(f->given->crossings[i].name, name))
            continue;
        if (!pf_tensor_same_shape(wanted, tensor))
            apart = INFINITY;
        else if (!pf_dtype_is_float(wanted->dtype))
            apart = share_apart(wanted, tensor);
        else if (!pf_tensor_compare(wanted, tensor, &difference, NULL))
            apart = difference.nan_count || difference.inf_count ? INFINITY : difference.max_rel_range;
        f->loss = apart > f->loss ? apart : f->loss;
    }
}

/* What one picks may be what another one scores. */
void pf_picks_follow(void *user, pf_value_id value, pf_tensor *tensor)
{
    pf_following *f = user;

    for (uint32_t i = 0; i < f->own->count; i++) {
        if (f->own->items[i].best == value)
            follow_scores(f, &f->own->items[i], tensor);
        if (f->own->items[i].picked == value)
            follow_indices(f, &f->own->items[i], tensor);
    }
    for (uint32_t i = 0; i < f->own->count; i++)
        if (f->own->items[i].scores == value && find(f->given, f->own->items[i].name))
            keep(f->own, tensor, &f->own->items[i].of_scores);
    for (uint32_t i = 0; i < f->own->crossing_count; i++)
        if (f->own->crossings[i].value == value)
            compare_crossing(f, f->own->crossings[i].name, tensor);
}
