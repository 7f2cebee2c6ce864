/* Descriptions of tensors for oneDNN, and their stored form. */
#include <string.h>

#include "engine/onednn.h"

pf_status pf_onednn_fail(dnnl_status_t status, const char *what, pf_err *err)
{
    switch (status) {
    case dnnl_unimplemented:
    case dnnl_invalid_arguments:
        return PF_FAIL(err, PF_UNSUPPORTED, "oneDNN cannot %s: it has no implementation for this case", what);
    case dnnl_out_of_memory:
        return PF_FAIL(err, PF_NO_SPACE, "oneDNN cannot %s: out of memory", what);
    default:
        return PF_FAIL(err, PF_DEVICE, "oneDNN cannot %s: status %d", what, (int)status);
    }
}

bool pf_onednn_dtype(pf_dtype dtype, dnnl_data_type_t *out)
{
    static const dnnl_data_type_t types[PF_DTYPE_COUNT] = {
        [PF_F32] = dnnl_f32, [PF_BF16] = dnnl_bf16, [PF_F16] = dnnl_f16, [PF_I32] = dnnl_s32, [PF_I8] = dnnl_s8,
        [PF_U8] = dnnl_u8,
    };

    *out = types[dtype];
    return *out != dnnl_data_type_undef;
}

static dnnl_format_tag_t tag_of(pf_layout layout, int32_t rank)
{
    static const dnnl_format_tag_t last[] = { dnnl_acb, dnnl_acdb, dnnl_acdeb };
    static const dnnl_format_tag_t by_8[] = { dnnl_aBc8b, dnnl_aBcd8b, dnnl_aBcde8b };
    static const dnnl_format_tag_t by_16[] = { dnnl_aBc16b, dnnl_aBcd16b, dnnl_aBcde16b };

    if (rank < 3 || rank > 5)
        return dnnl_format_tag_undef;
    return layout == PF_LAYOUT_CHANNELS_LAST ? last[rank - 3]
           : layout == PF_LAYOUT_C8          ? by_8[rank - 3]
                                             : by_16[rank - 3];
}

static pf_status strided(dnnl_data_type_t type, int32_t rank, const int64_t *dim, dnnl_memory_desc_t *out, pf_err *err)
{
    dnnl_dims_t dims = { 1 }, strides = { 1 };
    int32_t     own_rank = rank > 0 ? rank : 1;

    for (int32_t i = 0; i < rank; i++)
        dims[i] = dim[i];
    strides[own_rank - 1] = 1;
    for (int32_t i = own_rank - 1; i-- > 0;)
        strides[i] = strides[i + 1] * dims[i + 1];
    dnnl_status_t status = dnnl_memory_desc_init_by_strides(out, own_rank, dims, type, strides);

    return status ? pf_onednn_fail(status, "describe a tensor", err) : PF_OK;
}

static pf_status dense(pf_layout layout, pf_dtype dtype, int32_t rank, const int64_t *dim, dnnl_memory_desc_t *out,
                       pf_err *err)
{
    dnnl_data_type_t  type = dnnl_data_type_undef;
    dnnl_dims_t       dims = { 0 };
    dnnl_format_tag_t tag = dnnl_format_tag_undef;
    dnnl_status_t     status = dnnl_success;

    if (!pf_onednn_dtype(dtype, &type))
        return PF_FAIL(err, PF_UNSUPPORTED, "oneDNN has no type %s", pf_dtype_name(dtype));
    if (layout == PF_LAYOUT_LINEAR)
        return strided(type, rank, dim, out, err);
    tag = tag_of(layout, rank);
    if (tag == dnnl_format_tag_undef)
        return PF_FAIL(err, PF_UNSUPPORTED, "oneDNN has no layout %s of rank %d", pf_layout_name(layout), rank);
    memcpy(dims, dim, (size_t)rank * sizeof *dim);
    status = dnnl_memory_desc_init_by_tag(out, rank, dims, type, tag);
    return status ? pf_onednn_fail(status, "describe a tensor", err) : PF_OK;
}

