#include "engine/cuda/codegen.h"

#include <string.h>

cg_index cg_index_number(int64_t value)
{
    cg_index index = { .constant = value };

    return index;
}

cg_index cg_index_var(int var)
{
    cg_index index = {0};

    index.coef[var] = 1;
    return index;
}

cg_index cg_index_of(const cg_context *cg, int var)
{
    return cg->var_extent[var] == 1 ? cg_index_number(0) : cg_index_var(var);
}

cg_index cg_index_scale(cg_index index, int64_t factor)
{
    index.constant *= factor;
    for (int v = 0; v < CG_VARS; v++) index.coef[v] *= factor;
    return index;
}

bool cg_index_is_uniform(const cg_context *cg, const cg_index *index)
{
    return (!index->opaque || index->step) && !index->coef[cg->lane_var];
}

void cg_index_print(const cg_context *cg, const cg_index *index, const char *lane, pf_buf *out)
{
    bool first = true;

    pf_buf_printf(out, "(");
    for (int v = 0; v < CG_VARS; v++) {
        bool laned = v == cg->lane_var && cg->vector > 1 && strcmp(lane, "0") != 0;

        if (!index->coef[v]) continue;
        pf_buf_printf(out, "%s", first ? "" : " + ");
        if (index->coef[v] != 1) pf_buf_printf(out, "%lld*", (long long)index->coef[v]);
        if (laned) pf_buf_printf(out, "(i%d + %s)", v, lane);
        else pf_buf_printf(out, "i%d", v);
        first = false;
    }
    if (index->opaque) {
        pf_buf_printf(out, "%so%d[%s]", first ? "" : " + ", index->opaque, lane);
        first = false;
    }
    if (index->constant || first) pf_buf_printf(out, "%s%lld", first ? "" : " + ", (long long)index->constant);
    pf_buf_printf(out, ")");
}

/* A computed integer: o<id>[l] = before index after. */
static cg_index compute(cg_context *cg, const cg_index *index, const char *format, int64_t number)
{
    cg_index result = {0};
    pf_buf  *out = cg->body;

    result.opaque = ++cg->next_id;
    result.step = cg_index_is_uniform(cg, index);
    pf_buf_printf(out, "  idx o%d[V]; LANES o%d[l] = ", result.opaque, result.opaque);
    cg_index_print(cg, index, "l", out);
    pf_buf_printf(out, format, (long long)number);
    pf_buf_printf(out, ";\n");
    return result;
}

/* 0 with anything is 0: what differs between lanes does so in a sum. */
static int64_t common_step(int64_t a, int64_t b)
{
    while (a && b && a % b) {
        int64_t rest = a % b;

        a = b;
        b = rest;
    }
    return a ? b : 0;
}

cg_index cg_index_add(cg_context *cg, cg_index a, cg_index b)
{
    cg_index sum = a;

    if (a.opaque && b.opaque) {             /* at most one opaque part: the second absorbs the first */
        cg_index joined = {0};

        joined.opaque = ++cg->next_id;
        pf_buf_printf(cg->body, "  idx o%d[V]; LANES o%d[l] = o%d[l] + o%d[l];\n", joined.opaque, joined.opaque,
                      a.opaque, b.opaque);
        joined.step = common_step(a.step, b.step);
        a.opaque = b.opaque = 0;
        sum = cg_index_add(cg, a, b);
        sum.opaque = joined.opaque;
        sum.step = joined.step;
        return sum;
    }
    sum.constant += b.constant;
    for (int v = 0; v < CG_VARS; v++) sum.coef[v] += b.coef[v];
    if (b.opaque) {
        sum.opaque = b.opaque;
        sum.step = b.step;
    }
    sum.falls = a.falls || b.falls;
    return sum;
}

cg_index cg_index_mul(cg_context *cg, cg_index index, int64_t factor)
{
    cg_index opaque = { .opaque = index.opaque, .step = index.step };

    if (!factor) return cg_index_number(0);
    if (factor == 1) return index;
    index.opaque = 0;
    index = cg_index_scale(index, factor);
    if (opaque.opaque) {
        index.opaque = compute(cg, &opaque, " * %lld", factor).opaque;
        index.step *= factor < 0 ? -factor : factor;
        index.falls |= factor < 0;
    }
    return index;
}

/* Least value, if every variable may take any of its values. */
static int64_t least(const cg_context *cg, const cg_index *part)
{
    int64_t value = part->constant;

    for (int v = 0; v < CG_VARS; v++)
        if (part->coef[v] < 0) value += part->coef[v] * (cg->var_extent[v] - 1);
    return value;
}

/* Greatest value of the part whose coefficients the divisor does not divide; -1 when it may be negative or is
   unknown. */
static int64_t remainder_bound(const cg_context *cg, const cg_index *part)
{
    int64_t bound = part->constant;

    if (part->opaque || least(cg, part) < 0) return -1;
    for (int v = 0; v < CG_VARS; v++)
        if (part->coef[v] > 0) bound += part->coef[v] * (cg->var_extent[v] - 1);
    return bound;
}

/* C divides towards zero, so the rest takes as many divisors from the other part as it needs to be no less than zero.
   What an opaque part takes away is not known; only the whole index is no less than zero. */
static void keep_positive(const cg_context *cg, const cg_index *index, int64_t divisor, cg_index *whole, cg_index *rest)
{
    int64_t low = least(cg, rest);

    if (index->falls) {
        *whole = (cg_index){0};
        *rest = *index;
        return;
    }
    if (low >= 0) return;
    low = (-low + divisor - 1) / divisor;
    rest->constant += low * divisor;
    whole->constant -= low;
}

void cg_index_split(cg_context *cg, cg_index index, int64_t divisor, cg_index *quotient, cg_index *remainder)
{
    cg_index whole = {0}, rest = {0};

    rest.opaque = index.opaque;
    rest.step = index.step;
    whole.constant = index.constant / divisor;
    rest.constant = index.constant % divisor;
    for (int v = 0; v < CG_VARS; v++) {
        bool divides = index.coef[v] % divisor == 0;

        whole.coef[v] = divides ? index.coef[v] / divisor : 0;
        rest.coef[v] = divides ? 0 : index.coef[v];
    }
    if (divisor == 1) {
        *quotient = index;
        *remainder = cg_index_number(0);
        return;
    }
    keep_positive(cg, &index, divisor, &whole, &rest);
    if (remainder_bound(cg, &rest) >= 0 && remainder_bound(cg, &rest) < divisor) {
        *quotient = whole;
        *remainder = rest;
        return;
    }
    *quotient = cg_index_add(cg, whole, compute(cg, &rest, " / %lld", divisor));
    *remainder = compute(cg, &rest, " %% %lld", divisor);
}
