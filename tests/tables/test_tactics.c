/* Every tactic on the shapes of real networks: each layout that it takes and each tuning that it offers, against the
     reference.  test_tactics NAME [FILE...]     one row of engine/tactics.def; FILE: problems to try instead of those
     in tests/shapes
   A tactic that takes none of the problems in tests/shapes fails; of other files, it is skipped.  PF_TEST_VERBOSE=1
   prints a line for each candidate.  Of every candidate: the answer; guard bytes round all buffers; inputs left as they
   were; the same bits when run again and when prepared
   from what was saved; channel padding of zeros; the answer in place, where it says that it can; failed allocations
   while preparing.  Of a problem with symbols: constants packed at one size, and what was saved there, must serve at
   others. */
#include "tests/test.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "engine/op.h"
#include "engine/oracle.h"
#include "engine/tactic.h"

enum { GUARD_BYTES = 256, POISON = 0xA5, GUARD = 0x5A, BUFFERS = 512, LAYOUT_SETS = 32, PITCHED_ONE_IN = 8,
       FILE_LIMIT = 8 << 20, TUNING_EFFORT = 5 };

static const pf_tactic *tactic;
static pf_device       *device;
static pf_stream       *stream;
static bool             verbose;
static unsigned         problem_count, taken_count, candidate_count;

/* ---- Buffers between guards */
typedef struct buffer { uint8_t *base; uint8_t *data; size_t bytes; } buffer;

static buffer buffer_new(size_t bytes, uint8_t fill)
{
    buffer b = { .bytes = bytes };

    b.base = pf_alloc_aligned(GUARD_BYTES, bytes + 2 * GUARD_BYTES);
    assert_non_null(b.base);
    b.data = b.base + GUARD_BYTES;
    memset(b.base, GUARD, bytes + 2 * GUARD_BYTES);
    memset(b.data, fill, bytes);
    return b;
}

static bool guards_hold(const buffer *b)
{
    for (int i = 0; i < GUARD_BYTES; i++)
        if (b->base[i] != GUARD || b->data[b->bytes + (size_t)i] != GUARD)
            return false;
    return true;
}

static void buffer_free(buffer *b)
{
    pf_free(b->base);
    *b = (buffer){ 0 };
}

/* ---- One candidate: a problem in certain layouts, a tuning */
typedef struct candidate {
    const pf_problem *problem;
    const pf_oracle  *oracle;
    const char       *tuning;
    buffer            in[64], out[16], packed, workspace;
    double            error;
} candidate;

static void candidate_fail(const candidate *c, const char *what)
{
    fail_msg("%s %s: %s\n%s", tactic->name, c->tuning, what, c->problem->text);
}

static size_t bytes_in(pf_layout layout, const pf_tensor *tensor)
{
    size_t bytes = 0;
    pf_err err = { 0 };

    test_ok(pf_layout_bytes(layout, tensor->dtype, tensor->rank, tensor->dim, &bytes, &err), &err);
    return bytes;
}

static void fill_inputs(candidate *c, bool packed)
{
    for (uint32_t i = 0; i < c->oracle->in_count; i++) {
        if (c->problem->in_constant[i] && packed)
            continue;
        c->in[i] = buffer_new(bytes_in(c->problem->in_layout[i], &c->oracle->in[i]), 0);
        pf_layout_pack(c->problem->in_layout[i], &c->oracle->in[i], c->oracle->in[i].data, c->in[i].data);
    }
    for (uint32_t i = 0; i < c->oracle->out_count; i++)
        c->out[i] = buffer_new(bytes_in(c->problem->out_layout[i], &c->oracle->out[i]), POISON);
}

static void clear(candidate *c)
{
    for (size_t i = 0; i < sizeof c->in / sizeof c->in[0]; i++)
        buffer_free(&c->in[i]);
    for (size_t i = 0; i < sizeof c->out / sizeof c->out[0]; i++)
        buffer_free(&c->out[i]);
    buffer_free(&c->packed);
    buffer_free(&c->workspace);
}

