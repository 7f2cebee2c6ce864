/* Bytes to a plan. Nothing in them is trusted: every length is checked against what is there, every index against its
   table. */
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "engine/op.h"
#include "engine/plan_sections.h"
#include "engine/runtime_resident.h"

typedef struct section { const uint8_t *data; uint64_t offset, bytes; pf_digest digest; } section;

typedef struct loading {
    struct pf_plan *plan;
    section         sections[PF_SECTION_COUNT];
    pf_reader       r;                  /* over the section being read */
    pf_err         *err;
    pf_status       st;                 /* the first failure; later reads do nothing that matters */
} loading;

static const char *const section_name[PF_SECTION_COUNT] = { "head", "symbols", "values", "steps", "io", "blobs", "tail",
                                                            "check", "weights" };

static void corrupt(loading *l, const char *what)
{
    if (!l->st)
        l->st = PF_FAIL(l->err, PF_CORRUPT, "the plan is damaged: %s", what);
}

/* ---- Pieces of sections */

static void *take_array(loading *l, uint64_t count, size_t item_bytes)
{
    void *items = NULL;

    if (l->st)
        return NULL;
    items = pf_arena_alloc(l->plan->arena, (size_t)(count + 1) * item_bytes);
    if (!items)
        l->st = PF_FAIL_MEMORY(l->err, (size_t)count * item_bytes);
    return items;
}

/* A count of rows, each of at least row_bytes in the section: so no count asks for more memory than its file is
   long. */
static uint32_t read_count(loading *l, size_t row_bytes)
{
    uint32_t count = pf_read_u32(&l->r);

    if (l->r.failed || count > PF_PLAN_TABLE_LIMIT || count > (l->r.size - l->r.at) / row_bytes)
        corrupt(l, "a table is longer than its section");
    return l->st ? 0 : count;
}

static const char *read_text(loading *l)
{
    uint32_t       bytes = pf_read_u32(&l->r);
    const uint8_t *text = bytes <= PF_PLAN_TEXT_LIMIT ? pf_read_bytes(&l->r, bytes) : NULL;
    const char    *copy = NULL;

    if (!bytes && !l->r.failed)
        return "";
    if (!text || memchr(text, 0, bytes)) {
        corrupt(l, "a text runs past its section, or holds a zero");
        return "";
    }
    copy = pf_arena_strndup(l->plan->arena, (const char *)text, bytes);
    if (!copy && !l->st)
        l->st = PF_FAIL_MEMORY(l->err, bytes);
    return copy ? copy : "";
}

static void read_digest(loading *l, pf_digest *out)
{
    const uint8_t *bytes = pf_read_bytes(&l->r, sizeof out->byte);

    if (bytes)
        memcpy(out->byte, bytes, sizeof out->byte);
}

/* ---- Sections */

static void read_head(loading *l)
{
    struct pf_plan *plan = l->plan;

    plan->network_name = read_text(l);
    plan->builder_abi = read_text(l);
    plan->class_name = read_text(l);
    plan->class_text = read_text(l);
    plan->spec_text = read_text(l);
    plan->rewrites = read_text(l);
    read_digest(l, &plan->key);
    read_digest(l, &plan->model);
}

static void read_symbol(loading *l, uint32_t index)
{
    pf_plan_symbol *symbol = &l->plan->symbols[index];
    pf_dims        *dims = l->plan->dims;
    bool            ranged = false;

    symbol->name = read_text(l);
    symbol->least = (int64_t)pf_read_u64(&l->r);
    symbol->usual = (int64_t)pf_read_u64(&l->r);
    symbol->most = (int64_t)pf_read_u64(&l->r);
    ranged = symbol->least != PF_UNBOUND;
    if (l->st || l->r.failed)
        return;
    if (ranged && (symbol->least < 0 || symbol->usual < symbol->least || symbol->most < symbol->usual))
        corrupt(l, "the range of a symbol is upside down");
    if (pf_dims_symbol(dims, symbol->name) == PF_DIM_INVALID || pf_dims_symbol_index(dims, symbol->name) != index)
        corrupt(l, "a symbol's name is empty, illegal or given twice");
}

