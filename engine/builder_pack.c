/* Weights of a plan: packed as the chosen tactics want them, and as they are where a step may need them at other
   shapes. */
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "engine/builder_alternatives.h"
#include "engine/builder_range.h"
#include "engine/op.h"

enum {
    TAIL_CLEAR_BYTES = 16,      /* up to 64 elements stand in a graph's text: so do these, whatever their type */
    TAIL_DEPTH_LIMIT = 16,
    SAMPLE_LINES = 256,
    SAMPLE_LINE_BYTES = 64,
    SAMPLED_BYTES = SAMPLE_LINES * SAMPLE_LINE_BYTES,
    SAVED_LIMIT_BYTES = 1 << 26,        /* of a step's code */
};

/* What all pieces of packing need. */
typedef struct packing {
    pf_draft            *draft;
    pf_device           *device;
    pf_plan_sink        *sink;
    pf_pack_room        *room;
    const pf_step_tries *tries;
} packing;

/* ---- Blobs */

/* Small blobs are told apart by all of their bytes, large ones by some lines and, when these are equal, by
   comparing. */
static void sample(const uint8_t *data, size_t bytes, pf_digest *out)
{
    size_t  step = bytes / SAMPLE_LINES / SAMPLE_LINE_BYTES * SAMPLE_LINE_BYTES;
    pf_hash hash;

    pf_hash_init(&hash);
    pf_hash_add_u64(&hash, bytes);
    if (bytes <= SAMPLED_BYTES)
        pf_hash_add(&hash, data, bytes);
    for (size_t line = 0; line < SAMPLE_LINES && bytes > SAMPLED_BYTES; line++)
        pf_hash_add(&hash, data + line * step, SAMPLE_LINE_BYTES);
    pf_hash_end(&hash, out);
}

/* The blob with these bytes; PF_NONE when there is none yet. *like: the newest of the same sample. */
static uint32_t find_blob(const packing *p, const char *key, const void *data, size_t bytes, uint32_t *like)
{
    const pf_draft *d = p->draft;
    uint64_t        newest = PF_NONE;

    *like = pf_map_get(d->blob_of, key, &newest) ? (uint32_t)newest : PF_NONE;
    for (uint32_t i = *like; i != PF_NONE; i = d->blob_before[i])
        if (bytes <= SAMPLED_BYTES || pf_plan_sink_holds(p->sink, d->plan.blobs[i].offset, data, bytes))
            return i;
    return PF_NONE;
}

/* Adds bytes to the plan's weights, equal ones once.  data: as pf_plan_sink_add takes them. */
static pf_status add_blob(const packing *p, const void *data, size_t bytes, uint32_t *index, pf_err *err)
{
    pf_draft       *d = p->draft;
    struct pf_plan *plan = &d->plan;
    char            key[PF_DIGEST_HEX_BYTES] = "";
    pf_digest       digest = { 0 };
    uint32_t        like = PF_NONE, capacity = d->blob_capacity;

    sample(data, bytes, &digest);
    pf_digest_to_hex(&digest, key);
    *index = find_blob(p, key, data, bytes, &like);
    if (*index != PF_NONE)
        return PF_OK;
    if (pf_grow((void **)&plan->blobs, &d->blob_capacity, plan->blob_count + 1, sizeof *plan->blobs) ||
        pf_grow((void **)&d->blob_before, &capacity, plan->blob_count + 1, sizeof *d->blob_before) ||
        !pf_map_set(d->blob_of, key, plan->blob_count))
        return PF_FAIL_MEMORY(err, (plan->blob_count + 1) * sizeof *plan->blobs);
    *index = plan->blob_count;
    d->blob_before[plan->blob_count] = like;
    plan->blobs[plan->blob_count++] = (pf_plan_blob){ .offset = pf_plan_sink_add(p->sink, data, bytes),
                                                      .bytes = bytes };
    return PF_OK;
}

