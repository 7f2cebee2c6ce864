#include "tests/unit/cuda/front.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "engine/builder_tail.h"
#include "engine/cuda/cuda_device.h"
#include "engine/cuda/program_cache.h"
#include "engine/device_module.h"
#include "engine/op.h"
#include "engine/oracle.h"
#include "engine/planfarm.h"
#include "engine/precision_choice.h"
#include "engine/profile.h"
#include "engine/region.h"
#include "engine/rewrite.h"
#include "engine/spell.h"

enum { PREFERS_LIMIT = 4, H200_SMS = 132, CAPABILITY = 90 };

typedef struct examination {
    pf_region_rules      rules;
    pf_device           *device;
    const front_options *options;
    const pf_graph      *graph;     /* rewritten and lowered */
    const pf_profile    *profile;
    front_result        *result;
} examination;

/* ---- A device without a card */

static pf_cuda   no_card = { .share = 100, .sm_count = H200_SMS, .cc = CAPABILITY, .l2_bytes = 50 << 20 };
static const pf_device_ops no_ops;
static pf_device device_without_card = {
    .ops = &no_ops, .kind = PF_DEVICE_CUDA, .name = "cuda:0", .class_name = "h200", .class_text = "device=cuda\n",
    .caps = PF_CAP_CUDA | PF_CAP_CUDNN | PF_CAP_CUBLASLT | PF_CAP_NVRTC | PF_CAP_SM75 | PF_CAP_SM80 | PF_CAP_SM89 |
            PF_CAP_SM90,
    .compute_units = H200_SMS, .cache_bytes = 50 << 20, .memory_bytes = (size_t)140 << 30, .impl = &no_card,
};

pf_status front_open(pf_device **device, pf_err *err)
{
    const pf_device_module *module = NULL;
    pf_status               st = pf_device_module_load("libplanfarm_cuda.so", &module, err);

    if (!st && !no_card.programs) no_card.programs = pf_program_cache_new();
    *device = &device_without_card;
    return st ? st : no_card.programs ? PF_OK : PF_FAIL_MEMORY(err, sizeof(void *));
}

/* ---- Candidates of one problem */

static bool is_library(const pf_tactic *tactic)
{
    return !strncmp(tactic->name, "cudnn", 5) || !strncmp(tactic->name, "cublas", 6);
}

static void note_failure(examination *e, const pf_problem *p, const char *what, const char *tuning, const char *reason)
{
    front_result *r = e->result;

    if (!r->failed++) snprintf(r->first_failure, sizeof r->first_failure, "%s %.64s: %.900s", what, tuning, reason);
    if (e->options->prints_problems) printf("FAILED %s %s: %s\n%s\n", what, tuning, reason, p->text);
}

static void compile_one(examination *e, const pf_tactic *tactic, const pf_problem *p, const char *tuning)
{
    front_result *r = e->result;
    pf_err        err = {0};
    int64_t       start_ns = pf_clock_ns();
    double        seconds = 0;

    r->compiled++;
    if (tactic->compile(e->device, p, tuning, &err)) note_failure(e, p, tactic->name, tuning, err.msg);
    pf_err_clear(&err);
    seconds = (double)(pf_clock_ns() - start_ns) * 1e-9;
    r->compile_s += seconds;
    if (seconds <= r->slowest_s) return;
    r->slowest_s = seconds;
    snprintf(r->slowest, sizeof r->slowest, "%s %.64s", tactic->name, tuning);
}

/* Generates and compiles the first tunings. */
static void try_tunings(examination *e, const pf_tactic *tactic, const pf_problem *p)
{
    pf_tuning_list tunings = {0};
    pf_err         err = {0};

    if (tactic->tunings(e->device, p, 1, &tunings, &err))
        note_failure(e, p, tactic->name, "lists no tuning", err.msg);
    for (uint32_t i = 0; i < tunings.count && (int)i < e->options->tunings; i++)
        compile_one(e, tactic, p, tunings.items[i].text);
    pf_tuning_clear(&tunings);
}

static void try_layouts(examination *e, const pf_tactic *tactic, const pf_problem *problem, const pf_layout *in,
                        const pf_layout *out)
{
    const int64_t *shapes[] = { e->profile->usual, e->profile->least, e->profile->most };
    pf_problem    *laid_out = NULL, *bound = NULL;

    if (pf_problem_with_layouts(problem, in, out, &laid_out, NULL)) return;
    for (int s = 0; s < (pf_problem_is_bound(problem) ? 1 : 3) && tactic->compile; s++) {
        if (!pf_problem_bind(laid_out, e->graph->dims, shapes[s], &bound, NULL) &&
            !pf_tactic_declines(tactic, e->device, bound))
            try_tunings(e, tactic, bound);
        pf_problem_free(bound);
        bound = NULL;
    }
    pf_problem_free(laid_out);
}

