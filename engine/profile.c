#include "engine/profile.h"

#include <string.h>

#include "base/alloc.h"
#include "engine/config.h"
#include "engine/op.h"
#include "engine/profile_guess.h"

enum { TIMES_USUAL = 4 };        /* as large is the most where PF_PROFILE_MOST is no larger than the usual */

typedef enum role { LEAST, USUAL, MOST, ROLE_COUNT } role;

static const pf_config_key role_key[ROLE_COUNT] = { PF_CONFIG_min_shapes, PF_CONFIG_opt_shapes, PF_CONFIG_max_shapes };
static const char *const   role_name[ROLE_COUNT] = { "min_shapes", "opt_shapes", "max_shapes" };

/* Shapes that the spec gives: what it calls them, and the values of symbols that follow from them. */
typedef struct given { const char *name; int64_t *values; } given;

static pf_value_id find_input(const pf_graph *graph, const char *name)
{
    for (uint32_t i = 0; i < graph->input_count; i++)
        if (!strcmp(graph->values[graph->inputs[i]].name, name))
            return graph->inputs[i];
    return PF_NONE;
}

/* The symbol that dim is, or UINT32_MAX when it is a number or an expression. */
static uint32_t plain_symbol(pf_dims *dims, pf_dim dim, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (pf_dims_symbol(dims, pf_dims_symbol_name(dims, i)) == dim)
            return i;
    return UINT32_MAX;
}

static pf_status bind_dim(pf_graph *graph, uint32_t count, const given *g, const pf_named_shape *wanted, int32_t d,
                          pf_dim dim, pf_err *err)
{
    uint32_t symbol = UINT32_MAX;

    if (pf_dim_is_number(dim)) {
        if (dim != wanted->dim[d])
            return PF_FAIL(err, PF_USAGE, "%s gives input \"%s\" %lld as dim %d, and the network has %lld there",
                           g->name, wanted->name, (long long)wanted->dim[d], d, (long long)dim);
        return PF_OK;
    }
    if (wanted->dim[d] < 1)         /* what was simplified when the network was read holds from 1 on */
        return PF_FAIL(err, PF_USAGE,
                       "%s gives input \"%s\" %lld as dim %d, and sizes that the network leaves free are 1 or more",
                       g->name, wanted->name, (long long)wanted->dim[d], d);
    symbol = plain_symbol(graph->dims, dim, count);
    if (symbol == UINT32_MAX)       /* an expression: checked once all symbols have values */
        return PF_OK;
    if (g->values[symbol] != PF_UNBOUND && g->values[symbol] != wanted->dim[d])
        return PF_FAIL(err, PF_USAGE,
                       "%s gives the dim \"%s\" of input \"%s\" the value %lld, and another input has %lld for it",
                       g->name, pf_dims_symbol_name(graph->dims, symbol), wanted->name, (long long)wanted->dim[d],
                       (long long)g->values[symbol]);
    g->values[symbol] = wanted->dim[d];
    return PF_OK;
}

static pf_status no_such_input(const pf_graph *graph, const char *name, const given *g, pf_err *err)
{
    pf_buf    known = { 0 };
    pf_status st = PF_OK;

    pf_buf_init(&known, 4096);
    for (uint32_t i = 0; i < graph->input_count; i++)
        pf_buf_printf(&known, "%s%s", i ? ", " : "", graph->values[graph->inputs[i]].name);
    st = PF_FAIL(err, PF_USAGE, "%s names the input \"%s\", and the network has %.600s", g->name, name,
                 known.size ? (const char *)known.data : "none");
    pf_buf_clear(&known);
    return st;
}