/* What must be made for it is made where it leaves from. */
static pf_status add_constant(const packing *p, const pf_constant *constant, uint32_t *index, pf_err *err)
{
    const void *data = pf_constant_find(constant);
    void       *buffer = NULL;
    pf_status   st = PF_OK;

    if (data || !constant->late)
        return add_blob(p, data, constant->bytes, index, err);
    st = pf_plan_sink_buffer(p->sink, constant->bytes, false, &buffer, err);
    if (st)
        return st;
    pf_constant_copy(constant, buffer);
    pf_constant_forget(constant);
    return add_blob(p, buffer, constant->bytes, index, err);
}

static const pf_value *constant_of(const pf_draft *d, uint32_t plan_value)
{
    return pf_graph_value(d->formats->graph, d->graph_value[plan_value]);
}

const pf_constant *pf_builder_constant(const pf_draft *draft, const pf_plan_step *step, uint32_t input)
{
    return &constant_of(draft, step->in[input])->constant;
}

/* The constants of a step, as they are. */
static pf_status keep_constants(const packing *p, const pf_plan_step *step, pf_err *err)
{
    pf_status st = PF_OK;

    for (uint32_t i = 0; i < step->problem->graph->input_count && !st; i++) {
        pf_plan_value *value = &p->draft->plan.values[step->in[i]];

        if (step->problem->in_constant[i] && value->index == PF_NONE)
            st = add_constant(p, &constant_of(p->draft, step->in[i])->constant, &value->index, err);
    }
    return st;
}

/* A weight that is read as it is, perhaps through a view. */
static pf_status keep_plain_weight(const packing *p, uint32_t v, pf_err *err)
{
    pf_plan_value *values = p->draft->plan.values;
    uint32_t       root = values[v].view_of == PF_NONE ? v : values[v].view_of;
    pf_status      st = PF_OK;

    if (values[root].home != PF_HOME_WEIGHT)
        return PF_OK;
    if (values[root].index == PF_NONE)
        st = add_constant(p, &constant_of(p->draft, root)->constant, &values[root].index, err);
    for (uint32_t k = 0; k < p->draft->plan.value_count; k++)
        if (values[k].view_of == root)
            values[k].index = values[root].index;
    return st;
}

/* Weights that the problem does not take for constants, such as one that is copied to an output. */
static pf_status keep_plain_weights(const packing *p, const pf_plan_step *step, pf_err *err)
{
    pf_status st = PF_OK;

    for (uint32_t i = 0; i < step->problem->graph->input_count && !st; i++)
        if (!step->problem->in_constant[i])
            st = keep_plain_weight(p, step->in[i], err);
    return st;
}

/* ---- Constants to be packed */

static size_t aligned(size_t bytes)
{
    return (bytes + PF_PLAN_ALIGNMENT - 1) / PF_PLAN_ALIGNMENT * PF_PLAN_ALIGNMENT;
}

static bool must_be_made(const pf_constant *constant)
{
    return constant->late && !pf_constant_find(constant);
}

/* Enough for all constants of the step that must be made. */
static pf_status make_room(const pf_draft *d, const pf_plan_step *step, pf_pack_room *room, pf_err *err)
{
    size_t bytes = 0;

    for (uint32_t i = 0; i < step->problem->graph->input_count; i++)
        if (step->problem->in_constant[i] && must_be_made(&constant_of(d, step->in[i])->constant))
            bytes += aligned(constant_of(d, step->in[i])->constant.bytes);
    if (bytes <= room->capacity)
        return PF_OK;
    pf_free(room->data);
    room->data = pf_alloc_aligned(PF_PLAN_ALIGNMENT, bytes);
    room->capacity = room->data ? bytes : 0;
    pf_alloc_expect_filling(room->data, room->capacity);
    return room->data ? PF_OK : PF_FAIL_MEMORY(err, bytes);
}