static bool takes(const examination *e, const pf_tactic *tactic, const pf_problem *problem, pf_layout *in,
                  pf_layout *out)
{
    pf_problem probe = *problem;

    probe.in_layout = in;
    probe.out_layout = out;
    return !pf_tactic_declines(tactic, e->device, &probe);
}

/* In the layouts that it wishes for, and in linear ones. */
static bool try_tactic(examination *e, const pf_tactic *tactic, const pf_problem *problem)
{
    pf_layout in[PF_PROBLEM_VALUES] = { PF_LAYOUT_LINEAR }, out[PF_PROBLEM_VALUES] = { PF_LAYOUT_LINEAR };
    bool      any = takes(e, tactic, problem, problem->in_layout, problem->out_layout);

    if (any && !is_library(tactic) && e->options->tunings)
        try_layouts(e, tactic, problem, problem->in_layout, problem->out_layout);
    for (uint32_t i = 0; tactic->prefers && i < PREFERS_LIMIT && tactic->prefers(e->device, problem, i, in, out); i++)
        if (takes(e, tactic, problem, in, out)) {
            any = true;
            if (!is_library(tactic) && e->options->tunings) try_layouts(e, tactic, problem, in, out);
        }
    return any;
}

/* ---- What only the host computes */

static void count_host(front_result *r, const char *op)
{
    char  *at = strstr(r->hosts, op), rest[sizeof r->hosts] = {0};
    size_t length = strlen(op);
    int    count = 0;

    while (at && ((at != r->hosts && at[-1] != ' ') || at[length] != ' ')) at = strstr(at + 1, op);
    if (!at) {
        length = strlen(r->hosts);
        snprintf(r->hosts + length, sizeof r->hosts - length, "%s%s 1", length ? ", " : "", op);
        return;
    }
    if (sscanf(at + length, " %d%1023[^\n]", &count, rest) < 1) return;
    snprintf(at + length, sizeof r->hosts - (size_t)(at + length - r->hosts), " %d%s", count + 1, rest);
}

static void note_host(examination *e, const pf_problem *p)
{
    e->result->on_host++;
    for (uint32_t n = 0; n < p->graph->node_count; n++)
        if (p->graph->nodes[n].live) count_host(e->result, pf_op_def_of(p->graph->nodes[n].op)->name);
    if (e->options->prints_problems) printf("HOST %s\n", p->text);
}

static void examine_problem(examination *e, const pf_problem *problem, uint32_t form)
{
    const pf_tactic *tactic = NULL, *first = NULL;
    int              takers = 0;

    e->result->problems++;
    for (uint32_t i = 0; (tactic = pf_tactic_at(i)) != NULL && (takers < 2 || e->options->all_tactics); i++)
        if (!(tactic->flags & PF_TACTIC_ORACLE) && !(tactic->needs & ~e->device->caps) &&
            try_tactic(e, tactic, problem)) {
            takers++;
            if (!first) first = tactic;
        }
    if (!takers) note_host(e, problem);
    if (e->options->prints_steps && form == 0) printf("STEP %s %s\n", first ? first->name : "host", problem->text);
}

/* ---- A network */

static void note_late(examination *e, const pf_region *region, bool late)
{
    const pf_group *group = &region->forms[0].groups[0];
    const pf_node  *first = &e->graph->nodes[group->nodes[0]];

    if (!late) return;
    e->result->late += region->kind == PF_REGION_STEP;
    if (e->options->prints_problems)
        printf("LATE %s %s %s\n", pf_op_def_of(first->op)->name, first->name,
               group->problem ? group->problem->text : "");
}

static pf_status examine_regions(examination *e, pf_err *err)
{
    pf_regions regions = {0};
    pf_tail    tail = {0};
    pf_status  st = pf_regions_form(e->graph, e->device, &e->rules, &regions, err);

    if (!st) st = pf_builder_tail(e->graph, e->device, e->profile, &e->rules, &regions, &tail, err);
    for (uint32_t r = 0; r < regions.count && !st; r++) note_late(e, &regions.items[r], tail.late[r]);
    for (uint32_t r = 0; r < regions.count && !st; r++)
        for (uint32_t f = 0; f < regions.items[r].form_count; f++)
            for (uint32_t g = 0; g < regions.items[r].forms[f].count; g++) {
                const pf_group *group = &regions.items[r].forms[f].groups[g];

                if (!tail.late[r] && regions.items[r].kind == PF_REGION_STEP && group->problem)
                    examine_problem(e, group->problem, f);
            }
    pf_builder_tail_clear(&tail);
    pf_regions_clear(&regions);
    return st;
}

static pf_dtype narrow_of(const front_options *options)
{
    return !options->precision ? PF_DTYPE_NONE : !strcmp(options->precision, "bf16") ? PF_BF16 : PF_F16;
}