/* With a pitch: the first channels of a wider tensor. */
pf_status pf_onednn_desc(pf_layout layout, pf_dtype dtype, int32_t rank, const int64_t *dim, dnnl_memory_desc_t *out,
                         pf_err *err)
{
    dnnl_memory_desc_t whole;
    dnnl_dims_t        dims = { 0 }, start = { 0 };
    int64_t            wide[PF_MAX_RANK] = { 0 };
    dnnl_status_t      status = dnnl_success;
    pf_status          st = PF_OK;

    if (!pf_layout_pitch(layout))
        return dense(layout, dtype, rank, dim, out, err);
    memcpy(wide, dim, (size_t)rank * sizeof *dim);
    memcpy(dims, dim, (size_t)rank * sizeof *dim);
    wide[1] = pf_layout_pitch(layout);
    st = dense(pf_layout_kind(layout), dtype, rank, wide, &whole, err);
    if (st)
        return st;
    status = dnnl_memory_desc_init_submemory(out, &whole, dims, start);
    return status ? pf_onednn_fail(status, "describe a part of a tensor", err) : PF_OK;
}

pf_status pf_onednn_desc_value(const pf_problem *p, pf_value_id value, pf_layout layout, dnnl_memory_desc_t *out,
                               pf_err *err)
{
    const pf_value *v = pf_graph_value(p->graph, value);

    if (!pf_shape_is_static(&v->shape))
        return PF_FAIL(err, PF_INVALID, "a step needs a problem whose dims are numbers");
    return pf_onednn_desc(layout, v->dtype, v->shape.rank, v->shape.dim, out, err);
}

bool pf_onednn_by_image(const pf_problem *p)
{
    bool by_image = pf_problem_has_pitch(p);

    for (uint32_t i = 0; i < p->graph->input_count; i++)
        by_image = by_image &&
                   (!pf_layout_pitch(p->in_layout[i]) || pf_layout_kind(p->in_layout[i]) != PF_LAYOUT_CHANNELS_LAST);
    for (uint32_t i = 0; i < p->graph->output_count; i++)
        by_image = by_image &&
                   (!pf_layout_pitch(p->out_layout[i]) || pf_layout_kind(p->out_layout[i]) != PF_LAYOUT_CHANNELS_LAST);
    return by_image;
}

pf_status pf_onednn_desc_image(const pf_problem *p, pf_value_id value, pf_layout layout, dnnl_memory_desc_t *out,
                               size_t *image_bytes, pf_err *err)
{
    const pf_value *v = pf_graph_value(p->graph, value);
    pf_strides      s = { { 0 }, 0, 0 };
    int64_t         dim[PF_MAX_RANK] = { 0 };

    *image_bytes = 0;
    if (!pf_shape_is_static(&v->shape))
        return PF_FAIL(err, PF_INVALID, "a step needs a problem whose dims are numbers");
    if (v->shape.dim[0] < 1)
        return PF_FAIL(err, PF_UNSUPPORTED, "there is no image");
    memcpy(dim, v->shape.dim, sizeof dim);
    s = pf_layout_strides(layout, v->shape.rank, dim);
    dim[0] = 1;
    *image_bytes = pf_dtype_bytes(v->dtype, (uint64_t)s.dim[0]);
    return pf_onednn_desc(pf_layout_kind(layout), v->dtype, v->shape.rank, dim, out, err);
}

pf_status pf_onednn_desc_any(pf_dtype dtype, int32_t rank, const int64_t *dim, dnnl_memory_desc_t *out, pf_err *err)
{
    dnnl_data_type_t type = dnnl_data_type_undef;
    dnnl_dims_t      dims = { 0 };
    dnnl_status_t    status = dnnl_success;

    if (!pf_onednn_dtype(dtype, &type))
        return PF_FAIL(err, PF_UNSUPPORTED, "oneDNN has no type %s", pf_dtype_name(dtype));
    memcpy(dims, dim, (size_t)rank * sizeof *dim);
    status = dnnl_memory_desc_init_by_tag(out, rank, dims, type, dnnl_format_tag_any);
    return status ? pf_onednn_fail(status, "describe a tensor", err) : PF_OK;
}

/* ---- The stored form: u8 version, then ndims, type, dims, padded dims, padded offsets, offset, format kind, and by
   kind the blocking or the Winograd fields, then the extra flags. A change raises the version; a plan with another one
   is rebuilt. */
enum { DESC_VERSION = 1 };

static void write_dims(const dnnl_dims_t dims, int count, pf_buf *out)
{
    for (int i = 0; i < count; i++)
        pf_buf_put_u64(out, (uint64_t)dims[i]);
}

static void read_dims(pf_reader *from, int count, dnnl_dims_t dims)
{
    for (int i = 0; i < count; i++)
        dims[i] = (int64_t)pf_read_u64(from);
}