/* *used: bytes of room that are taken. */
static pf_status read_constant(const pf_value *value, pf_pack_room *room, size_t *used, pf_tensor *out, pf_err *err)
{
    const void *data = room ? pf_constant_find(&value->constant) : NULL;
    pf_status   st = PF_OK;

    *out = (pf_tensor){ .dtype = value->dtype, .rank = value->shape.rank, .bytes = value->constant.bytes };
    memcpy(out->dim, value->shape.dim, sizeof out->dim);
    if (!room)
        st = pf_constant_bytes(&value->constant, &data, err);
    else if (must_be_made(&value->constant)) {
        data = room->data + *used;
        pf_constant_copy(&value->constant, room->data + *used);
        *used += aligned(value->constant.bytes);
    }
    out->data = (void *)(uintptr_t)data;
    return st;
}

static pf_status read_constants(const pf_draft *d, const pf_plan_step *step, pf_pack_room *room, pf_tensor *out,
                                pf_err *err)
{
    size_t    used = 0;
    pf_status st = room ? make_room(d, step, room, err) : PF_OK;

    for (uint32_t i = 0; i < step->problem->graph->input_count && !st; i++)
        if (step->problem->in_constant[i])
            st = read_constant(constant_of(d, step->in[i]), room, &used, &out[i], err);
    return st;
}

pf_status pf_builder_pack_constants(const pf_draft *d, const pf_plan_step *step, const pf_problem *bound,
                                    const pf_step *prepared, pf_pack_room *room, void *packed, pf_err *err)
{
    uint32_t   count = step->problem->graph->input_count;
    pf_tensor *constants = pf_calloc(count + 1, sizeof *constants);
    pf_status  st = constants ? read_constants(d, step, room, constants, err)
                              : PF_FAIL_MEMORY(err, count * sizeof *constants);

    if (!st)
        st = prepared->tactic->pack(prepared, bound, constants, packed, err);
    for (uint32_t i = 0; i < count; i++)
        if (step->problem->in_constant[i])
            pf_constant_forget(&constant_of(d, step->in[i])->constant);
    pf_free(constants);
    return st;
}

/* ---- Steps */

static pf_status pack_constants(const packing *p, pf_plan_step *step, const pf_problem *bound, const pf_step *prepared,
                                pf_err *err)
{
    void     *packed = NULL;
    pf_status st = pf_plan_sink_buffer(p->sink, prepared->packed_bytes, true, &packed, err);

    if (!st)
        st = pf_builder_pack_constants(p->draft, step, bound, prepared, p->room, packed, err);
    return st ? st : add_blob(p, packed, prepared->packed_bytes, &step->packed, err);
}

static pf_status save_step(pf_draft *d, pf_plan_step *step, const pf_step *prepared, pf_err *err)
{
    pf_buf    saved = { 0 };
    pf_status st = PF_OK;

    if (!prepared->tactic->save)
        return PF_OK;
    pf_buf_init(&saved, SAVED_LIMIT_BYTES);
    st = prepared->tactic->save(prepared, &saved, err);
    if (!st && saved.failed)
        st = PF_FAIL_MEMORY(err, saved.size);
    if (!st && saved.size) {
        step->saved = pf_arena_copy(d->arena, saved.data, saved.size);
        step->saved_bytes = saved.size;
        st = step->saved ? PF_OK : PF_FAIL_MEMORY(err, saved.size);
    }
    pf_buf_clear(&saved);
    return st;
}

/* A step whose shapes vary keeps its constants as they are too, unless its choice takes every shape. */
static bool needs_raw(const pf_draft *d, pf_device *device, const pf_plan_step *step, const pf_step *prepared)
{
    if (!prepared->packed_bytes)
        return true;
    return pf_tactic_declines(prepared->tactic, device, step->problem) ||
           !pf_builder_range_serves(d, device, step, prepared);
}

/* ---- The choice, or what stands behind it */