static void run(candidate *c, const pf_step *step, int32_t in_place)
{
    void       *in[64] = { NULL }, *out[16] = { NULL };
    pf_err      err = { 0 };
    pf_bindings b = { in, out, c->packed.data, c->workspace.data };

    for (uint32_t i = 0; i < c->oracle->in_count; i++)
        in[i] = c->in[i].data;
    for (uint32_t i = 0; i < c->oracle->out_count; i++)
        out[i] = c->out[i].data;
    if (in_place >= 0)
        out[0] = in[in_place];
    if (tactic->enqueue(step, &b, stream, &err)) {
        print_error("%s\n", err.msg);
        candidate_fail(c, "does not run");
    }
}

static void check_guards(const candidate *c)
{
    for (uint32_t i = 0; i < c->oracle->in_count; i++)
        if (c->in[i].base && !guards_hold(&c->in[i]))
            candidate_fail(c, "writes beside an input");
    for (uint32_t i = 0; i < c->oracle->out_count; i++)
        if (!guards_hold(&c->out[i]))
            candidate_fail(c, "writes beside an output");
    if (!guards_hold(&c->packed) || !guards_hold(&c->workspace))
        candidate_fail(c, "writes beside its packed constants or workspace");
}

static void check_inputs(const candidate *c)
{
    for (uint32_t i = 0; i < c->oracle->in_count; i++) {
        buffer again = { 0 };
        bool   same = true;

        if (!c->in[i].base)
            continue;
        again = buffer_new(c->in[i].bytes, 0);
        pf_layout_pack(c->problem->in_layout[i], &c->oracle->in[i], c->oracle->in[i].data, again.data);
        same = memcmp(again.data, c->in[i].data, again.bytes) == 0;
        buffer_free(&again);
        if (!same)
            candidate_fail(c, "changes an input");
    }
}

/* The answer in `data`, as output i; zeros where the layout has more channels than the tensor, and nothing between
   channels of a wider value. */
static void check_answer(candidate *c, uint32_t i, const void *data)
{
    pf_tensor test = c->oracle->out[i];
    buffer    linear = buffer_new(test.bytes, 0), packed = buffer_new(c->out[i].bytes, POISON);
    char      reason[128] = "";
    double    error = 0, tolerance = pf_oracle_tolerance(c->problem->graph, c->problem->numerics);
    bool      right = false, padded = true;

    pf_layout_unpack(c->problem->out_layout[i], &test, data, linear.data);
    test.data = linear.data;
    right = pf_oracle_agrees(&test, &c->oracle->out[i], tolerance, &error, reason, sizeof reason);
    pf_layout_pack(c->problem->out_layout[i], &test, linear.data, packed.data);
    padded = memcmp(packed.data, data, packed.bytes) == 0;
    buffer_free(&linear);
    buffer_free(&packed);
    if (!right)
        candidate_fail(c, reason);
    if (!padded)
        candidate_fail(c, "leaves other than zeros in the padding, or writes between channels");
    if (error > c->error)
        c->error = error;
}

static void check_answers(candidate *c)
{
    for (uint32_t i = 0; i < c->oracle->out_count; i++)
        check_answer(c, i, c->out[i].data);
}

/* Runs again on poisoned memory: the bits must be those of `before`. */
static void check_same_bits(candidate *c, const pf_step *step, const char *what)
{
    buffer before[16] = { { 0 } };
    bool   same = true;

    for (uint32_t i = 0; i < c->oracle->out_count; i++) {
        before[i] = buffer_new(c->out[i].bytes, 0);
        memcpy(before[i].data, c->out[i].data, c->out[i].bytes);
        memset(c->out[i].data, POISON, c->out[i].bytes);
    }
    memset(c->workspace.data, (uint8_t)~POISON, c->workspace.bytes);
    run(c, step, -1);
    for (uint32_t i = 0; i < c->oracle->out_count; i++) {
        same = same && memcmp(before[i].data, c->out[i].data, c->out[i].bytes) == 0;
        buffer_free(&before[i]);
    }
    if (!same && !(tactic->flags & PF_TACTIC_NONDETERMINISTIC))
        candidate_fail(c, what);
}

static void check_in_place(candidate *c, const pf_step *step)
{
    if (step->in_place < 0)
        return;
    if (c->in[step->in_place].bytes < c->out[0].bytes)
        candidate_fail(c, "would overwrite an input that is smaller than the output");
    memset(c->workspace.data, POISON, c->workspace.bytes);
    run(c, step, step->in_place);
    check_answer(c, 0, c->in[step->in_place].data);
    check_guards(c);
}

