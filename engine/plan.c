/* What may be asked of a plan without running it. */
#include "engine/plan.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/timing_class.h"
#include "engine/plan_sections.h"

/* ---- Invariants */

static pf_status corrupt(pf_err *err, const char *thing, uint32_t index, const char *what)
{
    return PF_FAIL(err, PF_CORRUPT, "the plan is damaged: %s %u %s; fetch or build it again", thing, index, what);
}

static bool index_or_none(uint32_t index, uint32_t count)
{
    return index == PF_NONE || index < count;
}

static pf_status check_blob(const pf_plan *plan, uint32_t i, pf_err *err)
{
    const pf_plan_blob *blob = &plan->blobs[i];

    if (blob->offset % PF_PLAN_ALIGNMENT || blob->offset < PF_PLAN_HEADER_BYTES || blob->offset > plan->weights_end ||
        blob->bytes > plan->weights_end - blob->offset)
        return corrupt(err, "blob", i, "lies outside of the weights");
    return PF_OK;
}

static pf_status check_weight(const pf_plan *plan, uint32_t i, pf_err *err)
{
    const pf_plan_value *value = &plan->values[i];
    size_t               bytes = 0;

    if (!pf_shape_is_static(&value->shape))
        return corrupt(err, "value", i, "is a weight without a size");
    if (value->index != PF_NONE &&
        (pf_layout_bytes(value->layout, value->dtype, value->shape.rank, value->shape.dim, &bytes, NULL) ||
         bytes != plan->blobs[value->index].bytes))
        return corrupt(err, "value", i, "has another size than its bytes");
    return PF_OK;
}

/* Bytes of a root that a view shows; all of them where dims may vary.  With a pitch: channels of a root. */
typedef struct part { uint64_t from, to, whole; bool pitched; } part;

static bool is_measured(const pf_plan_value *value, size_t *bytes)
{
    return pf_shape_is_static(&value->shape) &&
           !pf_layout_bytes(value->layout, value->dtype, value->shape.rank, value->shape.dim, bytes, NULL);
}

/* All dims but the channels are the root's, which are as many as the pitch; the offset is that of a channel. */
static bool channels_of(const pf_plan_value *view, const pf_plan_value *root, part *out)
{
    pf_layout kind = pf_layout_kind(view->layout);
    int64_t   pitch = pf_layout_pitch(view->layout), block = pf_layout_block(kind), start = 0;
    uint64_t  block_bytes = 0, offset = 0;

    if (view->dtype != root->dtype || view->shape.rank != root->shape.rank || view->shape.rank < 2 ||
        root->shape.dim[1] != pitch || !pf_layout_same_bytes(kind, root->layout, &root->shape))
        return false;
    for (int32_t d = 0; d < view->shape.rank; d++)
        if (d != 1 && view->shape.dim[d] != root->shape.dim[d])
            return false;
    (void)pf_layout_channels(kind, view->dtype, &root->shape, block, block, &block_bytes);
    start = block_bytes ? (int64_t)(view->view_offset / block_bytes) * block : 0;
    if (!pf_layout_channels(kind, view->dtype, &root->shape, start, view->shape.dim[1], &offset) ||
        offset != view->view_offset)
        return false;
    *out = (part){ (uint64_t)start, (uint64_t)(start + view->shape.dim[1]), (uint64_t)pitch, true };
    return true;
}

static bool part_of(const pf_plan_value *view, const pf_plan_value *root, part *out)
{
    size_t bytes = 0, whole = 0;

    *out = (part){ 0, UINT64_MAX, UINT64_MAX, false };
    if (view != root && pf_layout_pitch(view->layout))
        return channels_of(view, root, out);
    if (!is_measured(view, &bytes) || !is_measured(root, &whole))
        return view->view_offset == 0;
    *out = (part){ view->view_offset, view->view_offset + bytes, whole, false };
    return view->view_offset % PF_LAYOUT_PART_ALIGNMENT == 0 && view->view_offset <= whole &&
           bytes <= whole - view->view_offset;
}