static pf_status choose_precision(examination *e, const pf_graph *original, const pf_graph *rewritten,
                                  pf_precision_care *care, pf_err *err)
{
    pf_dtype          narrow = narrow_of(e->options);
    pf_precision_wish wish = { .narrow = narrow, .most_error = narrow == PF_BF16 ? 8e-2 : 1e-2 };
    int64_t           start_ns = pf_clock_ns();
    pf_precision_choice choice = { 0 };
    pf_status         st = pf_precision_choose(original, rewritten, e->profile->usual, &wish, &choice, NULL, err);

    *care = choice.care;
    e->result->expected_error = choice.error;
    e->result->choice_s = (double)(pf_clock_ns() - start_ns) * 1e-9;
    pf_precision_care_text(*care, e->result->care, sizeof e->result->care);
    return st;
}

static pf_status lower(examination *e, const pf_graph *original, pf_graph *graph, pf_err *err)
{
    pf_precision_care care = PF_CARE_USUAL;
    pf_status         st = PF_OK;

    if (!e->options->precision) return PF_OK;
    if (e->options->chooses_precision) st = choose_precision(e, original, graph, &care, err);
    if (care & PF_CARE_EXACT) e->rules.numerics = PF_NUMERICS_BF16_THREE;
    return st ? st : pf_precision_lower(graph, narrow_of(e->options), care, err);
}

/* ---- Before and behind all rewriting */

static pf_status compare_at(const pf_graph *original, const pf_graph *made, const int64_t *bindings, double *error,
                            pf_err *err)
{
    pf_oracle  oracle = {0};
    pf_tensor *outputs = pf_calloc(original->output_count + 1, sizeof *outputs);
    pf_status  st = outputs ? pf_oracle_of_graph(original, bindings, &oracle, err) : PF_NO_SPACE;

    *error = -1;
    if (!st) st = pf_interpret(made, oracle.in, outputs, NULL, NULL, err);
    for (uint32_t i = 0; i < original->output_count && !st; i++) {
        pf_difference difference = {0};

        if (pf_tensor_compare(&outputs[i], &oracle.out[i], &difference, NULL)) continue;
        *error = difference.max_rel_range > *error ? difference.max_rel_range : *error;
    }
    for (uint32_t i = 0; outputs && i < original->output_count; i++) pf_tensor_clear(&outputs[i]);
    pf_free(outputs);
    pf_oracle_clear(&oracle);
    return st;
}

static pf_status set_shapes(pf_config *config, const front_options *options, pf_err *err)
{
    static const char *const keys[] = { "min_shapes", "opt_shapes", "max_shapes" };
    pf_status                st = PF_OK;

    for (int i = 0; i < 3 && !st; i++)
        if (options->shapes[i]) st = pf_config_set(config, keys[i], options->shapes[i], err);
    return st;
}

pf_status front_examine(pf_device *device, const pf_graph *graph, const front_options *options, front_result *out,
                        pf_err *err)
{
    pf_graph   *own = pf_graph_copy(graph, err), *rewritten = NULL;
    pf_config  *config = NULL;
    pf_profile  profile = {0};
    examination e = { { .numerics = options->precision ? PF_NUMERICS_BF16_PARTS : 0 }, device, options, NULL, &profile,
                      out };
    pf_status   st = own ? pf_config_new(&config, err) : PF_NO_SPACE;

    *out = (front_result){0};
    if (!st) st = set_shapes(config, options, err);
    if (!st) st = pf_profile_apply(config, own, &profile, err);
    if (!st) rewritten = pf_graph_copy(own, err);
    if (!st && !rewritten) st = PF_NO_SPACE;
    if (!st) st = pf_rewrite_run(rewritten, NULL, NULL, err);
    if (!st) st = lower(&e, own, rewritten, err);
    if (!st) st = pf_profile_cover(&profile, rewritten, err);
    if (!st) st = pf_spell_out(rewritten, device, &profile, &e.rules, err);
    e.graph = rewritten;
    out->apart[0] = out->apart[1] = -1;
    if (!st && options->compares) st = compare_at(own, rewritten, profile.usual, &out->apart[0], err);
    if (!st && options->compares) st = compare_at(own, rewritten, profile.least, &out->apart[1], err);
    if (!st) st = examine_regions(&e, err);
    pf_profile_clear(&profile);
    pf_config_free(config);
    pf_graph_free(rewritten);
    pf_graph_free(own);
    return st;
}

pf_status front_examine_model(pf_device *device, const char *path, const front_options *options, front_result *out,
                              pf_err *err)
{
    pf_network *network = NULL;
    pf_status   st = pf_network_import(path, &network, err);

    *out = (front_result){0};
    if (!st) st = front_examine(device, pf_network_graph(network), options, out, err);
    pf_network_free(network);
    return st;
}