static pf_status bind_shape(pf_graph *graph, uint32_t count, const given *g, const pf_named_shape *wanted, pf_err *err)
{
    pf_value_id     input = find_input(graph, wanted->name);
    const pf_shape *shape = input == PF_NONE ? NULL : &graph->values[input].shape;
    pf_status       st = PF_OK;

    if (!shape)
        return no_such_input(graph, wanted->name, g, err);
    if (shape->rank >= 0 && shape->rank != wanted->rank)
        return PF_FAIL(err, PF_USAGE, "%s gives input \"%s\" %d dims, and it has %d", g->name, wanted->name,
                       wanted->rank, shape->rank);
    for (int32_t d = 0; d < shape->rank && !st; d++)
        st = bind_dim(graph, count, g, wanted, d, shape->dim[d], err);
    return st;
}

static pf_status bind_role(const pf_config *config, pf_graph *graph, pf_profile *profile, role r, pf_err *err)
{
    int64_t *const  values[ROLE_COUNT] = { profile->least, profile->usual, profile->most };
    bool            single = pf_config_value(config, PF_CONFIG_shapes)[0] != 0;
    given           g = { single ? "shapes" : role_name[r], values[r] };
    pf_named_shapes shapes = { 0 };
    pf_status       st = pf_config_shapes(config, single ? PF_CONFIG_shapes : role_key[r], &shapes, err);

    for (uint32_t i = 0; i < shapes.count && !st; i++)
        st = bind_shape(graph, profile->count, &g, &shapes.items[i], err);
    pf_named_shapes_clear(&shapes);
    return st;
}

/* An input of unknown rank takes the one shape that the spec gives it. */
static pf_status set_unknown_rank(const pf_config *config, pf_graph *graph, pf_value_id input, pf_err *err)
{
    const char           *name = graph->values[input].name;
    pf_named_shapes       shapes = { 0 };
    const pf_named_shape *wanted = NULL;
    pf_shape              shape = { 0 };
    pf_status             st = pf_config_shapes(config, PF_CONFIG_shapes, &shapes, err);

    if (!st)
        wanted = pf_named_shapes_find(&shapes, name);
    if (!st && !wanted)
        st = PF_FAIL(err, PF_USAGE, "the network does not say what shape input \"%s\" has: give it with shapes=%s:...",
                     name, name);
    if (wanted) {
        shape.rank = wanted->rank;
        memcpy(shape.dim, wanted->dim, sizeof shape.dim);
        st = pf_graph_set_input_shape(graph, input, &shape, err);
    }
    pf_named_shapes_clear(&shapes);
    return st;
}

static void mark_input_symbols(const pf_graph *graph, pf_profile *profile, bool *in_inputs)
{
    for (uint32_t i = 0; i < graph->input_count; i++) {
        const pf_shape *shape = &graph->values[graph->inputs[i]].shape;

        for (int32_t d = 0; d < shape->rank; d++)
            for (uint32_t s = 0; s < profile->count && pf_dim_is_symbolic(shape->dim[d]); s++)
                in_inputs[s] |= pf_dims_symbol(graph->dims, pf_dims_symbol_name(graph->dims, s)) == shape->dim[d];
    }
}

static bool is_open(const pf_profile *profile, uint32_t s)
{
    return profile->least[s] == PF_UNBOUND && profile->usual[s] == PF_UNBOUND && profile->most[s] == PF_UNBOUND;
}

static pf_status complete_symbol(const pf_graph *graph, pf_profile *profile, uint32_t s, pf_err *err)
{
    int64_t *least = &profile->least[s], *usual = &profile->usual[s], *most = &profile->most[s], low = 0, high = 0;

    pf_dims_symbol_range(graph->dims, s, &low, &high);
    if (*usual == PF_UNBOUND)
        *usual = *most != PF_UNBOUND ? *most : *least;
    if (*least == PF_UNBOUND)
        *least = *usual;
    if (*most == PF_UNBOUND)
        *most = *usual;
    if (*least > *usual || *usual > *most)
        return PF_FAIL(err, PF_USAGE,
                       "the dim \"%s\" is to lie from %lld over %lld to %lld: min_shapes, opt_shapes and max_shapes "
                       "must rise",
                       pf_dims_symbol_name(graph->dims, s), (long long)*least, (long long)*usual, (long long)*most);
    if (*least != *most && *most > high)
        return PF_FAIL(err, PF_USAGE,
                       "the dim \"%s\" is to lie from %lld to %lld, and the network has tables for %lld: lower "
                       "max_shapes",
                       pf_dims_symbol_name(graph->dims, s), (long long)*least, (long long)*most, (long long)high);
    return PF_OK;
}

