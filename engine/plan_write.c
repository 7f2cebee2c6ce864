#include <string.h>

#include "base/alloc.h"
#include "engine/plan_sections.h"

enum { SECTIONS_LIMIT = 1 << 30 };

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
    put_text(out, pf_layout_print(value->layout).at);
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

static void write_row(uint8_t *end, int section, uint64_t offset, uint64_t bytes, const pf_digest *digest)
{
    uint8_t *row = end + section * PF_PLAN_ROW_BYTES;

    put_le(row, (uint64_t)section, 8);
    put_le(row + 8, offset, 8);
    put_le(row + 16, bytes, 8);
    memcpy(row + 24, digest->byte, sizeof digest->byte);
}

/* end: the table, complete, and the footer after it. */
static void write_footer(uint8_t *end, uint64_t file_bytes)
{
    uint8_t  *footer = end + PF_PLAN_TABLE_BYTES;
    pf_digest table = { 0 };

    pf_digest_of(end, PF_PLAN_TABLE_BYTES, &table);
    memset(footer, 0, PF_PLAN_FOOTER_BYTES);
    put_le(footer, PF_SECTION_COUNT, 4);
    put_le(footer + 8, file_bytes, 8);
    memcpy(footer + PF_PLAN_DIGEST_AT, table.byte, sizeof table.byte);
    memcpy(footer + PF_PLAN_MAGIC_AT, PF_PLAN_MAGIC, 8);
}

void pf_plan_write_header(uint8_t *header)
{
    memset(header, 0, PF_PLAN_HEADER_BYTES);
    memcpy(header, PF_PLAN_MAGIC, 8);
    put_le(header + 8, PF_PLAN_VERSION, 4);
}

/* The digest of the weights is that of the file up to their end. */
static void write_weights_row(const pf_plan_file *file, uint8_t *end)
{
    pf_hash   hash = file->hash;
    pf_digest digest = { 0 };

    pf_hash_end(&hash, &digest);
    write_row(end, PF_SECTION_WEIGHTS, PF_PLAN_HEADER_BYTES, file->hashed_bytes - PF_PLAN_HEADER_BYTES, &digest);
}

static void write_sections(const struct pf_plan *draft, const pf_plan_file *file, uint8_t *end, pf_buf *out)
{
    for (int i = 0; i < PF_SECTION_WEIGHTS; i++) {
        size_t    at = out->size;
        pf_digest digest = { 0 };

        write_section[i](draft, out);
        if (out->failed)
            return;
        pf_digest_of(out->data + at, out->size - at, &digest);
        write_row(end, i, file->hashed_bytes + at, out->size - at, &digest);
    }
}

pf_status pf_plan_write(const struct pf_plan *draft, const pf_plan_file *file, pf_err *err)
{
    uint8_t   end[PF_PLAN_END_BYTES] = { 0 };
    pf_buf    out = { 0 };
    pf_status st = PF_OK;

    pf_buf_init(&out, SECTIONS_LIMIT);
    write_sections(draft, file, end, &out);
    write_weights_row(file, end);
    write_footer(end, file->hashed_bytes + out.size + sizeof end);
    if (!pf_buf_put(&out, end, sizeof end))
        st = PF_FAIL(err, PF_NO_SPACE, "the tables of the plan need more than %d bytes, or more than there is memory",
                     SECTIONS_LIMIT);
    if (!st)
        st = pf_file_write_at(file->fd, out.data, out.size, file->hashed_bytes, err);
    pf_buf_clear(&out);
    return st;
}

pf_status pf_plan_write_check(pf_plan *plan, pf_err *err)
{
    uint64_t  end_at = plan->bytes - PF_PLAN_END_BYTES;
    uint8_t   end[PF_PLAN_END_BYTES];
    uint64_t  offset = 0;
    pf_digest digest = { 0 };
    pf_buf    buf = { 0 };
    pf_status st = PF_OK;

    memcpy(end, plan->data + end_at, sizeof end);
    offset = get_le(end + PF_SECTION_CHECK * PF_PLAN_ROW_BYTES + 8, 8);
    pf_buf_init(&buf, PF_PLAN_CHECK_BYTES);
    put_check(&plan->check, &buf);
    if (buf.failed || buf.size != PF_PLAN_CHECK_BYTES)
        st = PF_FAIL_MEMORY(err, PF_PLAN_CHECK_BYTES);
    if (!st) {
        pf_digest_of(buf.data, buf.size, &digest);
        write_row(end, PF_SECTION_CHECK, offset, buf.size, &digest);
        write_footer(end, plan->bytes);
        st = pf_file_write_at(plan->file.fd, buf.data, buf.size, offset, err);
    }
    if (!st)
        st = pf_file_write_at(plan->file.fd, end, sizeof end, end_at, err);
    pf_buf_clear(&buf);
    return st;
}
