#include "engine/spatial.h"

static int64_t entry(const pf_ints *list, int32_t i, int64_t absent)
{
    return list->count > i ? list->at[i] : absent;
}

/* ONNX's SAME: the output has ceil(in / stride) places; an odd pad goes to the end (UPPER) or to the front (LOWER). */
static void pad_to_same(pf_spatial *s, int32_t i, int64_t in, bool upper)
{
    int64_t places = (in + s->stride[i] - 1) / s->stride[i];
    int64_t reach = (places - 1) * s->stride[i] + (s->kernel[i] - 1) * s->dilation[i] + 1;
    int64_t pad = reach > in ? reach - in : 0;

    s->begin[i] = upper ? pad / 2 : pad - pad / 2;
    s->end[i] = pad - s->begin[i];
}

void pf_spatial_fill(pf_spatial *out, int32_t count, const int64_t *in, const int64_t *kernel, const pf_ints *strides,
                     const pf_ints *dilations, const pf_ints *pads, int32_t auto_pad)
{
    *out = (pf_spatial){ .count = count };
    for (int32_t i = 0; i < count && i < PF_SPATIAL_MAX; i++) {
        out->kernel[i] = kernel[i];
        out->stride[i] = entry(strides, i, 1);
        out->dilation[i] = entry(dilations, i, 1);
        out->begin[i] = entry(pads, i, 0);
        out->end[i] = entry(pads, i + count, 0);
        if (auto_pad != PF_AUTO_PAD_NONE)
            pad_to_same(out, i, in[i], auto_pad == PF_AUTO_PAD_SAME_UPPER);
    }
}