/* Symbols that no shape gives: what the guess finds is the least and the usual. */
static pf_status guess_symbols(const pf_graph *graph, pf_profile *profile, const bool *in_inputs, const bool *open,
                               pf_err *err)
{
    int64_t  *value = pf_calloc(profile->count + 1, sizeof *value), low = 0, high = 0;
    pf_status st = value ? PF_OK : PF_FAIL_MEMORY(err, profile->count * sizeof *value);

    for (uint32_t s = 0; s < profile->count && !st; s++) {
        pf_dims_symbol_range(graph->dims, s, &low, &high);
        value[s] = open[s] ? (low > 1 ? low : 1) : in_inputs[s] ? profile->usual[s] : PF_UNBOUND;
    }
    if (!st)
        st = pf_profile_guess(graph, open, value, err);
    for (uint32_t s = 0; s < profile->count && !st; s++) {
        if (!open[s])
            continue;
        pf_dims_symbol_range(graph->dims, s, &low, &high);
        profile->least[s] = profile->usual[s] = value[s];
        profile->most[s] = value[s] < PF_PROFILE_MOST ? PF_PROFILE_MOST : TIMES_USUAL * value[s];
        profile->most[s] = profile->most[s] < high ? profile->most[s] : high;
    }
    pf_free(value);
    return st;
}

static pf_status complete(const pf_graph *graph, pf_profile *profile, const bool *in_inputs, pf_err *err)
{
    bool     *open = pf_calloc(profile->count + 1, sizeof *open);
    pf_status st = open ? PF_OK : PF_FAIL_MEMORY(err, profile->count + 1);

    for (uint32_t s = 0; s < profile->count && !st; s++) {
        open[s] = in_inputs[s] && is_open(profile, s);
        if (in_inputs[s] && !open[s])
            st = complete_symbol(graph, profile, s, err);
    }
    if (!st)
        st = guess_symbols(graph, profile, in_inputs, open, err);
    pf_free(open);
    return st;
}

/* Input dims of one value become numbers. */
static pf_status substitute(pf_graph *graph, const int64_t *low, const int64_t *high, pf_err *err)
{
    pf_status st = PF_OK;

    for (uint32_t i = 0; i < graph->input_count && !st; i++) {
        pf_shape shape = graph->values[graph->inputs[i]].shape;

        for (int32_t d = 0; d < shape.rank && !st; d++) {
            int64_t least = 0, greatest = 1;

            if (pf_dim_is_number(shape.dim[d]))
                continue;
            st = pf_dim_range(graph->dims, shape.dim[d], low, high, &least, &greatest, err);
            if (!st && least == greatest)
                shape.dim[d] = least;
        }
        if (!st)
            st = pf_graph_set_input_shape(graph, graph->inputs[i], &shape, err);
    }
    return st;
}

/* Symbols of one value go from attributes too: a reshape to [batch,seq,64] must agree with what is computed from inputs
   whose dims are numbers. */
static pf_status fix_symbols(pf_graph *graph, const pf_profile *profile, pf_err *err)
{
    pf_status st = PF_OK;

    for (uint32_t s = 0; s < profile->count && !st; s++)
        if (profile->least[s] != PF_UNBOUND && profile->least[s] == profile->most[s])
            st = pf_graph_substitute(graph, s, profile->least[s], err);
    return st;
}