static pf_status check_value(const pf_plan *plan, uint32_t i, pf_err *err)
{
    const pf_plan_value *value = &plan->values[i];
    const uint32_t       limit[PF_HOME_COUNT] = { [PF_HOME_ARENA] = UINT32_MAX, [PF_HOME_IO] = plan->io_count,
                                                  [PF_HOME_WEIGHT] = plan->blob_count,
                                                  [PF_HOME_TAIL] = plan->io_count };
    bool                 is_io = value->home == PF_HOME_IO || value->home == PF_HOME_TAIL;

    if (value->home >= PF_HOME_COUNT || !index_or_none(value->index, limit[value->home]) ||
        (is_io && value->index == PF_NONE))
        return corrupt(err, "value", i, "lives nowhere");
    if (value->home != PF_HOME_TAIL && (value->shape.rank < 0 || value->dtype == PF_STRING))
        return corrupt(err, "value", i, "is nothing that a device knows");
    if (!index_or_none(value->view_of, plan->value_count))
        return corrupt(err, "value", i, "is a view of nothing");
    if (value->view_of != PF_NONE) {
        const pf_plan_value *root = &plan->values[value->view_of];

        if (root->view_of != PF_NONE || root->home != value->home || root->index != value->index)
            return corrupt(err, "value", i, "is a view of something that lives elsewhere");
        if (!part_of(value, root, &(part){ 0 }))
            return corrupt(err, "value", i, "is a view of other bytes than its own");
    }
    if (value->view_of == PF_NONE && value->view_offset)
        return corrupt(err, "value", i, "begins inside of nothing");
    return value->home == PF_HOME_WEIGHT ? check_weight(plan, i, err) : PF_OK;
}

static pf_status check_io(const pf_plan *plan, uint32_t i, pf_err *err)
{
    const pf_plan_value *value = plan->io_value[i] < plan->value_count ? &plan->values[plan->io_value[i]] : NULL;

    if (!value || (value->home != PF_HOME_IO && value->home != PF_HOME_TAIL) || value->index != i ||
        value->layout != PF_LAYOUT_LINEAR)
        return corrupt(err, "input or output", i, "has no value of its own");
    if ((plan->io[i].is_input || value->home == PF_HOME_TAIL) && value->view_of != PF_NONE)
        return corrupt(err, "input or output", i, "is a view");
    return PF_OK;
}

/* What has been written: values as a whole, or parts of them, in a list for each. */
enum { PARTS_LIMIT = 4 * PF_PROBLEM_VALUES };

typedef struct writing {
    bool     *whole;            /* by value that is no view */
    /* by value: the first part that was written, the next one of the same root; PF_NONE ends */
    uint32_t *first, *next;
    uint32_t *count;            /* of parts, by root */
    uint64_t *left;             /* bytes or channels that no part has, by root; of no meaning without parts */
} writing;

static part part_at(const pf_plan *plan, uint32_t value)
{
    part p = { 0 };

    (void)part_of(&plan->values[value], &plan->values[pf_plan_root(plan, value)], &p);
    return p;
}

/* By one part, or by several: a concat that is a part of another one. */
static bool is_written(const pf_plan *plan, const writing *w, uint32_t value)
{
    uint32_t root = pf_plan_root(plan, value);
    part     p = part_at(plan, value);
    uint64_t covered = 0;

    if (w->whole[root] || (w->count[root] && !w->left[root]))
        return true;
    for (uint32_t i = w->first[root]; i != PF_NONE; i = w->next[i]) {
        part other = part_at(plan, i);

        if (other.pitched != p.pitched)
            continue;
        if (other.from <= p.from && p.to <= other.to)
            return true;
        if (other.from < p.to && p.from < other.to)     /* parts do not overlap */
            covered += (other.to < p.to ? other.to : p.to) - (other.from > p.from ? other.from : p.from);
    }
    return covered && covered == p.to - p.from;
}

/* Nothing of it was written before. */
static bool write_value(const pf_plan *plan, writing *w, uint32_t value)
{
    uint32_t root = pf_plan_root(plan, value);
    part     p = part_at(plan, value);

    if (w->whole[root] || w->count[root] == PARTS_LIMIT || (root == value && w->count[root]))
        return false;
    if (root == value) {
        w->whole[root] = true;
        return true;
    }
    for (uint32_t i = w->first[root]; i != PF_NONE; i = w->next[i]) {
        part other = part_at(plan, i);

        if (other.pitched != p.pitched || (other.from < p.to && p.from < other.to))
            return false;
    }
    w->left[root] = (w->count[root] ? w->left[root] : p.whole) - (p.to - p.from);
    w->next[value] = w->first[root];
    w->first[root] = value;
    w->count[root]++;
    return true;
}

static void writing_clear(writing *w)
{
    pf_free(w->whole);
    pf_free(w->first);
    pf_free(w->next);
    pf_free(w->count);
    pf_free(w->left);
}