static pf_step *prepare(const candidate *c, const void *saved, size_t bytes)
{
    pf_step *step = NULL;
    pf_err   err = { 0 };

    if (tactic->prepare(device, c->problem, c->tuning, saved, bytes, &step, &err)) {
        print_error("%s\n", err.msg);
        candidate_fail(c, "cannot be prepared");
    }
    return step;
}

/* What a plan keeps must give a step that works on the constants as they were packed. */
static void check_saved(candidate *c, const pf_step *step)
{
    pf_buf   saved;
    pf_err   err = { 0 };
    pf_step *again = NULL;

    if (!tactic->save)
        return;
    pf_buf_init(&saved, 64 << 20);
    test_ok(tactic->save(step, &saved, &err), &err);
    again = prepare(c, saved.size ? saved.data : (const uint8_t *)"", saved.size);
    if (again->packed_bytes != step->packed_bytes || again->workspace_bytes > c->workspace.bytes)
        candidate_fail(c, "packs otherwise when prepared from what was saved");
    check_same_bits(c, again, "gives other bits when prepared from what was saved");
    pf_step_free(again);
    pf_buf_clear(&saved);
}

static void check_failed_allocations(const candidate *c)
{
    pf_step *step = NULL;

    for (uint64_t successes = 0; successes < 64; successes++) {
        pf_err    err = { 0 };
        pf_status st = PF_OK;

        pf_alloc_fail_after(successes);
        st = tactic->prepare(device, c->problem, c->tuning, NULL, 0, &step, &err);
        pf_alloc_fail_after(UINT64_MAX);
        if (st == PF_OK)
            break;
        if (st != PF_NO_SPACE || step || !err.msg[0])
            candidate_fail(c, "does not say that it is out of memory");
    }
    pf_step_free(step);
}

static void try_candidate(const pf_problem *problem, const pf_oracle *oracle, const char *tuning, bool with_failures)
{
    candidate c = { .problem = problem, .oracle = oracle, .tuning = tuning };
    pf_step  *step = prepare(&c, NULL, 0);
    pf_err    err = { 0 };
    int64_t   start = 0, took_ns = 0;

    c.packed = buffer_new(step->packed_bytes, POISON);
    c.workspace = buffer_new(step->workspace_bytes, POISON);
    if (step->packed_bytes) {
        pf_tensor constants[64] = { { 0 } };

        for (uint32_t i = 0; i < oracle->in_count; i++)
            if (problem->in_constant[i])
                constants[i] = oracle->in[i];
        test_ok(tactic->pack(step, problem, constants, c.packed.data, &err), &err);
    }
    fill_inputs(&c, step->packed_bytes > 0);
    run(&c, step, -1);
    check_guards(&c);
    check_inputs(&c);
    check_answers(&c);
    check_same_bits(&c, step, "gives other bits when run again");
    check_saved(&c, step);
    start = pf_clock_ns();
    run(&c, step, -1);
    took_ns = pf_clock_ns() - start;
    check_in_place(&c, step);
    if (with_failures)
        check_failed_allocations(&c);
    if (verbose)
        print_message("  %-60s %10.3f us  error %.2g  workspace %zu packed %zu  in=%s out=%s\n", tuning,
                      (double)took_ns / 1e3, c.error, step->workspace_bytes, step->packed_bytes,
                      problem->graph->input_count ? pf_layout_print(problem->in_layout[0]).at : "-",
                      pf_layout_print(problem->out_layout[0]).at);
    pf_step_free(step);
    clear(&c);
    candidate_count++;
}

/* ---- Layouts to try */
typedef struct layout_set { pf_layout in[64], out[16]; } layout_set;

static bool same_set(const pf_problem *p, const layout_set *a, const layout_set *b)
{
    return memcmp(a->in, b->in, p->graph->input_count * sizeof a->in[0]) == 0
        && memcmp(a->out, b->out, p->graph->output_count * sizeof a->out[0]) == 0;
}