static pf_status narrow(pf_graph *graph, pf_profile *profile, pf_err *err)
{
    int64_t  *low = pf_calloc(2 * (profile->count + 1), sizeof *low), *high = low + profile->count + 1;
    pf_status st = PF_OK;

    if (!low)
        return PF_FAIL_MEMORY(err, 2 * (profile->count + 1) * sizeof *low);
    for (uint32_t s = 0; s < profile->count; s++) {
        bool bound = profile->least[s] != PF_UNBOUND;

        low[s] = bound ? profile->least[s] : 0;
        high[s] = bound ? profile->most[s] : INT32_MAX;
        if (bound)
            pf_dims_bound(graph->dims, s, low[s], high[s]);
    }
    st = substitute(graph, low, high, err);
    if (!st)
        st = fix_symbols(graph, profile, err);
    if (!st)
        st = pf_graph_infer(graph, err);
    pf_free(low);
    return st;
}

static pf_status allocate(pf_profile *profile, uint32_t count, pf_err *err)
{
    profile->count = count;
    profile->least = pf_calloc(count + 1, sizeof *profile->least);
    profile->usual = pf_calloc(count + 1, sizeof *profile->usual);
    profile->most = pf_calloc(count + 1, sizeof *profile->most);
    if (!profile->least || !profile->usual || !profile->most)
        return PF_FAIL_MEMORY(err, 3 * (count + 1) * sizeof(int64_t));
    for (uint32_t s = 0; s < count; s++)
        profile->least[s] = profile->usual[s] = profile->most[s] = PF_UNBOUND;
    return PF_OK;
}

pf_status pf_profile_apply(const pf_config *config, pf_graph *graph, pf_profile *out, pf_err *err)
{
    bool     *in_inputs = NULL;
    pf_status st = PF_OK;

    *out = (pf_profile){ 0 };
    for (uint32_t i = 0; i < graph->input_count && !st; i++)
        if (graph->values[graph->inputs[i]].kind == PF_VALUE_TENSOR && graph->values[graph->inputs[i]].shape.rank < 0)
            st = set_unknown_rank(config, graph, graph->inputs[i], err);
    if (!st)
        st = allocate(out, pf_dims_symbol_count(graph->dims), err);
    for (role r = LEAST; r < ROLE_COUNT && !st; r++)
        st = bind_role(config, graph, out, r, err);
    in_inputs = st ? NULL : pf_calloc(out->count + 1, sizeof *in_inputs);
    if (!st && !in_inputs)
        st = PF_FAIL_MEMORY(err, out->count + 1);
    if (in_inputs)
        mark_input_symbols(graph, out, in_inputs);
    if (!st)
        st = complete(graph, out, in_inputs, err);
    if (!st)
        st = narrow(graph, out, err);
    pf_free(in_inputs);
    if (st)
        pf_profile_clear(out);
    return st;
}

static bool extend(int64_t **values, uint32_t from, uint32_t to)
{
    int64_t *longer = pf_realloc(*values, (to + 1) * sizeof *longer);

    if (!longer)
        return false;
    for (uint32_t s = from; s < to; s++)
        longer[s] = PF_UNBOUND;
    *values = longer;
    return true;
}

pf_status pf_profile_cover(pf_profile *profile, const pf_graph *graph, pf_err *err)
{
    uint32_t count = pf_dims_symbol_count(graph->dims);

    if (count <= profile->count)
        return PF_OK;
    if (!extend(&profile->least, profile->count, count) || !extend(&profile->usual, profile->count, count) ||
        !extend(&profile->most, profile->count, count))
        return PF_FAIL_MEMORY(err, 3 * (count + 1) * sizeof(int64_t));
    profile->count = count;
    return PF_OK;
}

void pf_profile_clear(pf_profile *profile)
{
    if (!profile)
        return;
    pf_free(profile->least);
    pf_free(profile->usual);
    pf_free(profile->most);
    *profile = (pf_profile){ 0 };
}