static pf_status writing_init(writing *w, uint32_t values, pf_err *err)
{
    *w = (writing){ 0 };
    w->whole = pf_calloc(values + 1, sizeof *w->whole);
    w->first = pf_calloc(values + 1, sizeof *w->first);
    w->next = pf_calloc(values + 1, sizeof *w->next);
    w->count = pf_calloc(values + 1, sizeof *w->count);
    w->left = pf_calloc(values + 1, sizeof *w->left);
    if (!w->whole || !w->first || !w->next || !w->count || !w->left) {
        writing_clear(w);
        return PF_FAIL_MEMORY(err, values * sizeof *w->left);
    }
    memset(w->first, 0xff, values * sizeof *w->first);
    return PF_OK;
}

static bool matches(const pf_plan_value *value, const pf_value *in_problem, pf_layout layout)
{
    return value->dtype == in_problem->dtype && value->shape.rank == in_problem->shape.rank && value->layout == layout;
}

static pf_status check_step_inputs(const pf_plan *plan, uint32_t s, const writing *written, pf_err *err)
{
    const pf_plan_step *step = &plan->steps[s];
    const pf_problem   *p = step->problem;

    for (uint32_t i = 0; i < p->graph->input_count; i++) {
        const pf_value      *wanted = pf_graph_value(p->graph, p->graph->inputs[i]);
        const pf_plan_value *value = NULL;

        if (step->in[i] >= plan->value_count || !is_written(plan, written, step->in[i]))
            return corrupt(err, "step", s, "reads what nothing wrote");
        value = &plan->values[step->in[i]];
        if (p->in_constant[i] && value->home != PF_HOME_WEIGHT)
            return corrupt(err, "step", s, "takes for a weight what is none");
        if (!matches(value, wanted, p->in_constant[i] ? PF_LAYOUT_LINEAR : p->in_layout[i]))
            return corrupt(err, "step", s, "reads a value of another type");
    }
    return PF_OK;
}

static pf_status check_step_outputs(const pf_plan *plan, uint32_t s, writing *written, pf_err *err)
{
    const pf_plan_step *step = &plan->steps[s];
    const pf_problem   *p = step->problem;

    for (uint32_t i = 0; i < p->graph->output_count; i++) {
        const pf_plan_value *value = step->out[i] < plan->value_count ? &plan->values[step->out[i]] : NULL;

        if (!value || value->home == PF_HOME_WEIGHT || value->home == PF_HOME_TAIL ||
            !write_value(plan, written, step->out[i]))
            return corrupt(err, "step", s, "writes what is not its to write");
        if (!matches(value, pf_graph_value(p->graph, p->graph->outputs[i]), p->out_layout[i]))
            return corrupt(err, "step", s, "writes a value of another type");
    }
    return PF_OK;
}

static pf_status check_step(const pf_plan *plan, uint32_t s, writing *written, pf_err *err)
{
    const pf_plan_step *step = &plan->steps[s];
    pf_status           st = PF_OK;

    if (!step->ranked_count)
        return corrupt(err, "step", s, "has no tactic");
    if (!index_or_none(step->packed, plan->blob_count))
        return corrupt(err, "step", s, "has weights outside of the file");
    st = check_step_inputs(plan, s, written, err);
    return st ? st : check_step_outputs(plan, s, written, err);
}

static bool is_given(const pf_plan *plan, const pf_plan_value *value)
{
    return value->home == PF_HOME_WEIGHT || (value->home == PF_HOME_IO && plan->io[value->index].is_input);
}

static bool is_tail_input(const pf_plan *plan, const pf_plan_value *value)
{
    return value->home == PF_HOME_TAIL && plan->io[value->index].is_input;
}

/* What the tail reads was written by then, and what it writes nobody else does. */
static pf_status check_tail(const pf_plan *plan, writing *written, pf_err *err)
{
    for (uint32_t i = 0; i < plan->tail.in_count; i++) {
        const pf_value      *wanted = pf_graph_value(plan->tail.graph, plan->tail.graph->inputs[i]);
        const pf_plan_value *value = plan->tail.in[i] < plan->value_count ? &plan->values[plan->tail.in[i]] : NULL;

        if (!value || (!is_tail_input(plan, value) && !is_written(plan, written, plan->tail.in[i])) ||
            (value->home == PF_HOME_WEIGHT && value->index == PF_NONE))
            return corrupt(err, "input of the tail", i, "is written by nothing");
        if (value->dtype != wanted->dtype || value->shape.rank != wanted->shape.rank ||
            value->layout != PF_LAYOUT_LINEAR)
            return corrupt(err, "input of the tail", i, "has another type");
    }
    for (uint32_t i = 0; i < plan->tail.out_count; i++) {
        uint32_t io = plan->tail.out[i];

        if (io == PF_NONE)
            continue;
        if (io >= plan->io_count || plan->io[io].is_input || plan->values[plan->io_value[io]].home != PF_HOME_TAIL ||
            !write_value(plan, written, plan->io_value[io]))
            return corrupt(err, "output of the tail", i, "is not its to write");
    }
    return PF_OK;
}

