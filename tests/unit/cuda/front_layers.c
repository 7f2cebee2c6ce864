#include "tests/unit/cuda/front_layers.h"

#include <stdio.h>
#include <string.h>

#include "engine/builder_draft.h"
#include "engine/builder_variant.h"
#include "engine/op.h"
#include "engine/planfarm.h"
#include "tests/unit/engine/seeded.h"

/* ---- What a layer does */

static bool moves_alone(const pf_problem *problem)
{
    for (uint32_t n = 0; n < problem->graph->node_count; n++) {
        const pf_node *node = &problem->graph->nodes[n];
        pf_op_class    klass = pf_op_def_of(node->op)->klass;

        if (node->live && node->op != PF_OP_CAST && node->op != PF_OP_IDENTITY && klass != PF_CLASS_MOVE &&
            klass != PF_CLASS_VIEW)
            return false;
    }
    return true;
}

static void note_layer(const pf_search *search, const pf_problem *problem, uint32_t item, const char *name,
                       bool prints, front_layers *out)
{
    const char *tactic = search->items[item].choice.ranked[0]->tactic;
    double      flops = 0, bytes = 0;
    bool        moves = moves_alone(problem);

    pf_problem_cost(search->items[item].problem, &flops, &bytes);
    out->count++;
    out->moves += moves;
    out->moved_bytes += moves ? bytes : 0;
    out->hosts += !strcmp(tactic, "cuda_host");
    if (prints)
        printf("LAYER%s %.0f KB %s \"%s\" %s\n", moves ? " MOVES" : "", bytes / 1024, tactic, name,
               problem->text);
}

static void note_layers(const pf_formats *formats, bool prints, front_layers *out)
{
    for (uint32_t u = 0; u < formats->unit_count; u++) {
        const pf_format_unit   *unit = &formats->units[u];
        const pf_format_option *option = unit->option_count ? &unit->options[unit->chosen] : NULL;

        out->joined += option && !option->problem && !unit->is_view;
        if (option && option->problem)
            note_layer(formats->search, option->problem, option->item, unit->name, prints, out);
    }
    for (uint32_t c = 0; c < formats->copy_count; c++)
        note_layer(formats->search, formats->copies[c].problem, formats->copies[c].item, "copy", prints, out);
}

/* ---- A build's way to them */

static int64_t even_time(const char *problem_text, const char *tactic, uint32_t index)
{
    (void)problem_text, (void)tactic;
    return 2000 + index;
}

static pf_status choose(pf_device *device, const pf_config *config, const pf_graph *original, pf_profile *profile,
                        pf_search *search, pf_variant **variant, pf_err *err)
{
    pf_status st = pf_variant_new(original, config, device, PF_CARE_USUAL, NULL, NULL, variant, err);

    if (!st)
        st = pf_profile_cover(profile, (*variant)->graph, err);
    if (!st)
        st = pf_variant_form(*variant, config, device, profile, err);
    return st ? st : pf_variant_choose(*variant, profile, search, err);
}

/* The tables of a plan of these layers hold together. */
static pf_status draft(const pf_formats *formats, const pf_profile *profile, pf_err *err)
{
    pf_draft  draft = {0};
    pf_status st = pf_builder_draft(formats, profile, &draft, err);

    if (!st) st = pf_plan_check_tables(&draft.plan, err);
    pf_builder_draft_clear(&draft);
    return st;
}

pf_status front_layers_of(pf_device *device, const pf_graph *graph, const char *spec, bool prints, front_layers *out,
                          pf_err *err)
{
    pf_graph         *own = pf_graph_copy(graph, err);
    pf_config        *config = NULL;
    pf_profile        profile = {0};
    pf_search         search = {0};
    pf_timing_store  *store = NULL;
    seeded_store      seeded = { .base = { .lookup = seeded_lookup, .merge = seeded_merge }, .search = &search,
                                 .time = even_time };
    pf_variant       *variant = NULL;
    pf_build_progress progress = {0};
    pf_status         st = own ? pf_config_parse(spec, &config, err) : PF_NO_SPACE;

    *out = (front_layers){0};
    if (!st) st = pf_profile_apply(config, own, &profile, err);
    if (!st) st = pf_timing_store_memory(&store, err);
    seeded.kept = store;
    if (!st) st = pf_search_open(device, config, pf_config_int(config, PF_CONFIG_effort) ? &seeded.base : store,
                                 &progress, &search, err);
    if (!st) st = choose(device, config, own, &profile, &search, &variant, err);
    if (!st) note_layers(&variant->formats, prints, out);
    if (!st) st = draft(&variant->formats, &profile, err);
    out->problems = search.count;
    pf_variant_free(variant);
    pf_search_close(&search);
    if (store) store->close(store);
    pf_profile_clear(&profile);
    pf_config_free(config);
    pf_graph_free(own);
    return st;
}