static void read_symbols(loading *l)
{
    l->plan->symbol_count = read_count(l, 28);
    if (l->plan->symbol_count > PF_MAX_SYMBOLS)
        corrupt(l, "it has more symbols than any graph can");
    l->plan->symbols = take_array(l, l->plan->symbol_count, sizeof *l->plan->symbols);
    for (uint32_t i = 0; i < l->plan->symbol_count && !l->st; i++)
        read_symbol(l, i);
}

static void read_dim(loading *l, pf_dim *out)
{
    const char *text = read_text(l);

    if (!l->st && pf_dim_parse(l->plan->dims, text, out, NULL))
        corrupt(l, "a dim is not an expression");
    if (!l->st && pf_dims_symbol_count(l->plan->dims) != l->plan->symbol_count)
        corrupt(l, "a dim uses a symbol that the plan does not have");
    if (!l->st && pf_dim_is_number(*out) && *out < 0)
        corrupt(l, "a dim is negative");
}

static void read_value(loading *l, pf_plan_value *value)
{
    value->name = read_text(l);
    value->dtype = pf_dtype_from_name(read_text(l));
    value->layout = pf_layout_from_name(read_text(l));
    value->shape.rank = (int32_t)pf_read_u32(&l->r);
    if (value->dtype == PF_DTYPE_NONE || value->layout == PF_LAYOUT_COUNT || value->shape.rank < PF_RANK_NO_ITEMS ||
        value->shape.rank > PF_MAX_RANK || !pf_layout_fits(value->layout, value->shape.rank))
        corrupt(l, "a value has a type, a layout or a rank that is not known");
    for (int32_t d = 0; d < value->shape.rank && !l->st; d++)
        read_dim(l, &value->shape.dim[d]);
    if (!l->st && value->shape.rank >= 0 && !pf_layout_takes(value->layout, &value->shape))
        corrupt(l, "a value has more channels than its layout");
    value->home = (pf_plan_home)pf_read_u32(&l->r);
    value->index = pf_read_u32(&l->r);
    value->view_of = pf_read_u32(&l->r);
    value->view_offset = pf_read_u64(&l->r);
}

static void read_values(loading *l)
{
    l->plan->value_count = read_count(l, 36);
    l->plan->values = take_array(l, l->plan->value_count, sizeof *l->plan->values);
    for (uint32_t i = 0; i < l->plan->value_count && !l->st; i++)
        read_value(l, &l->plan->values[i]);
}

static uint32_t *read_indices(loading *l, uint32_t expected)
{
    uint32_t  count = read_count(l, 4);
    uint32_t *items = take_array(l, count, sizeof *items);

    if (!l->st && count != expected)
        corrupt(l, "a step or the tail binds another number of values than it has");
    for (uint32_t i = 0; i < count && !l->st; i++)
        items[i] = pf_read_u32(&l->r);
    return items;
}

static void read_candidates(loading *l, pf_plan_step *step)
{
    step->ranked_count = read_count(l, 18);
    step->ranked = take_array(l, step->ranked_count, sizeof *step->ranked);
    for (uint32_t i = 0; i < step->ranked_count && !l->st; i++) {
        step->ranked[i].tactic = read_text(l);
        step->ranked[i].tuning = read_text(l);
        step->ranked[i].rev = pf_read_u16(&l->r);
        step->ranked[i].time_ns = (int64_t)pf_read_u64(&l->r);
    }
}

static void read_step(loading *l, pf_plan_step *step)
{
    step->name = read_text(l);
    step->problem_text = read_text(l);
    if (!l->st && pf_problem_parse(step->problem_text, &step->problem, NULL))
        corrupt(l, "a step's problem cannot be parsed");
    if (l->st)
        return;
    step->in = read_indices(l, step->problem->graph->input_count);
    step->out = read_indices(l, step->problem->graph->output_count);
    read_candidates(l, step);
    step->saved = pf_read_blob(&l->r, &step->saved_bytes);
    if (!step->saved_bytes)
        step->saved = NULL;
    step->packed = pf_read_u32(&l->r);
    step->workspace_bytes = pf_read_u64(&l->r);
}

