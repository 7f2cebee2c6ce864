/* Ops that have a name but no implementation yet: every use is refused. A row goes when the op's own file comes. */
#include "engine/op.h"

static pf_status refuse(pf_infer *infer, pf_err *err)
{
    return PF_FAIL(err, PF_UNSUPPORTED, "%s cannot be computed by this version", pf_op_def_of(infer->node->op)->name);
}

static pf_status refuse_reference(pf_reference_call *call, pf_err *err)
{
    return PF_FAIL(err, PF_UNSUPPORTED, "%s cannot be computed by this version", call->def->name);
}

#define PENDING(op) \
    const pf_op_def pf_op_##op = { #op, PF_CLASS_HOST, 0, 255, 1, 255, 0, 0, NULL, refuse, refuse_reference }

PENDING(conv);
PENDING(conv_transpose);
PENDING(deform_conv);
PENDING(conv_integer);
PENDING(matmul);
PENDING(matmul_integer);
PENDING(gemm);
PENDING(einsum);
PENDING(attention);
PENDING(rotary_embedding);
PENDING(det);
PENDING(max_pool);
PENDING(average_pool);
PENDING(lp_pool);
PENDING(max_unpool);
PENDING(max_roi_pool);
PENDING(roi_align);
PENDING(reduce);
PENDING(arg_reduce);
PENDING(cumulate);
PENDING(topk);
PENDING(softmax);
PENDING(log_softmax);
PENDING(hardmax);
PENDING(batch_norm);
PENDING(instance_norm);
PENDING(group_norm);
PENDING(layer_norm);
PENDING(rms_norm);
PENDING(lp_norm);
PENDING(mean_variance_norm);
PENDING(lrn);
PENDING(nll_loss);
PENDING(cast);
PENDING(bit_cast);
PENDING(quantize_linear);
PENDING(dequantize_linear);
PENDING(dynamic_quantize_linear);
PENDING(identity);
PENDING(reshape);
PENDING(reshape_dynamic);
PENDING(shape);
PENDING(size);
PENDING(dim_values);
PENDING(transpose);
PENDING(concat);
PENDING(split);
PENDING(slice);
PENDING(slice_dynamic);
PENDING(pad);
PENDING(expand);
PENDING(expand_dynamic);
PENDING(tile);
PENDING(gather);
PENDING(gather_elements);
PENDING(gather_nd);
PENDING(scatter_elements);
PENDING(scatter_nd);
PENDING(tensor_scatter);
PENDING(resize);
PENDING(grid_sample);
PENDING(affine_grid);
PENDING(depth_to_space);
PENDING(space_to_depth);
PENDING(col2im);
PENDING(reverse_sequence);
PENDING(trilu);
PENDING(one_hot);
PENDING(eye_like);
PENDING(range);
PENDING(lstm);
PENDING(gru);
PENDING(rnn);
PENDING(dft);
PENDING(stft);
PENDING(window);
PENDING(mel_weight_matrix);
PENDING(random_normal);
PENDING(random_uniform);
PENDING(bernoulli);
PENDING(multinomial);
PENDING(non_zero);
PENDING(non_max_suppression);
PENDING(compress);
PENDING(unique);
PENDING(if);
PENDING(loop);
PENDING(scan);
PENDING(sequence_construct);
PENDING(sequence_at);
PENDING(sequence_insert);
PENDING(sequence_erase);
PENDING(sequence_length);
PENDING(concat_from_sequence);
PENDING(split_to_sequence);
PENDING(optional);
PENDING(optional_get);
PENDING(optional_has);
PENDING(string_concat);
PENDING(string_split);
PENDING(string_normalizer);
PENDING(regex_full_match);
PENDING(tf_idf);
