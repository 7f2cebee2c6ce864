/* einsum: every label of the equation is a loop; what is not in the output is summed over.
   Syntax of https://onnx.ai/onnx/operators/onnx__Einsum.html. */
#include <ctype.h>
#include <stddef.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/ops/infer.h"
#include "engine/ops/rows.h"

enum { LETTERS = 52, LABELS = LETTERS + PF_MAX_RANK, OPERANDS = 16, PARTS = 256 };

static const pf_attr_field fields[] = { PF_ATTR_FIELD(pf_einsum_attrs, equation, STRING), { NULL } };

/* Labels of the axes of each operand and of the output: letters 0..51, then the dims of the ellipsis counted from the
   right. */
typedef struct term { int32_t rank; uint8_t label[PF_MAX_RANK]; } term;
typedef struct plan { uint32_t operands; term in[OPERANDS], out; int32_t ellipsis; } plan;

static int32_t letter_of(char c)
{
    return islower((unsigned char)c) ? c - 'a' : isupper((unsigned char)c) ? c - 'A' + 26 : -1;
}

static const char *skip(const char *p)
{
    while (*p == ' ')
        p++;
    return p;
}

static pf_status add_label(term *t, int32_t label, pf_err *err)
{
    if (t->rank == PF_MAX_RANK)
        return PF_FAIL(err, PF_UNSUPPORTED, "a term has more than %d labels", PF_MAX_RANK);
    t->label[t->rank++] = (uint8_t)label;
    return PF_OK;
}

/* Reads one term up to ',', '-' or the end. ellipsis: how many dims "..." stands for. */
static pf_status read_term(const char **text, int32_t ellipsis, term *t, bool *dots, pf_err *err)
{
    pf_status st = PF_OK;

    *dots = false;
    for (*text = skip(*text); **text && **text != ',' && **text != '-' && !st; *text = skip(*text)) {
        if (!strncmp(*text, "...", 3) && !*dots) {
            *dots = true;
            *text += 3;
            for (int32_t i = ellipsis - 1; i >= 0 && !st; i--)
                st = add_label(t, LETTERS + i, err);
            continue;
        }
        if (letter_of(**text) < 0)
            return PF_FAIL(err, PF_INVALID, "the equation holds '%c'", **text);
        st = add_label(t, letter_of(*(*text)++), err);
    }
    return st;
}

/* Without "->": the ellipsis, then the labels that occur once, in alphabetical order ('A'-'Z' before 'a'-'z'). */
static pf_status implicit_output(plan *p, pf_err *err)
{
    uint32_t  seen[LABELS] = { 0 };
    pf_status st = PF_OK;

    for (uint32_t i = 0; i < p->operands; i++)
        for (int32_t d = 0; d < p->in[i].rank; d++)
            seen[p->in[i].label[d]]++;
    for (int32_t i = p->ellipsis - 1; i >= 0 && !st; i--)
        st = add_label(&p->out, LETTERS + i, err);
    for (int32_t i = 0; i < LETTERS && !st; i++) {
        int32_t label = i < 26 ? i + 26 : i - 26;

        if (seen[label] == 1)
            st = add_label(&p->out, label, err);
    }
    return st;
}

static int32_t count_letters(const char *text)
{
    int32_t letters = 0;

    for (; *text && *text != ',' && *text != '-'; text++)
        letters += letter_of(*text) >= 0;
    return letters;
}

static pf_status read_operands(const char **text, const int32_t *rank, uint32_t operands, plan *p, pf_err *err)
{
    pf_status st = PF_OK;

    for (; p->operands < operands && !st; p->operands++) {
        int32_t own = 0;
        bool    dots = false;

        if (p->operands && *(*text)++ != ',')
            return PF_FAIL(err, PF_INVALID, "the equation has fewer terms than there are inputs");
        own = rank[p->operands] - count_letters(*text);
        st = read_term(text, own > 0 ? own : 0, &p->in[p->operands], &dots, err);
        if (!st && p->in[p->operands].rank != rank[p->operands])
            st = PF_FAIL(err, PF_INVALID, "term %u does not have the rank of its input, %d", p->operands,
                         rank[p->operands]);
        p->ellipsis = dots && own > p->ellipsis ? own : p->ellipsis;
    }
    if (!st && **text == ',')
        st = PF_FAIL(err, PF_INVALID, "the equation has more terms than there are inputs");
    return st;
}