static pf_status check_steps(const pf_plan *plan, pf_err *err)
{
    writing   written = { 0 };
    pf_status st = writing_init(&written, plan->value_count, err);

    for (uint32_t i = 0; i < plan->value_count && !st; i++)
        written.whole[i] = is_given(plan, &plan->values[i]);
    for (uint32_t s = 0; s < plan->step_count && !st; s++)
        st = check_step(plan, s, &written, err);
    if (!st)
        st = check_tail(plan, &written, err);
    for (uint32_t i = 0; i < plan->io_count && !st; i++)
        if (!plan->io[i].is_input && !is_written(plan, &written, plan->io_value[i]))
            st = corrupt(err, "output", i, "is written by no step");
    writing_clear(&written);
    return st;
}

pf_status pf_plan_check_tables(const pf_plan *plan, pf_err *err)
{
    pf_status st = PF_OK;

    for (uint32_t i = 0; i < plan->blob_count && !st; i++)
        st = check_blob(plan, i, err);
    for (uint32_t i = 0; i < plan->value_count && !st; i++)
        st = check_value(plan, i, err);
    for (uint32_t i = 0; i < plan->io_count && !st; i++)
        st = check_io(plan, i, err);
    return st ? st : check_steps(plan, err);
}

/* ---- Bytes */

/* A plan that was built beside path is there already, and only wants the name.  It is waited for until the disk has it:
   weights are not checked when a plan is loaded, so one that a crash of the machine left with holes would run. */
pf_status pf_plan_save(const pf_plan *plan, const char *path, pf_err *err)
{
    pf_err    why = { 0 };
    pf_status st = plan->file.fd >= 0 ? pf_file_name(plan->file.fd, path, &why) : PF_UNSUPPORTED;

    if (st == PF_UNSUPPORTED)
        return pf_file_write(path, plan->data, plan->bytes, err);
    return st ? PF_FAIL(err, st, "%s", why.msg) : PF_OK;
}

/* The tables were checked when the plan was opened; what is left are the header, the weights and the zeros between
   them. */
pf_status pf_plan_verify(const pf_plan *plan, pf_err *err)
{
    pf_digest digest = { 0 };

    pf_digest_of(plan->data, (size_t)plan->weights_end, &digest);
    if (!pf_digest_equal(&digest, &plan->weights_digest))
        return PF_FAIL(err, PF_CORRUPT,
                       "the plan is damaged: the checksum of its weights differs; fetch or build it again");
    return PF_OK;
}

const void *pf_plan_bytes(const pf_plan *plan, size_t *bytes)
{
    *bytes = plan->bytes;
    return plan->data;
}

void pf_plan_table_digest(const pf_plan *plan, pf_digest *digest)
{
    memcpy(digest->byte, plan->data + plan->bytes - PF_PLAN_FOOTER_BYTES + PF_PLAN_DIGEST_AT, sizeof digest->byte);
}

void pf_plan_digest(const pf_plan *plan, pf_digest *digest)
{
    pf_hash hash = plan->file.hash;

    if (plan->file.fd < 0)
        pf_hash_init(&hash);
    pf_hash_add(&hash, plan->data + plan->file.hashed_bytes, plan->bytes - (size_t)plan->file.hashed_bytes);
    pf_hash_end(&hash, digest);
}

/* ---- Identity */

void pf_plan_key_of(const pf_plan *plan, pf_digest *key)
{
    *key = plan->key;
}

const char *pf_plan_class_text(const pf_plan *plan)
{
    return plan->class_text;
}

const char *pf_plan_class_name(const pf_plan *plan)
{
    return plan->class_name;
}

