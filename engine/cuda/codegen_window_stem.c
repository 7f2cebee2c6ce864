/* Stems: convolutions of few channels, each of which is a picture of its own.  All that an output reads is few numbers,
   so they are multiplied in FP32 as they come, and nothing has to be padded or turned. */
#include "engine/cuda/codegen_window_private.h"
#include "engine/epilogue.h"

enum {
    CHANNELS_MAX = 4,
    WEIGHTS_MAX = 2400,         /* with more a stem takes longer to compute than its result to write */
};

bool cg_stem_is(const pf_conv_attrs *attrs, const pf_shape *x, const pf_shape *w)
{
    return attrs->groups == 1 && x->dim[1] == w->dim[1] && w->dim[1] <= CHANNELS_MAX && w->dim[0] % 4 == 0 &&
           w->dim[0] * w->dim[1] * w->dim[2] * w->dim[3] <= WEIGHTS_MAX;
}

/* A strip's columns of a row come as aligned pieces of four where pictures have such rows and strips begin at them. */
static int64_t piece_of(const pf_problem *p, const cg_window_form *form, const pf_window_tuning *tuning)
{
    return cg_window_in(p, form)->dim[3] % 4 == 0 && tuning->strip * form->strides->at[1] % 4 == 0 ? 4 : 1;
}

/* Weights lie in shared memory as [channel and tap][output]. */
void cg_stem_emit_weights(const pf_problem *p, const cg_window_form *form, pf_buf *out)
{
    const char *convert = cg_load_function(pf_graph_value(p->graph, form->node->in[1])->dtype);

    pf_buf_printf(out, "  __shared__ __align__(16) float weights[TAPS][OUTPUTS];\n"
                       "  for (int t = threadIdx.x; t < TAPS * OUTPUTS; t += blockDim.x)\n"
                       "    weights[t %% TAPS][t / TAPS] = %s(in%u[t]);\n"
                       "  __syncthreads();\n", convert, pf_problem_input_index(p, form->node->in[1]));
}

void cg_stem_emit_taps(const pf_problem *p, const cg_window_form *form, pf_buf *out)
{
    pf_dtype    dtype = pf_graph_value(p->graph, form->node->in[0])->dtype;
    const char *type = cg_storage_type(dtype);

    pf_buf_printf(out, "  float sum[S][V];\n"
                       "  _Pragma(\"unroll\") for (int s = 0; s < S; ++s) LANES sum[s][l] = 0.0f;\n");
    pf_buf_printf(out, "  _Pragma(\"unroll\") for (int c = 0; c < CHANNELS; ++c)\n"
                       "  _Pragma(\"unroll\") for (int kh = 0; kh < KH; ++kh) {\n"
                       "    const idx ih = oh * SH - PH + kh * DH, first = ow * SW - LEAD;\n"
                       "    const %s *row = in%u + (((long long)i0 * CHANNELS + c) * H + ih) * W;\n", type, form->x);
    pf_buf_printf(out, "    wide<%s, PIECE> column[(LEAD - PW + COLUMNS + PIECE - 1) / PIECE];\n"
                       "    _Pragma(\"unroll\") for (int k = 0; k < (int)(sizeof column / sizeof *column); ++k) {\n"
                       "      const idx iw = first + k * PIECE; column[k] = {};\n"
                       "      if (ih >= 0 && ih < H && iw >= 0 && iw < W)\n"
                       "        column[k] = *(const wide<%s, PIECE> *)(row + iw); }\n", type, type);
    pf_buf_printf(out, "    _Pragma(\"unroll\") for (int kw = 0; kw < KW; ++kw) {\n"
                       "      const float *tap = &weights[(c * KH + kh) * KW + kw][i3];\n"
                       "      const wide<float, V> w = *(const wide<float, V> *)tap;\n"
                       "      _Pragma(\"unroll\") for (int s = 0; s < S; ++s) {\n"
                       "        const int k = s * SW + kw * DW + LEAD - PW;\n"
                       "        const float a = %s(column[k / PIECE].at[k %% PIECE]);\n"
                       "        LANES sum[s][l] = fmaf(a, w.at[l], sum[s][l]); } }\n  }\n",
                  cg_load_function(dtype));
}

void cg_stem_emit_defines(const pf_problem *p, const cg_window_form *form, const pf_window_tuning *tuning,
                          pf_buf *out)
{
    int64_t channels = cg_window_in(p, form)->dim[1], piece = piece_of(p, form, tuning);

    pf_buf_printf(out, "#define CHANNELS %lld\n#define OUTPUTS %lld\n#define TAPS (CHANNELS * KH * KW)\n"
                       "#define PIECE %lld\n#define LEAD %lld\n", (long long)channels,
                  (long long)cg_window_out(p, form)->dim[1], (long long)piece,
                  (long long)(cg_up(form->pads->at[1], piece) * piece));
}