static void add_set(const pf_problem *p, layout_set *sets, uint32_t *count, const layout_set *set)
{
    for (uint32_t i = 0; i < *count; i++)
        if (same_set(p, &sets[i], set))
            return;
    if (*count < LAYOUT_SETS)
        sets[(*count)++] = *set;
}

static pf_layout fitting(pf_layout layout, const pf_graph *graph, pf_value_id value)
{
    return pf_layout_fits(layout, pf_graph_value(graph, value)->shape.rank) ? layout : PF_LAYOUT_LINEAR;
}

static bool would_take(const pf_problem *problem, const layout_set *set)
{
    pf_problem probe = *problem;

    probe.in_layout = (pf_layout *)(uintptr_t)set->in;
    probe.out_layout = (pf_layout *)(uintptr_t)set->out;
    return !pf_tactic_declines(tactic, device, &probe);
}

/* The same layout in a value that is wider by `more` channels, where it has them. */
static pf_layout widened(pf_layout layout, const pf_graph *graph, pf_value_id value, int64_t more)
{
    const pf_shape *shape = &pf_graph_value(graph, value)->shape;
    pf_layout       wide = shape->rank > 1 && pf_dim_is_number(shape->dim[1])
                               ? pf_layout_pitched(layout, shape->dim[1] + more)
                               : layout;

    return pf_layout_takes(wide, shape) ? wide : layout;
}

/* Inputs, the results, or both lie in wider values. */
static void add_wide_sets(const pf_problem *p, layout_set *sets, uint32_t *count)
{
    uint32_t dense = *count;

    for (uint32_t s = 0; s < dense; s++)
        for (int ends = 1; ends < 4; ends++) {
            layout_set wide = sets[s];

            for (uint32_t i = 0; i < p->graph->input_count && ends & 1; i++)
                wide.in[i] = p->in_constant[i] ? wide.in[i] : widened(wide.in[i], p->graph, p->graph->inputs[i], 32);
            for (uint32_t i = 0; i < p->graph->output_count && ends & 2; i++)
                wide.out[i] = widened(wide.out[i], p->graph, p->graph->outputs[i], 64);
            if (*count < LAYOUT_SETS && would_take(p, &wide))
                add_set(p, sets, count, &wide);
        }
}

/* The tactic's own wishes, and every layout for all values, for all of the result's rank, and from one to another. */
static uint32_t list_sets(const pf_problem *p, layout_set *sets)
{
    const pf_graph *g = p->graph;
    uint32_t        count = 0;
    layout_set      set = { { PF_LAYOUT_LINEAR }, { PF_LAYOUT_LINEAR } };

    for (uint32_t i = 0; tactic->prefers && i < LAYOUT_SETS / 2; i++) {
        memset(&set, 0, sizeof set);
        if (!tactic->prefers(device, p, i, set.in, set.out))
            break;
        add_set(p, sets, &count, &set);
    }
    for (int from = 0; from < PF_LAYOUT_COUNT; from++)
        for (int to = 0; to < PF_LAYOUT_COUNT; to++) {
            if ((tactic->flags & PF_TACTIC_ORACLE) && from != to)      /* takes all, and converts each by itself */
                continue;
            for (uint32_t i = 0; i < g->input_count; i++)
                set.in[i] = p->in_constant[i] ? PF_LAYOUT_LINEAR : fitting((pf_layout)from, g, g->inputs[i]);
            for (uint32_t i = 0; i < g->output_count; i++)
                set.out[i] = fitting((pf_layout)to, g, g->outputs[i]);
            add_set(p, sets, &count, &set);
        }
    if ((tactic->flags & PF_TACTIC_PITCHED) && problem_count % PITCHED_ONE_IN == 0)
        add_wide_sets(p, sets, &count);
    return count;
}

static void try_layouts(const pf_problem *problem, const layout_set *set, const pf_oracle *oracle, bool *taken)
{
    pf_problem    *own = NULL;
    pf_tuning_list tunings = { 0 };
    pf_err         err = { 0 };

    test_ok(pf_problem_with_layouts(problem, set->in, set->out, &own, &err), &err);
    if (!pf_tactic_declines(tactic, device, own)) {
        test_ok(tactic->tunings(device, own, TUNING_EFFORT, &tunings, &err), &err);
        assert_true(tunings.count >= 1);
        if (verbose)
            print_message("%s", own->text);
        for (uint32_t i = 0; i < tunings.count; i++)
            try_candidate(own, oracle, tunings.items[i].text, !*taken && i == 0);
        *taken = true;
    }
    pf_tuning_clear(&tunings);
    pf_problem_free(own);
}

