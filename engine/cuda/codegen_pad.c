/* Padding that repeats the input: the point moves inside by arithmetic on its indices. */
#include "engine/cuda/codegen.h"
#include "engine/ops/attrs.h"

static const char *formula_of(int32_t mode)
{
    return mode == PF_PAD_EDGE   ? "i < 0 ? 0 : i >= n ? n - 1 : i"
           : mode == PF_PAD_WRAP ? "(i % n + n) % n"
                                 : "i < n ? i : period - i";
}

static cg_index inside(cg_context *cg, const cg_index *index, int64_t size, int32_t mode)
{
    cg_index result = { .opaque = ++cg->next_id };

    pf_buf_printf(cg->body, "  idx o%d[V]; LANES { const idx n = %lld, period = %lld; idx i = ", result.opaque,
                  (long long)size, (long long)(2 * (size - 1)));
    cg_index_print(cg, index, "l", cg->body);
    if (mode == PF_PAD_REFLECT) pf_buf_printf(cg->body, "; i = n == 1 ? 0 : (i %% period + period) %% period");
    pf_buf_printf(cg->body, "; o%d[l] = %s; }\n", result.opaque, formula_of(mode));
    return result;
}

int32_t cg_eval_repeating_pad(cg_context *cg, const pf_node *node, const cg_point *point)
{
    const pf_pad_attrs *attrs = node->attrs;
    const pf_shape     *in = &pf_graph_value(cg->problem->graph, node->in[0])->shape;
    cg_point            at = *point;

    for (int d = 0; d < in->rank; d++) {
        if (!attrs->pads.at[d] && !attrs->pads.at[in->rank + d]) continue;
        at.at[d].constant -= attrs->pads.at[d];
        at.at[d] = inside(cg, &at.at[d], in->dim[d], attrs->mode);
    }
    return cg_eval(cg, node->in[0], &at);
}
