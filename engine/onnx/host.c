#include <string.h>

#include "engine/onnx_import.h"
#include "engine/ops/attrs.h"

/* Ops whose results' sizes depend on data, strings, and losses. */

void pf_onnx_non_zero(pf_onnx_node *node)
{
    pf_onnx_emit_same(node, PF_OP_NON_ZERO, NULL);
}

static double number_or(pf_onnx_node *node, uint32_t slot, double when_absent, const char *what)
{
    double value = when_absent;

    if (pf_onnx_in(node, slot) != PF_NONE && !pf_onnx_constant_number(node, pf_onnx_in(node, slot), &value))
        pf_onnx_fail(node, PF_UNSUPPORTED, "its %s is not known when the model is built", what);
    return value;
}

static int64_t int_or(pf_onnx_node *node, uint32_t slot, int64_t when_absent, const char *what)
{
    int64_t value = when_absent;

    if (pf_onnx_in(node, slot) != PF_NONE && !pf_onnx_constant_int(node, pf_onnx_in(node, slot), &value))
        pf_onnx_fail(node, PF_UNSUPPORTED, "its %s is not known when the model is built", what);
    return value;
}

void pf_onnx_non_max_suppression(pf_onnx_node *node)
{
    pf_non_max_suppression_attrs attrs = {
        .center_point_box = pf_onnx_int(node, "center_point_box", 0),
        .max_output_boxes = int_or(node, 2, 0, "number of boxes"),
        .iou_threshold = number_or(node, 3, 0, "overlap"),
        .score_threshold = number_or(node, 4, 0, "threshold"),
        .has_score_threshold = pf_onnx_in(node, 4) != PF_NONE,
    };

    node->out[0] = pf_onnx_emit2(node, PF_OP_NON_MAX_SUPPRESSION, &attrs, pf_onnx_in(node, 0), pf_onnx_in(node, 1));
}

/* Without an axis the input is one row. */
void pf_onnx_compress(pf_onnx_node *node)
{
    static const pf_reshape_attrs row = { { 1, { -1 } } };
    pf_value_id                   x = pf_onnx_in(node, 0);
    pf_axis_attrs                 attrs = { 0 };

    if (pf_onnx_has_attr(node, "axis"))
        attrs.axis = pf_onnx_axis(node, pf_onnx_int(node, "axis", 0), pf_onnx_rank(node, x));
    else
        x = pf_onnx_emit1(node, PF_OP_RESHAPE, &row, x);
    node->out[0] = pf_onnx_emit2(node, PF_OP_COMPRESS, &attrs, x, pf_onnx_in(node, 1));
}

void pf_onnx_unique(pf_onnx_node *node)
{
    bool            flatten = !pf_onnx_has_attr(node, "axis");
    int32_t         rank = pf_onnx_rank(node, pf_onnx_in(node, 0));
    pf_unique_attrs attrs = {
        .axis = flatten ? 0 : pf_onnx_axis(node, pf_onnx_int(node, "axis", 0), rank),
        .flatten = flatten,
        .unsorted = !pf_onnx_int(node, "sorted", 1),
    };

    pf_onnx_emit_same(node, PF_OP_UNIQUE, &attrs);
}

void pf_onnx_string_concat(pf_onnx_node *node)
{
    pf_onnx_emit_same(node, PF_OP_STRING_CONCAT, NULL);
}

void pf_onnx_string_split(pf_onnx_node *node)
{
    const char           *delimiter = pf_onnx_string(node, "delimiter", NULL);
    pf_string_split_attrs attrs = { delimiter && *delimiter ? delimiter : NULL, pf_onnx_int(node, "maxsplit", 0) };
    pf_value_id           out[2] = { PF_NONE, PF_NONE };

    pf_onnx_emit(node, PF_OP_STRING_SPLIT, &attrs, 1, node->in, 2, out);
    for (uint32_t i = 0; i < node->out_count; i++)
        node->out[i] = out[i];
}

static pf_value_id list_value(pf_onnx_node *node, pf_dtype dtype, const void *items, int64_t count, size_t item_bytes)
{
    pf_onnx_data data = {
        .dtype = dtype, .shape = { 1, { count } }, .data = count ? items : "", .bytes = (size_t)count * item_bytes
    };

    return pf_onnx_add_data(node, &data);
}