pf_status pf_plan_fits(const pf_plan *plan, const pf_device *device, pf_err *err)
{
    char difference[256] = "";

    pf_device_class_difference(plan->class_text, device->class_text, difference, sizeof difference);
    if (difference[0])
        return PF_FAIL(err, PF_STALE, "the plan was made for %s and this is %s: %s; build it for this device%s",
                       plan->class_name, device->class_name, difference,
                       pf_timing_class_equal(plan->class_text, device->class_text)
                           ? ", which times nothing that is in the timing cache, since only the driver was changed"
                           : "");
    for (uint32_t s = 0; s < plan->step_count; s++) {
        const pf_plan_candidate *choice = &plan->steps[s].ranked[0];
        const pf_tactic         *tactic = pf_tactic_find(choice->tactic);

        if (!tactic || tactic->rev != choice->rev)
            return PF_FAIL(err, PF_STALE,
                           "layer \"%s\" of the plan uses revision %u of tactic %s, and this version has %s: build it "
                           "again",
                           plan->steps[s].name, choice->rev, choice->tactic, tactic ? "another one" : "no such tactic");
    }
    return PF_OK;
}

/* ---- Tables */

uint32_t pf_plan_io_count(const pf_plan *plan)
{
    return plan->io_count;
}

const pf_io *pf_plan_io(const pf_plan *plan, uint32_t index)
{
    return index < plan->io_count ? &plan->io[index] : NULL;
}

uint32_t pf_plan_find_io(const pf_plan *plan, const char *name)
{
    for (uint32_t i = 0; i < plan->io_count; i++)
        if (!strcmp(plan->io[i].name, name))
            return i;
    return UINT32_MAX;
}

uint32_t pf_plan_layer_count(const pf_plan *plan)
{
    return plan->step_count;
}

static void mark_weight(const pf_plan *plan, uint32_t value, bool *marked)
{
    if (plan->values[value].home == PF_HOME_WEIGHT && plan->values[value].index != PF_NONE)
        marked[plan->values[value].index] = true;
}

void pf_plan_mark_first_blobs(const pf_plan *plan, bool *marked)
{
    for (uint32_t s = 0; s < plan->step_count; s++) {
        const pf_plan_step *step = &plan->steps[s];

        if (step->packed != PF_NONE)
            marked[step->packed] = true;
        for (uint32_t i = 0; i < step->problem->graph->input_count; i++)
            if (step->packed == PF_NONE || !step->problem->in_constant[i])
                mark_weight(plan, step->in[i], marked);
    }
    for (uint32_t i = 0; i < plan->tail.in_count; i++)
        mark_weight(plan, plan->tail.in[i], marked);
}

static uint64_t first_weights_bytes(const pf_plan *plan)
{
    bool    *marked = pf_calloc(plan->blob_count + 1, sizeof *marked);
    uint64_t bytes = 0;

    if (!marked)
        return plan->weights_bytes;
    pf_plan_mark_first_blobs(plan, marked);
    for (uint32_t i = 0; i < plan->blob_count; i++)
        bytes += marked[i] ? plan->blobs[i].bytes : 0;
    pf_free(marked);
    return bytes;
}

uint64_t pf_plan_device_bound_bytes(const pf_plan *plan, const pf_device *device)
{
    return (device->host_is_device ? 0 : first_weights_bytes(plan)) + plan->check.memory_lower_bound_bytes;
}

pf_value_kind pf_plan_io_kind(const pf_plan *plan, uint32_t io)
{
    const pf_plan_tail *tail = &plan->tail;

    for (uint32_t i = 0; i < tail->in_count; i++)
        if (plan->io[io].is_input && tail->in[i] == plan->io_value[io])
            return pf_graph_value(tail->graph, tail->graph->inputs[i])->kind;
    for (uint32_t i = 0; i < tail->out_count; i++)
        if (tail->out[i] == io)
            return pf_graph_value(tail->graph, tail->graph->outputs[i])->kind;
    return PF_VALUE_TENSOR;
}

double pf_plan_memory_ratio(const pf_plan *plan)
{
    uint64_t least = plan->weights_bytes + plan->check.memory_lower_bound_bytes;

    return least ? (double)(plan->weights_bytes + plan->check.memory_bytes) / (double)least : 1;
}

void pf_plan_layer(const pf_plan *plan, uint32_t index, pf_layer *out)
{
    const pf_plan_step *step = index < plan->step_count ? &plan->steps[index] : NULL;

    *out = (pf_layer){ "", "", "", "", 0, 0 };
    if (step)
        *out = (pf_layer){ step->name, step->problem_text, step->ranked[0].tactic, step->ranked[0].tuning,
                           step->ranked[0].time_ns, step->workspace_bytes };
}