/* A tactic that stands first needs no place behind. */
static void drop_repeated(pf_plan_step *step)
{
    uint32_t kept = 1;

    for (uint32_t i = 1; i < step->ranked_count; i++)
        if (strcmp(step->ranked[i].tactic, step->ranked[0].tactic))
            step->ranked[kept++] = step->ranked[i];
    step->ranked_count = kept;
}

/* *why: why not. */
static pf_status prepare_choice(const packing *p, uint32_t s, pf_step **prepared, pf_err *why)
{
    const pf_plan_step *step = &p->draft->plan.steps[s];
    const pf_problem   *bound = p->draft->formats->search->items[p->draft->step_item[s]].problem;
    pf_status           st = PF_OK;

    pf_step_tries_tell(p->tries, s, 0, false);
    st = pf_tactic_find(step->ranked[0].tactic)
             ->prepare(p->device, bound, step->ranked[0].tuning, NULL, 0, prepared, why);
    pf_step_tries_tell(p->tries, PF_NONE, 0, false);
    return st ? PF_FAIL(why, st, "it gives no reason") : PF_OK;
}

/* entry takes the place of the choice, which was refused. */
static pf_status choose_instead(pf_draft *d, uint32_t s, const pf_timing_entry *entry, const pf_err *why, pf_err *err)
{
    pf_plan_step    *step = &d->plan.steps[s];
    pf_timing_entry *kept = pf_arena_copy(d->arena, entry, sizeof *entry);

    if (!kept)
        return PF_FAIL_MEMORY(err, sizeof *entry);
    pf_err_note(err, PF_BUILD_FAILED, step->name, "candidate %s %s: %s", step->ranked[0].tactic, step->ranked[0].tuning,
                why->msg);
    pf_log(PF_LOG_WARN, "builder", "refused layer=\"%s\" tactic=%s tuning=\"%s\" next=%s reason=\"%s\"", step->name,
           step->ranked[0].tactic, step->ranked[0].tuning, entry->tactic, why->msg);
    pf_builder_choose(d, s, kept);
    drop_repeated(step);
    return PF_OK;
}

/* The next one that the device does not refuse takes the place of the choice. why: what became of that; PF_OK: a step
   is prepared. */
static pf_status prepare_other(const packing *p, uint32_t s, pf_step **prepared, pf_err *why, pf_err *err)
{
    pf_draft               *d = p->draft;
    const pf_plan_candidate first = d->plan.steps[s].ranked[0];
    pf_alternatives         others = { 0 };
    pf_status               st = pf_builder_alternatives(d, s, &others, err);

    for (uint32_t i = 0; i < others.count && !st && why->status && why->status != PF_NO_SPACE; i++) {
        if (!strcmp(others.items[i].tactic, first.tactic) && !strcmp(others.items[i].tuning, first.tuning))
            continue;
        st = choose_instead(d, s, &others.items[i], why, err);
        pf_err_clear(why);
        if (!st)
            (void)prepare_choice(p, s, prepared, why);
    }
    pf_builder_alternatives_clear(&others);
    return st;
}

static pf_status prepare_first(const packing *p, uint32_t s, pf_step **prepared, pf_err *err)
{
    pf_err    why = { 0 };
    pf_status st = PF_OK;

    if (!prepare_choice(p, s, prepared, &why))
        return PF_OK;
    if (why.status != PF_NO_SPACE)
        st = prepare_other(p, s, prepared, &why, err);
    return st || !why.status ? st : pf_err_pass(err, why.status, &why);
}

static pf_status pack_step(const packing *p, uint32_t s, pf_err *err)
{
    pf_plan_step     *step = &p->draft->plan.steps[s];
    const pf_problem *bound = p->draft->formats->search->items[p->draft->step_item[s]].problem;
    pf_step          *prepared = NULL;
    pf_status         st = prepare_first(p, s, &prepared, err);

    if (st)
        goto out;
    step->workspace_bytes = prepared->workspace_bytes;
    st = save_step(p->draft, step, prepared, err);
    if (!st)
        st = keep_plain_weights(p, step, err);
    if (!st && prepared->packed_bytes)
        st = pack_constants(p, step, bound, prepared, err);
    if (!st && pf_problem_has_constants(bound) && needs_raw(p->draft, p->device, step, prepared))
        st = keep_constants(p, step, err);
out:
    pf_step_free(prepared);
    if (st)
        pf_err_at(err, step->name);
    return st ? pf_err_add(err, st, "layer \"%s\" with %s", step->name, step->ranked[0].tactic) : PF_OK;
}

