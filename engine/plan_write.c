#include <string.h>

#include "base/alloc.h"
#include "engine/plan_sections.h"

enum { SECTION_LIMIT = 1 << 30 };

typedef struct writer {
    pf_plan_draft *draft;
    pf_buf         section[PF_SECTION_COUNT];       /* WEIGHTS stays empty: its bytes are copied straight into the file */
    uint64_t       offset[PF_SECTION_COUNT], bytes[PF_SECTION_COUNT];
} writer;

static uint64_t aligned(uint64_t offset)
{
    return (offset + PF_PLAN_ALIGNMENT - 1) / PF_PLAN_ALIGNMENT * PF_PLAN_ALIGNMENT;
}

static void put_text(pf_buf *out, const char *text)
{
    pf_buf_put_string(out, text ? text : "");
}

static void put_digest(pf_buf *out, const pf_digest *digest)
{
    pf_buf_put(out, digest->byte, sizeof digest->byte);
}

static void write_head(const struct pf_plan *plan, pf_buf *out)
{
    put_text(out, plan->network_name);
    put_text(out, plan->builder_abi);
    put_text(out, plan->class_name);
    put_text(out, plan->class_text);
    put_text(out, plan->spec_text);
    put_text(out, plan->rewrites);
    put_digest(out, &plan->key);
    put_digest(out, &plan->model);
}

static void write_symbols(const struct pf_plan *plan, pf_buf *out)
{
    pf_buf_put_u32(out, plan->symbol_count);
    for (uint32_t i = 0; i < plan->symbol_count; i++) {
        put_text(out, plan->symbols[i].name);
        pf_buf_put_u64(out, (uint64_t)plan->symbols[i].least);
        pf_buf_put_u64(out, (uint64_t)plan->symbols[i].usual);
        pf_buf_put_u64(out, (uint64_t)plan->symbols[i].most);
    }
}

static void write_value(const struct pf_plan *plan, const pf_plan_value *value, pf_buf *out)
{
    put_text(out, value->name);
    put_text(out, pf_dtype_name(value->dtype));
    put_text(out, pf_layout_name(value->layout));
    pf_buf_put_u32(out, (uint32_t)value->shape.rank);
    for (int32_t d = 0; d < value->shape.rank; d++) {
        pf_buf text = { 0 };

        pf_buf_init(&text, PF_PLAN_TEXT_LIMIT);
        pf_dim_print(plan->dims, value->shape.dim[d], &text);
        put_text(out, (const char *)text.data);
        out->failed |= text.failed;
        pf_buf_clear(&text);
    }
    pf_buf_put_u32(out, value->home);
    pf_buf_put_u32(out, value->index);
    pf_buf_put_u32(out, value->view_of);
    pf_buf_put_u64(out, value->view_offset);
}

static void write_values(const struct pf_plan *plan, pf_buf *out)
{
    pf_buf_put_u32(out, plan->value_count);
    for (uint32_t i = 0; i < plan->value_count; i++)
        write_value(plan, &plan->values[i], out);
}

static void put_indices(pf_buf *out, const uint32_t *items, uint32_t count)
{
    pf_buf_put_u32(out, count);
    for (uint32_t i = 0; i < count; i++)
        pf_buf_put_u32(out, items[i]);
}

static void write_step(const pf_plan_step *step, pf_buf *out)
{
    put_text(out, step->name);
    put_text(out, step->problem_text);
    put_indices(out, step->in, step->problem->graph->input_count);
    put_indices(out, step->out, step->problem->graph->output_count);
    pf_buf_put_u32(out, step->ranked_count);
    for (uint32_t i = 0; i < step->ranked_count; i++) {
        put_text(out, step->ranked[i].tactic);
        put_text(out, step->ranked[i].tuning);
        pf_buf_put_u16(out, step->ranked[i].rev);
        pf_buf_put_u64(out, (uint64_t)step->ranked[i].time_ns);
    }
    pf_buf_put_blob(out, step->saved, step->saved_bytes);
    pf_buf_put_u32(out, step->packed);
    pf_buf_put_u64(out, step->workspace_bytes);
}