static pf_status make_plan(const char *equation, const int32_t *rank, uint32_t operands, plan *p, pf_err *err)
{
    const char *text = equation;
    bool        dots = false;
    pf_status   st = PF_OK;

    memset(p, 0, sizeof *p);
    if (!equation || operands > OPERANDS)
        return PF_FAIL(err, PF_UNSUPPORTED, "einsum of %u inputs", operands);
    st = read_operands(&text, rank, operands, p, err);
    if (st)
        return st;
    if (!*text)
        return implicit_output(p, err);
    if (strncmp(text, "->", 2))
        return PF_FAIL(err, PF_INVALID, "the equation has a '-' without '>'");
    text += 2;
    st = read_term(&text, p->ellipsis, &p->out, &dots, err);
    if (!st && *text)
        st = PF_FAIL(err, PF_INVALID, "the equation goes on behind its output");
    return st;
}

static pf_status infer(pf_infer *infer, pf_err *err)
{
    const pf_einsum_attrs *attrs = infer->node->attrs;
    int32_t                rank[OPERANDS] = { 0 };
    pf_dim                 size[LABELS];
    plan                   p = { 0 };
    pf_shape               out = { 0 };
    pf_status              st = infer->node->in_count > OPERANDS
                                    ? PF_FAIL(err, PF_UNSUPPORTED, "more than %d inputs", OPERANDS)
                                    : PF_OK;

    for (uint32_t i = 0; i < infer->node->in_count && !st; i++) {
        st = pf_infer_rank(infer, i, 0, PF_MAX_RANK, err);
        if (!st)
            st = pf_infer_same_dtype(infer, 0, i, err);
        rank[i] = st ? 0 : pf_infer_in(infer, i)->shape.rank;
    }
    if (!st)
        st = make_plan(attrs->equation, rank, infer->node->in_count, &p, err);
    for (int32_t i = 0; i < LABELS; i++)
        size[i] = 1;
    for (uint32_t i = 0; i < p.operands && !st; i++)
        for (int32_t d = 0; d < p.in[i].rank && !st; d++) {
            pf_dim  own = pf_infer_in(infer, i)->shape.dim[d];
            pf_dim *all = &size[p.in[i].label[d]];

            if (own != 1 && *all != 1)
                st = pf_infer_dims_agree(infer, own, *all, "dims with one label", err);
            if (*all == 1 || (own != 1 && pf_dim_is_number(own)))
                *all = own;
        }
    if (st)
        return st;
    out.rank = p.out.rank;
    for (int32_t d = 0; d < out.rank; d++)
        out.dim[d] = size[p.out.label[d]];
    pf_infer_set(infer, 0, pf_infer_in(infer, 0)->dtype, &out);
    return PF_OK;
}

/* The loops: labels in use, output labels first, with a step for each operand and for the output. */
typedef struct loops {
    int32_t count;
    int64_t size[LABELS], step[OPERANDS + 1][LABELS];
    double *in[OPERANDS];           /* owned */
    double *out;                    /* owned */
} loops;

static void add_steps(const term *t, const int64_t *dim, const int32_t *place, int64_t *step)
{
    int64_t dense = 1;

    for (int32_t d = t->rank - 1; d >= 0; d--) {
        if (dim[d] != 1)
            step[place[t->label[d]]] += dense;
        dense *= dim[d];
    }
}

static pf_status set_sizes(const plan *p, const pf_reference_call *call, const int32_t *place, loops *l, pf_err *err)
{
    for (uint32_t i = 0; i < p->operands; i++)
        for (int32_t d = 0; d < p->in[i].rank; d++) {
            int64_t  own = call->in[i].dim[d];
            int64_t *size = &l->size[place[p->in[i].label[d]]];

            if (*size != 1 && own != 1 && own != *size)
                return PF_FAIL(err, PF_INVALID, "a label has sizes %lld and %lld", (long long)*size, (long long)own);
            *size = *size == 1 ? own : *size;
        }
    return PF_OK;
}

static pf_status make_loops(const plan *p, const pf_reference_call *call, loops *l, pf_err *err)
{
    int32_t   place[LABELS];
    pf_status st = PF_OK;

    for (int32_t i = 0; i < LABELS; i++)
        place[i] = -1;
    for (int32_t d = 0; d < p->out.rank; d++)
        place[p->out.label[d]] = l->count++;
    for (uint32_t i = 0; i < p->operands; i++)
        for (int32_t d = 0; d < p->in[i].rank; d++)
            if (place[p->in[i].label[d]] < 0)
                place[p->in[i].label[d]] = l->count++;
    for (int32_t i = 0; i < l->count; i++)
        l->size[i] = 1;
    st = set_sizes(p, call, place, l, err);
    for (uint32_t i = 0; i < p->operands && !st; i++) {
        add_steps(&p->in[i], call->in[i].dim, place, l->step[i]);
        l->in[i] = pf_rows_doubles(&call->in[i]);
        if (!l->in[i])
            st = PF_FAIL_MEMORY(err, call->in[i].bytes * 2);
    }
    add_steps(&p->out, call->out[0].dim, place, l->step[p->operands]);
    return st;
}