/* ---- Families: problems whose dims are symbols */
static void bind(const pf_problem *family, int64_t size, pf_problem **out)
{
    int64_t bindings[8];
    pf_err  err = { 0 };

    assert_true(pf_dims_symbol_count(family->graph->dims) <= 8);
    for (int i = 0; i < 8; i++)
        bindings[i] = size;
    test_ok(pf_problem_bind(family, family->graph->dims, bindings, out, &err), &err);
}

static void pack(const pf_step *step, candidate *c)
{
    pf_tensor constants[64] = { { 0 } };
    pf_err    err = { 0 };

    c->packed = buffer_new(step->packed_bytes, POISON);
    for (uint32_t i = 0; i < c->oracle->in_count; i++)
        if (c->problem->in_constant[i])
            constants[i] = c->oracle->in[i];
    if (step->packed_bytes)
        test_ok(tactic->pack(step, c->problem, constants, c->packed.data, &err), &err);
}

/* Constants are the same at every size: a family has none that grow. */
static void borrow_constants(const pf_problem *p, const pf_oracle *from, pf_oracle *to)
{
    for (uint32_t i = 0; i < to->in_count; i++)
        if (p->in_constant[i])
            assert_memory_equal(to->in[i].data, from->in[i].data, to->in[i].bytes);
}

static void try_at_size(const pf_problem *family, int64_t size, const char *tuning, const pf_buf *saved,
                        const buffer *packed, const pf_oracle *first)
{
    pf_problem *problem = NULL;
    pf_oracle   oracle = { 0 };
    candidate   c = { .tuning = tuning };
    pf_step    *step = NULL;
    pf_err      err = { 0 };

    bind(family, size, &problem);
    test_ok(pf_oracle_make(problem, &oracle, &err), &err);
    borrow_constants(problem, first, &oracle);
    c.problem = problem;
    c.oracle = &oracle;
    step = prepare(&c, saved->size ? saved->data : NULL, saved->size);
    if (step->packed_bytes != packed->bytes)
        candidate_fail(&c, "packs otherwise at another size");
    c.packed = buffer_new(packed->bytes, 0);
    memcpy(c.packed.data, packed->data, packed->bytes);
    c.workspace = buffer_new(step->workspace_bytes, POISON);
    fill_inputs(&c, step->packed_bytes > 0);
    run(&c, step, -1);
    check_guards(&c);
    check_answers(&c);
    pf_step_free(step);
    clear(&c);
    pf_oracle_clear(&oracle);
    pf_problem_free(problem);
    candidate_count++;
}

static void try_family_tuning(const pf_problem *family, const pf_problem *first, const pf_oracle *oracle,
                              const char *tuning)
{
    static const int64_t sizes[] = { 1, 2, 33 };
    candidate            c = { .problem = first, .oracle = oracle, .tuning = tuning };
    pf_step             *step = prepare(&c, NULL, 0);
    pf_buf               saved;
    pf_err               err = { 0 };

    pf_buf_init(&saved, 64 << 20);
    pack(step, &c);
    if (tactic->save)
        test_ok(tactic->save(step, &saved, &err), &err);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        try_at_size(family, sizes[i], tuning, &saved, &c.packed, oracle);
    if (verbose)
        print_message("  %-60s at all sizes\n", tuning);
    pf_buf_clear(&saved);
    pf_step_free(step);
    clear(&c);
}