static void write_wino(const dnnl_wino_desc_t *w, pf_buf *out)
{
    const int fields[] = { (int)w->wino_format, w->r, w->alpha, w->ic, w->oc, w->ic_block, w->oc_block, w->ic2_block,
                           w->oc2_block };

    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        pf_buf_put_u32(out, (uint32_t)fields[i]);
    pf_buf_put_f64(out, w->adj_scale);
    pf_buf_put_u64(out, w->size);
}

static void read_wino(pf_reader *from, dnnl_wino_desc_t *w)
{
    w->wino_format = (dnnl_wino_memory_format_t)pf_read_u32(from);
    w->r = (int)pf_read_u32(from);
    w->alpha = (int)pf_read_u32(from);
    w->ic = (int)pf_read_u32(from);
    w->oc = (int)pf_read_u32(from);
    w->ic_block = (int)pf_read_u32(from);
    w->oc_block = (int)pf_read_u32(from);
    w->ic2_block = (int)pf_read_u32(from);
    w->oc2_block = (int)pf_read_u32(from);
    w->adj_scale = (float)pf_read_f64(from);
    w->size = pf_read_u64(from);
}

void pf_onednn_desc_write(const dnnl_memory_desc_t *desc, pf_buf *out)
{
    pf_buf_put_u8(out, DESC_VERSION);
    pf_buf_put_u8(out, (uint8_t)desc->ndims);
    pf_buf_put_u32(out, (uint32_t)desc->data_type);
    write_dims(desc->dims, desc->ndims, out);
    write_dims(desc->padded_dims, desc->ndims, out);
    write_dims(desc->padded_offsets, desc->ndims, out);
    pf_buf_put_u64(out, (uint64_t)desc->offset0);
    pf_buf_put_u32(out, (uint32_t)desc->format_kind);
    if (desc->format_kind == dnnl_blocked) {
        const dnnl_blocking_desc_t *b = &desc->format_desc.blocking;

        write_dims(b->strides, desc->ndims, out);
        pf_buf_put_u8(out, (uint8_t)b->inner_nblks);
        write_dims(b->inner_blks, b->inner_nblks, out);
        write_dims(b->inner_idxs, b->inner_nblks, out);
    }
    if (desc->format_kind == dnnl_format_kind_wino)
        write_wino(&desc->format_desc.wino_desc, out);
    pf_buf_put_u64(out, desc->extra.flags);
    pf_buf_put_u32(out, (uint32_t)desc->extra.compensation_mask);
    pf_buf_put_f64(out, desc->extra.scale_adjust);
    pf_buf_put_u32(out, (uint32_t)desc->extra.asymm_compensation_mask);
}

pf_status pf_onednn_desc_read(pf_reader *from, dnnl_memory_desc_t *out, pf_err *err)
{
    uint8_t version = pf_read_u8(from);

    memset(out, 0, sizeof *out);
    out->ndims = pf_read_u8(from);
    if (version != DESC_VERSION || out->ndims < 1 || out->ndims > DNNL_MAX_NDIMS)
        return PF_FAIL(err, PF_CORRUPT, "a stored oneDNN description is malformed");
    out->data_type = (dnnl_data_type_t)pf_read_u32(from);
    read_dims(from, out->ndims, out->dims);
    read_dims(from, out->ndims, out->padded_dims);
    read_dims(from, out->ndims, out->padded_offsets);
    out->offset0 = (int64_t)pf_read_u64(from);
    out->format_kind = (dnnl_format_kind_t)pf_read_u32(from);
    if (out->format_kind == dnnl_blocked) {
        dnnl_blocking_desc_t *b = &out->format_desc.blocking;

        read_dims(from, out->ndims, b->strides);
        b->inner_nblks = pf_read_u8(from);
        if (b->inner_nblks > DNNL_MAX_NDIMS)
            return PF_FAIL(err, PF_CORRUPT, "a stored oneDNN description is malformed");
        read_dims(from, b->inner_nblks, b->inner_blks);
        read_dims(from, b->inner_nblks, b->inner_idxs);
    }
    if (out->format_kind == dnnl_format_kind_wino)
        read_wino(from, &out->format_desc.wino_desc);
    out->extra.flags = pf_read_u64(from);
    out->extra.compensation_mask = (int)pf_read_u32(from);
    out->extra.scale_adjust = (float)pf_read_f64(from);
    out->extra.asymm_compensation_mask = (int)pf_read_u32(from);
    if (from->failed || (out->format_kind != dnnl_blocked && out->format_kind != dnnl_format_kind_wino))
        return PF_FAIL(err, PF_CORRUPT, "a stored oneDNN description is malformed");
    return PF_OK;
}