/* Steps from element to element of the loops first .. end - 1, the last of which is the innermost; false behind the
   last one. */
static bool advance(const loops *l, uint32_t places, int32_t first, int32_t end, int64_t *index, int64_t *at)
{
    for (int32_t d = end - 1; d >= first; d--) {
        bool more = ++index[d] < l->size[d];

        for (uint32_t i = 0; i < places; i++)
            at[i] += more ? l->step[i][d] : -l->step[i][d] * (l->size[d] - 1);
        if (more)
            return true;
        index[d] = 0;
    }
    return false;
}

/* One element of the output, in the order of its loops; at: where each operand's terms begin. */
static double sum_terms(const loops *l, uint32_t operands, int32_t first, const int64_t *begin)
{
    int32_t last = l->count - 1;
    int64_t index[LABELS] = { 0 }, at[OPERANDS], times = last < first ? 1 : l->size[last];
    double  sum = 0;

    memcpy(at, begin, operands * sizeof *at);
    do {
        for (int64_t k = 0; k < times; k++) {
            double product = 1;

            for (uint32_t i = 0; i < operands; i++)
                product *= l->in[i][at[i] + k * l->step[i][last < first ? 0 : last]];
            sum += product;
        }
    } while (advance(l, operands, first, last < first ? first : last, index, at));
    return sum;
}

/* Elements first .. end - 1, counted as the output's loops go. */
static void sum_range(loops *l, uint32_t operands, int32_t outer, int64_t first, int64_t end)
{
    int64_t index[LABELS] = { 0 }, at[OPERANDS + 1] = { 0 }, rest = first;

    for (int32_t d = outer - 1; d >= 0; d--) {
        index[d] = rest % l->size[d];
        rest /= l->size[d];
        for (uint32_t i = 0; i <= operands; i++)
            at[i] += index[d] * l->step[i][d];
    }
    for (int64_t e = first; e < end; e++) {
        l->out[at[operands]] += sum_terms(l, operands, outer, at);
        advance(l, operands + 1, 0, outer, index, at);
    }
}

/* Elements are shared out among threads, each of which sums whole ones. */
static void sum_all(loops *l, uint32_t operands, int32_t outer)
{
    int64_t elems = 1, terms = 1, parts = 0;

    for (int32_t d = 0; d < l->count; d++)
        *(d < outer ? &elems : &terms) *= l->size[d];
    if (elems == 0 || terms == 0)
        return;
    parts = elems < PARTS ? elems : PARTS;
#pragma omp parallel for schedule(dynamic) if (elems * terms > PF_ROWS_ALONE)
    for (int64_t i = 0; i < parts; i++)
        sum_range(l, operands, outer, elems * i / parts, elems * (i + 1) / parts);
}

static pf_status reference(pf_reference_call *call, pf_err *err)
{
    const pf_einsum_attrs *attrs = call->attrs;
    int32_t                rank[OPERANDS] = { 0 };
    plan                   p = { 0 };
    loops                  l = { 0 };
    pf_status              st = PF_OK;

    for (uint32_t i = 0; i < call->in_count && i < OPERANDS; i++)
        rank[i] = call->in[i].rank;
    st = make_plan(attrs->equation, rank, call->in_count, &p, err);
    if (!st)
        st = make_loops(&p, call, &l, err);
    l.out = st ? NULL : pf_rows_new(pf_tensor_elems(&call->out[0]));
    if (!st && !l.out)
        st = PF_FAIL_MEMORY(err, call->out[0].bytes * 2);
    if (!st) {
        sum_all(&l, p.operands, p.out.rank);
        pf_rows_store(&call->out[0], l.out);
    }
    for (uint32_t i = 0; i < OPERANDS; i++)
        pf_free(l.in[i]);
    pf_free(l.out);
    return st;
}

const pf_op_def pf_op_einsum = {
    .name = "einsum", .klass = PF_CLASS_ANCHOR, .in_min = 1, .in_max = OPERANDS, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_einsum_attrs), .attr_fields = fields, .infer = infer, .reference = reference,
};