static void write_steps(const struct pf_plan *plan, pf_buf *out)
{
    pf_buf_put_u32(out, plan->step_count);
    for (uint32_t i = 0; i < plan->step_count; i++)
        write_step(&plan->steps[i], out);
}

static void write_io(const struct pf_plan *plan, pf_buf *out)
{
    pf_buf_put_u32(out, plan->io_count);
    for (uint32_t i = 0; i < plan->io_count; i++) {
        put_text(out, plan->io[i].name);
        pf_buf_put_u8(out, plan->io[i].is_input);
        pf_buf_put_u32(out, plan->io_value[i]);
    }
}

static void write_blobs(const struct pf_plan *plan, pf_buf *out)
{
    pf_buf_put_u32(out, plan->blob_count);
    for (uint32_t i = 0; i < plan->blob_count; i++) {
        pf_buf_put_u64(out, plan->blobs[i].offset);
        pf_buf_put_u64(out, plan->blobs[i].bytes);
        put_digest(out, &plan->blobs[i].digest);
    }
}

static void write_tail(const struct pf_plan *plan, pf_buf *out)
{
    put_text(out, plan->tail.text);
    put_indices(out, plan->tail.in, plan->tail.in_count);
    put_indices(out, plan->tail.out, plan->tail.out_count);
}

static void put_check(const pf_plan_check *check, pf_buf *out)
{
    pf_buf_put_f64(out, check->max_rel_error);
    pf_buf_put_f64(out, check->max_rel_error_least);
    pf_buf_put_u64(out, check->memory_bytes);
    pf_buf_put_u64(out, check->memory_lower_bound_bytes);
}

static void write_check(const struct pf_plan *plan, pf_buf *out)
{
    put_check(&plan->check, out);
}

static void (*const write_section[PF_SECTION_COUNT])(const struct pf_plan *plan, pf_buf *out) = {
    [PF_SECTION_HEAD] = write_head,   [PF_SECTION_SYMBOLS] = write_symbols, [PF_SECTION_VALUES] = write_values,
    [PF_SECTION_STEPS] = write_steps, [PF_SECTION_IO] = write_io,           [PF_SECTION_BLOBS] = write_blobs,
    [PF_SECTION_TAIL] = write_tail,   [PF_SECTION_CHECK] = write_check,
};

/* Sizes first, since the offsets of blobs stand in a section before them: the blob table has the same size whatever it says. */
static void lay_out(writer *w)
{
    struct pf_plan *plan = &w->draft->plan;
    uint64_t        at = PF_PLAN_HEADER_BYTES + PF_PLAN_TABLE_BYTES;

    for (int i = 0; i < PF_SECTION_WEIGHTS; i++) {
        pf_buf_init(&w->section[i], SECTION_LIMIT);
        write_section[i](plan, &w->section[i]);
        w->offset[i] = at;
        w->bytes[i] = w->section[i].size;
        at += w->bytes[i];
    }
    at = aligned(at);
    w->offset[PF_SECTION_WEIGHTS] = at;
    for (uint32_t i = 0; i < plan->blob_count; i++) {
        plan->blobs[i].offset = at;
        at = aligned(at + plan->blobs[i].bytes);
    }
    w->bytes[PF_SECTION_WEIGHTS] = at - w->offset[PF_SECTION_WEIGHTS];
    pf_buf_reset(&w->section[PF_SECTION_BLOBS]);
    write_blobs(plan, &w->section[PF_SECTION_BLOBS]);
}