static void read_steps(loading *l)
{
    uint32_t count = read_count(l, 40);

    l->plan->steps = take_array(l, count, sizeof *l->plan->steps);
    for (uint32_t i = 0; i < count && !l->st; i++) {
        l->plan->step_count = i + 1;        /* so that a problem is freed whatever comes */
        read_step(l, &l->plan->steps[i]);
    }
}

static void read_io(loading *l)
{
    l->plan->io_count = read_count(l, 9);
    l->plan->io = take_array(l, l->plan->io_count, sizeof *l->plan->io);
    l->plan->io_value = take_array(l, l->plan->io_count, sizeof *l->plan->io_value);
    for (uint32_t i = 0; i < l->plan->io_count && !l->st; i++) {
        l->plan->io[i].name = read_text(l);
        l->plan->io[i].is_input = pf_read_u8(&l->r) != 0;
        l->plan->io_value[i] = pf_read_u32(&l->r);
    }
}

static void read_blobs(loading *l)
{
    l->plan->blob_count = read_count(l, 48);
    l->plan->blobs = take_array(l, l->plan->blob_count, sizeof *l->plan->blobs);
    for (uint32_t i = 0; i < l->plan->blob_count && !l->st; i++) {
        pf_plan_blob *blob = &l->plan->blobs[i];

        blob->offset = pf_read_u64(&l->r);
        blob->bytes = pf_read_u64(&l->r);
        read_digest(l, &blob->digest);
    }
}

static const void *find_constant(void *user, const pf_digest *digest, size_t bytes)
{
    const struct pf_plan *plan = user;

    for (uint32_t i = 0; i < plan->blob_count; i++) {
        const pf_plan_blob *blob = &plan->blobs[i];

        if (blob->bytes == bytes && pf_digest_equal(&blob->digest, digest) && blob->offset <= plan->bytes &&
            bytes <= plan->bytes - blob->offset)
            return plan->data + blob->offset;
    }
    return NULL;
}

static void read_tail(loading *l)
{
    const pf_constant_source constants = { find_constant, l->plan };
    pf_plan_tail            *tail = &l->plan->tail;

    tail->text = read_text(l);
    if (!l->st && tail->text[0] && pf_graph_parse_with(tail->text, &constants, &tail->graph, NULL))
        corrupt(l, "its tail is no graph");
    tail->in_count = tail->graph ? tail->graph->input_count : 0;
    tail->out_count = tail->graph ? tail->graph->output_count : 0;
    tail->in = read_indices(l, tail->in_count);
    tail->out = read_indices(l, tail->out_count);
}

static void read_check(loading *l)
{
    l->plan->check.max_rel_error = pf_read_f64(&l->r);
    l->plan->check.max_rel_error_least = pf_read_f64(&l->r);
    l->plan->check.memory_bytes = pf_read_u64(&l->r);
    l->plan->check.memory_lower_bound_bytes = pf_read_u64(&l->r);
}

static void (*const read_section[PF_SECTION_COUNT])(loading *l) = {
    [PF_SECTION_HEAD] = read_head,   [PF_SECTION_SYMBOLS] = read_symbols, [PF_SECTION_VALUES] = read_values,
    [PF_SECTION_STEPS] = read_steps, [PF_SECTION_IO] = read_io,           [PF_SECTION_BLOBS] = read_blobs,
    [PF_SECTION_TAIL] = read_tail,   [PF_SECTION_CHECK] = read_check,
};

/* ---- The file */