static void try_family_layouts(const pf_problem *problem, const layout_set *set)
{
    enum { FIRST_SIZE = 8 };
    pf_problem    *family = NULL, *first = NULL;
    pf_oracle      oracle = { 0 };
    pf_tuning_list tunings = { 0 };
    pf_err         err = { 0 };

    test_ok(pf_problem_with_layouts(problem, set->in, set->out, &family, &err), &err);
    bind(family, FIRST_SIZE, &first);
    test_ok(pf_oracle_make(first, &oracle, &err), &err);
    if (pf_tactic_declines(tactic, device, first))
        fail_msg("%s takes a family and declines one of its members: %s\n%s", tactic->name,
                 pf_tactic_declines(tactic, device, first), first->text);
    test_ok(tactic->tunings(device, first, TUNING_EFFORT, &tunings, &err), &err);
    if (verbose)
        print_message("%s", family->text);
    for (uint32_t i = 0; i < tunings.count; i++)
        if (strncmp(tunings.items[i].text, "fixed:", 6) != 0)
            try_family_tuning(family, first, &oracle, tunings.items[i].text);
    pf_tuning_clear(&tunings);
    pf_oracle_clear(&oracle);
    pf_problem_free(first);
    pf_problem_free(family);
}

static void try_problem(const char *text)
{
    pf_problem *problem = NULL;
    pf_oracle   oracle = { 0 };
    layout_set  sets[LAYOUT_SETS];
    pf_err      err = { 0 };
    uint32_t    count = 0;
    bool        taken = false;

    test_ok(pf_problem_parse(text, &problem, &err), &err);
    problem_count++;
    assert_true(problem->graph->input_count <= 64 && problem->graph->output_count <= 16);
    count = list_sets(problem, sets);
    for (uint32_t i = 0; i < count; i++) {
        if (!would_take(problem, &sets[i]))
            continue;
        if (!pf_problem_is_bound(problem)) {
            try_family_layouts(problem, &sets[i]);
            taken = true;
            continue;
        }
        if (!oracle.in)
            test_ok(pf_oracle_make(problem, &oracle, &err), &err);
        try_layouts(problem, &sets[i], &oracle, &taken);
    }
    taken_count += taken;
    pf_oracle_clear(&oracle);
    pf_problem_free(problem);
}

/* ---- Files of problems: each begins with a line "problem ..."; lines that begin with '#' are for people. */
static void try_file(const char *path)
{
    pf_buf file, text;
    pf_err err = { 0 };
    char  *line = NULL, *rest = NULL;

    pf_buf_init(&text, FILE_LIMIT);
    test_ok(pf_file_read(path, FILE_LIMIT, &file, &err), &err);
    for (line = strtok_r((char *)file.data, "\n", &rest); ; line = strtok_r(NULL, "\n", &rest)) {
        if ((!line || strncmp(line, "problem ", 8) == 0) && text.size) {
            try_problem((const char *)text.data);
            pf_buf_reset(&text);
        }
        if (!line)
            break;
        if (line[0] != '#')
            pf_buf_printf(&text, "%s\n", line);
    }
    pf_buf_clear(&text);
    pf_buf_clear(&file);
}

static int is_text(const struct dirent *entry)
{
    size_t length = strlen(entry->d_name);

    return length > 4 && strcmp(entry->d_name + length - 4, ".txt") == 0;
}

static void try_folder(const char *folder)
{
    struct dirent **entries = NULL;
    int             count = scandir(folder, &entries, is_text, alphasort);

    assert_true(count > 0);
    for (int i = 0; i < count; i++) {
        char path[4096] = "";

        snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        try_file(path);
        free(entries[i]);
    }
    free(entries);
}

static char **files;

static void test_tactic(void **state)
{
    (void)state;
    if (!files[0])
        try_folder(PF_SHAPES_FOLDER);
    for (int i = 0; files[i]; i++)
        try_file(files[i]);
    print_message("%s: %u of %u problems taken, %u candidates right\n", tactic->name, taken_count, problem_count,
                  candidate_count);
    assert_true(taken_count > 0 || files[0]);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_tactic) };
    pf_err                  err = { 0 };
    int                     failed = 0;

    if (argc < 2 || !(tactic = pf_tactic_find(argv[1]))) {
        fprintf(stderr, "test_tactics NAME [FILE...]: no tactic of that name\n");
        return 1;
    }
    files = argv + 2;
    verbose = getenv("PF_TEST_VERBOSE") != NULL;
    if (pf_device_open("cpu", NULL, &device, &err) || device->ops->stream_new(device, &stream, &err)) {
        fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    if (tactic->needs & ~device->caps)
        return TEST_SKIPPED;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    device->ops->stream_free(device, stream);
    pf_device_close(device);
    return failed ? failed : taken_count ? 0 : TEST_SKIPPED;
}