/* ---- Constants of the tail, those of bodies too */

static bool stands_in_text(const pf_value *value)
{
    return value->constant.bytes <= TAIL_CLEAR_BYTES && pf_dtype_kind_of(value->dtype) != PF_KIND_COMPLEX;
}

/* The text names a constant by the digest of its bytes. */
static pf_status keep_named_constant(const packing *p, const pf_constant *constant, pf_err *err)
{
    uint32_t  index = PF_NONE;
    pf_status st = add_constant(p, constant, &index, err);

    if (!st)
        pf_constant_digest(constant, &p->draft->plan.blobs[index].digest);
    return st;
}

static pf_status keep_graph_constants(const packing *p, const pf_graph *graph, int depth, pf_err *err)
{
    pf_status st = PF_OK;

    if (depth > TAIL_DEPTH_LIMIT)
        return PF_FAIL(err, PF_UNSUPPORTED, "bodies are nested deeper than %d", TAIL_DEPTH_LIMIT);
    for (uint32_t v = 0; v < graph->value_count && !st; v++) {
        const pf_value *value = &graph->values[v];

        if (!value->is_constant || !pf_graph_use_count(graph, v) || stands_in_text(value))
            continue;
        if (value->dtype == PF_STRING)
            st = PF_FAIL(err, PF_UNSUPPORTED, "constant \"%s\" is a long list of texts, which plans do not keep",
                         value->name);
        else
            st = keep_named_constant(p, &value->constant, err);
    }
    for (uint32_t n = 0; n < graph->node_count && !st; n++) {
        const pf_attr_field *field = graph->nodes[n].live ? pf_op_def_of(graph->nodes[n].op)->attr_fields : NULL;

        for (; field && field->name && !st; field++) {
            const pf_graph *body = NULL;

            if (field->kind == PF_ATTR_GRAPH)
                memcpy(&body, (const char *)graph->nodes[n].attrs + field->offset, sizeof body);
            if (body)
                st = keep_graph_constants(p, body, depth + 1, err);
        }
    }
    return st;
}

/* Fallbacks that could not get at their constants would be a promise that is not kept. */
static void drop_idle_fallbacks(pf_draft *d, pf_plan_step *step)
{
    for (uint32_t i = 0; i < step->problem->graph->input_count; i++)
        if (step->problem->in_constant[i] && d->plan.values[step->in[i]].index == PF_NONE)
            step->ranked_count = 1;
}

pf_status pf_builder_pack(pf_draft *draft, pf_device *device, pf_plan_sink *sink, const pf_step_tries *tries,
                          pf_err *err)
{
    pf_pack_room  room = { 0 };
    const packing p = { draft, device, sink, &room, tries };
    pf_status     st = PF_OK;

    (void)pf_builder_range_compile(draft, device);
    for (uint32_t s = 0; s < draft->plan.step_count && !st; s++)
        st = pack_step(&p, s, err);
    for (uint32_t s = 0; s < draft->plan.step_count && !st; s++)
        drop_idle_fallbacks(draft, &draft->plan.steps[s]);
    for (uint32_t i = 0; i < draft->plan.tail.in_count && !st; i++)
        st = keep_plain_weight(&p, draft->plan.tail.in[i], err);
    if (!st && draft->plan.tail.graph)
        st = keep_graph_constants(&p, draft->plan.tail.graph, 0, err);
    pf_free(room.data);
    return st;
}