static void read_table(loading *l)
{
    struct pf_plan *plan = l->plan;

    pf_reader_init(&l->r, plan->data + plan->bytes - PF_PLAN_END_BYTES, PF_PLAN_TABLE_BYTES);
    for (uint32_t i = 0; i < PF_SECTION_COUNT; i++) {
        section *s = &l->sections[i];

        if (pf_read_u32(&l->r) != i || pf_read_u32(&l->r) != 0)
            corrupt(l, "its sections are out of order");
        s->offset = pf_read_u64(&l->r);
        s->bytes = pf_read_u64(&l->r);
        read_digest(l, &s->digest);
        if (s->offset > plan->bytes || s->bytes > plan->bytes - s->offset)
            corrupt(l, "a section lies outside of the file");
        else
            s->data = plan->data + s->offset;
    }
    if (l->sections[PF_SECTION_WEIGHTS].offset != PF_PLAN_HEADER_BYTES)
        corrupt(l, "its weights do not come first");
    plan->weights_end = PF_PLAN_HEADER_BYTES + l->sections[PF_SECTION_WEIGHTS].bytes;
    plan->weights_digest = l->sections[PF_SECTION_WEIGHTS].digest;
}

static void read_header(loading *l)
{
    const struct pf_plan *plan = l->plan;
    pf_reader             r = { 0 };
    uint32_t              version = 0;

    if (plan->bytes < PF_PLAN_HEADER_BYTES + PF_PLAN_END_BYTES || memcmp(plan->data, PF_PLAN_MAGIC, 8)) {
        l->st = PF_FAIL(l->err, PF_CORRUPT,
                        "this is not a plan: it is %zu bytes and does not begin as one; build it with planfarm build",
                        plan->bytes);
        return;
    }
    pf_reader_init(&r, plan->data + 8, 4);
    version = pf_read_u32(&r);
    if (version != PF_PLAN_VERSION)
        l->st = PF_FAIL(l->err, PF_STALE, "the plan has format %u, this version reads %d: build it again", version,
                        PF_PLAN_VERSION);
}

static void read_footer(loading *l)
{
    struct pf_plan *plan = l->plan;
    const uint8_t  *end = plan->data + plan->bytes - PF_PLAN_END_BYTES, *footer = end + PF_PLAN_TABLE_BYTES;
    pf_digest       expected = { 0 }, table = { 0 };
    uint32_t        sections = 0;
    uint64_t        bytes = 0;

    pf_reader_init(&l->r, footer, PF_PLAN_FOOTER_BYTES);
    sections = pf_read_u32(&l->r);
    pf_read_u32(&l->r);
    bytes = pf_read_u64(&l->r);
    read_digest(l, &expected);
    if (bytes != plan->bytes || memcmp(footer + PF_PLAN_MAGIC_AT, PF_PLAN_MAGIC, 8)) {
        l->st = PF_FAIL(l->err, PF_CORRUPT,
                        "the plan is damaged: it does not end as one, so it is cut short or has more at its end; "
                        "fetch or build it again");
        return;
    }
    pf_digest_of(end, PF_PLAN_TABLE_BYTES, &table);
    if (sections != PF_SECTION_COUNT || !pf_digest_equal(&table, &expected))
        corrupt(l, "the checksum of its section table differs; fetch or build it again");
}

static void read_one(loading *l, int index)
{
    const section *s = &l->sections[index];
    pf_digest      digest = { 0 };

    pf_digest_of(s->data, (size_t)s->bytes, &digest);
    if (!pf_digest_equal(&digest, &s->digest)) {
        l->st = PF_FAIL(l->err, PF_CORRUPT,
                        "the plan is damaged: the checksum of its section \"%s\" differs; fetch or build it again",
                        section_name[index]);
        return;
    }
    pf_reader_init(&l->r, s->data, (size_t)s->bytes);
    read_section[index](l);
    if (!l->st && !pf_reader_done(&l->r))
        corrupt(l, "a section is not as long as what it holds");
}

/* Ranges are told to the dims only once all shapes are read: so every dim reads as it was written. */
static void bound_symbols(struct pf_plan *plan)
{
    for (uint32_t i = 0; i < plan->symbol_count; i++)
        if (plan->symbols[i].least != PF_UNBOUND)
            pf_dims_bound(plan->dims, i, plan->symbols[i].least, plan->symbols[i].most);
}

