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