static void put_le(uint8_t *to, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        to[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get_le(const uint8_t *from, int bytes)
{
    uint64_t value = 0;

    for (int i = 0; i < bytes; i++)
        value |= (uint64_t)from[i] << (8 * i);
    return value;
}

static void write_row(const writer *w, uint8_t *data, int section)
{
    uint8_t  *row = data + PF_PLAN_HEADER_BYTES + section * PF_PLAN_ROW_BYTES;
    pf_digest digest = { 0 };

    if (section != PF_SECTION_WEIGHTS)      /* each blob has its own digest in BLOBS */
        pf_digest_of(data + w->offset[section], (size_t)w->bytes[section], &digest);
    put_le(row, (uint64_t)section, 4);
    put_le(row + 8, w->offset[section], 8);
    put_le(row + 16, w->bytes[section], 8);
    memcpy(row + 24, digest.byte, sizeof digest.byte);
}

static void write_header(uint8_t *data, size_t bytes)
{
    pf_digest table = { 0 };

    pf_digest_of(data + PF_PLAN_HEADER_BYTES, PF_PLAN_TABLE_BYTES, &table);
    memcpy(data, PF_PLAN_MAGIC, 8);
    put_le(data + 8, PF_PLAN_VERSION, 4);
    put_le(data + 12, PF_SECTION_COUNT, 4);
    put_le(data + 16, bytes, 8);
    memcpy(data + PF_PLAN_DIGEST_AT, table.byte, sizeof table.byte);
}

static void fill(const writer *w, uint8_t *data, size_t bytes)
{
    const struct pf_plan *plan = &w->draft->plan;

    for (int i = 0; i < PF_SECTION_WEIGHTS; i++)
        if (w->section[i].size)
            memcpy(data + w->offset[i], w->section[i].data, w->section[i].size);
    for (uint32_t i = 0; i < plan->blob_count; i++)
        memcpy(data + plan->blobs[i].offset, w->draft->blob_data[i], (size_t)plan->blobs[i].bytes);
    for (int i = 0; i < PF_SECTION_COUNT; i++)
        write_row(w, data, i);
    write_header(data, bytes);
}

pf_status pf_plan_write(pf_plan_draft *draft, uint8_t **data, size_t *bytes, pf_err *err)
{
    writer    w = { .draft = draft };
    pf_status st = PF_OK;

    *data = NULL;
    *bytes = 0;
    lay_out(&w);
    for (int i = 0; i < PF_SECTION_WEIGHTS && !st; i++)
        if (w.section[i].failed)
            st = PF_FAIL(err, PF_NO_SPACE, "a table of the plan needs more than %d bytes", SECTION_LIMIT);
    if (!st) {
        *bytes = (size_t)(w.offset[PF_SECTION_WEIGHTS] + w.bytes[PF_SECTION_WEIGHTS]);
        *data = pf_alloc_aligned(PF_PLAN_ALIGNMENT, *bytes);
        st = *data ? PF_OK : PF_FAIL_MEMORY(err, *bytes);
    }
    if (!st) {
        memset(*data, 0, *bytes);
        fill(&w, *data, *bytes);
    }
    for (int i = 0; i < PF_SECTION_WEIGHTS; i++)
        pf_buf_clear(&w.section[i]);
    return st;
}

pf_status pf_plan_write_check(uint8_t *data, const pf_plan_check *check, pf_err *err)
{
    uint8_t  *row = data + PF_PLAN_HEADER_BYTES + PF_SECTION_CHECK * PF_PLAN_ROW_BYTES;
    uint64_t  offset = get_le(row + 8, 8);
    pf_digest digest = { 0 };
    pf_buf    buf = { 0 };
    pf_status st = PF_OK;

    pf_buf_init(&buf, PF_PLAN_CHECK_BYTES);
    put_check(check, &buf);
    if (buf.failed || buf.size != PF_PLAN_CHECK_BYTES)
        st = PF_FAIL_MEMORY(err, PF_PLAN_CHECK_BYTES);
    if (!st) {
        memcpy(data + offset, buf.data, buf.size);
        pf_digest_of(data + offset, PF_PLAN_CHECK_BYTES, &digest);
        memcpy(row + 24, digest.byte, sizeof digest.byte);
        write_header(data, (size_t)get_le(data + 16, 8));
    }
    pf_buf_clear(&buf);
    return st;
}