static void fill_io(loading *l, pf_io *io, const pf_plan_value *value)
{
    int64_t  bindings[3][PF_MAX_SYMBOLS];
    int64_t *out[3] = { io->min, io->opt, io->max };

    for (uint32_t s = 0; s < l->plan->symbol_count; s++) {
        bindings[0][s] = l->plan->symbols[s].least;
        bindings[1][s] = l->plan->symbols[s].usual;
        bindings[2][s] = l->plan->symbols[s].most;
    }
    io->dtype = value->dtype;
    io->rank = value->shape.rank;
    for (int32_t d = 0; d < io->rank; d++) {
        io->dim[d] = pf_dim_is_number(value->shape.dim[d]) ? value->shape.dim[d] : -1;
        for (int r = 0; r < 3; r++)
            if (pf_dim_eval(l->plan->dims, value->shape.dim[d], bindings[r], &out[r][d], NULL))
                out[r][d] = -1;
    }
}

static void finish(loading *l)
{
    l->st = pf_plan_check_tables(l->plan, l->err);
    bound_symbols(l->plan);
    for (uint32_t i = 0; i < l->plan->io_count && !l->st; i++)
        fill_io(l, &l->plan->io[i], &l->plan->values[l->plan->io_value[i]]);
    for (uint32_t i = 0; i < l->plan->blob_count; i++)
        l->plan->weights_bytes += l->plan->blobs[i].bytes;
    if (!l->st)
        l->st = pf_residents_new(&l->plan->residents, l->err);
}

static pf_status read_all(struct pf_plan *plan, pf_err *err)
{
    loading l = { .plan = plan, .err = err };

    read_header(&l);
    if (!l.st)
        read_footer(&l);
    if (!l.st)
        read_table(&l);
    for (int i = 0; i < PF_SECTION_WEIGHTS && !l.st; i++)
        read_one(&l, i);
    if (!l.st)
        finish(&l);
    return l.st;
}

static pf_status open_over(const void *data, size_t bytes, pf_plan **out, pf_err *err)
{
    struct pf_plan *plan = pf_calloc(1, sizeof *plan);
    pf_status       st = PF_OK;

    *out = NULL;
    if (plan) {
        plan->data = data;
        plan->bytes = bytes;
        plan->file.fd = -1;
        plan->arena = pf_arena_new();
        plan->dims = pf_dims_new();
    }
    if (!plan || !plan->arena || !plan->dims)
        st = PF_FAIL_MEMORY(err, sizeof *plan);
    if (!st)
        st = read_all(plan, err);
    if (st) {
        pf_plan_free(plan);
        return st;
    }
    *out = plan;
    return PF_OK;
}

pf_status pf_plan_open(const void *data, size_t bytes, pf_plan **out, pf_err *err)
{
    return open_over(data, bytes, out, err);
}

pf_status pf_plan_take(pf_plan_file *file, pf_plan **out, pf_err *err)
{
    pf_mapping mapping = { 0 };
    pf_status  st = pf_file_map_unnamed(file->fd, &mapping, err);

    *out = NULL;
    if (!st)
        st = open_over(mapping.data, mapping.bytes, out, err);
    if (st) {
        pf_file_unmap(&mapping);
        close(file->fd);
        return st;
    }
    (*out)->mapping = mapping;
    (*out)->file = *file;
    return PF_OK;
}

pf_status pf_plan_load(const char *path, pf_plan **out, pf_err *err)
{
    pf_mapping mapping = { 0 };
    pf_status  st = pf_file_map(path, &mapping, err);

    *out = NULL;
    if (st)
        return st;
    st = open_over(mapping.data, mapping.bytes, out, err);
    if (st) {
        pf_file_unmap(&mapping);
        return pf_err_add(err, st, "%s", path);
    }
    (*out)->mapping = mapping;
    return PF_OK;
}

void pf_plan_free(pf_plan *plan)
{
    if (!plan)
        return;
    pf_residents_free(plan->residents);
    for (uint32_t i = 0; i < plan->step_count && plan->steps; i++)
        pf_problem_free(plan->steps[i].problem);
    pf_graph_free(plan->tail.graph);
    pf_file_unmap(&plan->mapping);
    if (plan->file.fd >= 0)
        close(plan->file.fd);
    pf_dims_free(plan->dims);
    pf_arena_free(plan->arena);
    pf_free(plan);
}