void pf_onnx_string_normalizer(pf_onnx_node *node)
{
    static const char *const   cases[] = { "NONE", "LOWER", "UPPER", NULL };
    pf_string_normalizer_attrs attrs = { pf_onnx_choice(node, "case_change_action", "NONE", cases),
                                         pf_onnx_int(node, "is_case_sensitive", 0) };
    uint32_t                   count = 0;
    const char               **words = pf_onnx_strings(node, "stopwords", &count);

    if (count)
        node->out[0] = pf_onnx_emit2(node, PF_OP_STRING_NORMALIZER, &attrs, pf_onnx_in(node, 0),
                                     list_value(node, PF_STRING, words, count, sizeof *words));
    else
        node->out[0] = pf_onnx_emit1(node, PF_OP_STRING_NORMALIZER, &attrs, pf_onnx_in(node, 0));
}

void pf_onnx_regex_full_match(pf_onnx_node *node)
{
    pf_regex_attrs attrs = { pf_onnx_string(node, "pattern", "") };

    pf_onnx_emit_same(node, PF_OP_REGEX_FULL_MATCH, &attrs);
}

static pf_value_id ints_value(pf_onnx_node *node, const char *name)
{
    const Onnx__AttributeProto *a = pf_onnx_attr(node, name);

    return list_value(node, PF_I64, a ? a->ints : NULL, a ? (int64_t)a->n_ints : 0, sizeof(int64_t));
}

static pf_value_id tf_idf_pool(pf_onnx_node *node)
{
    uint32_t     count = 0;
    const char **words = pf_onnx_strings(node, "pool_strings", &count);

    return count ? list_value(node, PF_STRING, words, count, sizeof *words) : ints_value(node, "pool_int64s");
}

/* The lists may be long, so they are constants and not attributes. */
void pf_onnx_tf_idf(pf_onnx_node *node)
{
    static const char *const    modes[] = { "TF", "IDF", "TFIDF", NULL };
    pf_tf_idf_attrs attrs = { pf_onnx_choice(node, "mode", "", modes), pf_onnx_int(node, "min_gram_length", 1),
                              pf_onnx_int(node, "max_gram_length", 1), pf_onnx_int(node, "max_skip_count", 0) };
    const Onnx__AttributeProto *weights = pf_onnx_attr(node, "weights");
    pf_value_id in[5] = { pf_onnx_in(node, 0), ints_value(node, "ngram_counts"), ints_value(node, "ngram_indexes"),
                          tf_idf_pool(node), PF_NONE };

    if (weights && weights->n_floats)
        in[4] = list_value(node, PF_F32, weights->floats, (int64_t)weights->n_floats, sizeof(float));
    pf_onnx_emit(node, PF_OP_TF_IDF, &attrs, 5, in, 1, node->out);
}

static pf_nll_loss_attrs loss_attrs(pf_onnx_node *node)
{
    static const char *const reductions[] = { "mean", "sum", "none", NULL };

    return (pf_nll_loss_attrs) { pf_onnx_choice(node, "reduction", "mean", reductions),
                                 pf_onnx_has_attr(node, "ignore_index"), pf_onnx_int(node, "ignore_index", 0) };
}

void pf_onnx_nll_loss(pf_onnx_node *node)
{
    pf_nll_loss_attrs attrs = loss_attrs(node);

    pf_onnx_emit_same(node, PF_OP_NLL_LOSS, &attrs);
}

/* scores, labels, weights: the loss of their log-softmax, which may come out too. */
void pf_onnx_softmax_loss(pf_onnx_node *node)
{
    static const pf_axis_attrs classes = { 1 };
    pf_nll_loss_attrs          attrs = loss_attrs(node);
    pf_value_id                logs = pf_onnx_emit1(node, PF_OP_LOG_SOFTMAX, &classes, pf_onnx_in(node, 0));

    node->out[0] = pf_onnx_emit3(node, PF_OP_NLL_LOSS, &attrs, logs, pf_onnx_in(node, 1), pf_onnx_in(node, 2));
    if (node->out_count > 1)
        node->out[1] = logs;
}
