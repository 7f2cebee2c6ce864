#include "client/plan_report.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "client/output.h"
#include "client/tensor_report.h"
#include "engine/plan.h"

enum { TEXT_LIMIT = 256 << 20 };

static pf_status describe(pf_call *call, const pf_plan *plan, pf_err *err)
{
    pf_buf       text;
    json_t      *members = NULL;
    json_error_t why;
    pf_status    status = PF_OK;

    pf_buf_init(&text, TEXT_LIMIT);
    status = pf_plan_describe(plan, &text, err);
    if (!status)
        members = json_loadb((const char *)text.data, text.size, 0, &why);
    if (!status && !members)
        status = PF_FAIL(err, PF_INTERNAL, "the description of a plan is no JSON: %s", why.text);
    if (!status)
        json_object_update(call->result, members);
    json_decref(members);
    pf_buf_clear(&text);
    return status;
}

static void say_io(pf_call *call, const pf_plan *plan)
{
    for (uint32_t i = 0; i < pf_plan_io_count(plan); i++) {
        const pf_io *io = pf_plan_io(plan, i);
        char         shape[PF_SHAPE_TEXT_BYTES], least[PF_SHAPE_TEXT_BYTES], usual[PF_SHAPE_TEXT_BYTES],
                     most[PF_SHAPE_TEXT_BYTES], type[PF_TEXT_BYTES];
        bool         dynamic = false;

        for (int32_t d = 0; d < io->rank; d++)
            dynamic |= io->dim[d] < 0;
        pf_say(call, "  %-7s %-28s %s %s", io->is_input ? "input" : "output", io->name,
               pf_text_type(pf_plan_io_kind(plan, i), io->dtype, type), pf_shape_text(io->dim, io->rank, shape));
        if (dynamic && io->is_input)
            pf_say(call, "  from %s, usually %s, to %s", pf_shape_text(io->min, io->rank, least),
                   pf_shape_text(io->opt, io->rank, usual), pf_shape_text(io->max, io->rank, most));
        pf_say(call, "\n");
    }
}

static void say_layers(pf_call *call, const pf_plan *plan)
{
    for (uint32_t i = 0; i < pf_plan_layer_count(plan); i++) {
        pf_layer layer = {0};
        char     time[PF_TEXT_BYTES], workspace[PF_TEXT_BYTES];

        pf_plan_layer(plan, i, &layer);
        pf_say(call, "  %4u %10s  %-24s %9s  %s%s%s\n", i, layer.time_ns ? pf_text_ns(layer.time_ns, time) : "untimed",
               layer.tactic, pf_text_bytes(layer.workspace_bytes, workspace), layer.name, layer.tuning[0] ? "  " : "",
               layer.tuning);
    }
}

static void say_lines(pf_call *call, const char *title, const char *text)
{
    size_t length = 0;

    pf_say(call, "%s\n", title);
    for (; *text; text += length + (text[length] == '\n')) {
        length = strcspn(text, "\n");
        pf_say(call, "%.*s\n", (int)length, text);
    }
}

static void say_plan(pf_call *call, const char *path, const pf_plan *plan)
{
    char      size[PF_TEXT_BYTES], memory[PF_TEXT_BYTES], least[PF_TEXT_BYTES], weights[PF_TEXT_BYTES],
              hex[PF_DIGEST_HEX_BYTES];
    pf_digest key;
    size_t    bytes = 0;

    pf_plan_bytes(plan, &bytes);
    pf_plan_key_of(plan, &key);
    pf_digest_to_hex(&key, hex);
    pf_say(call, "plan %s \"%s\", %s, made by %s for %s\n  key %s\n", path, plan->network_name,
           pf_text_bytes(bytes, size), plan->builder_abi, pf_plan_class_name(plan), hex);
    pf_say(call, "  %u layers; weights %s; memory %s, at least %s; with the weights %.3f of the least\n",
           pf_plan_layer_count(plan), pf_text_bytes(plan->weights_bytes, weights),
           pf_text_bytes(plan->check.memory_bytes, memory), pf_text_bytes(plan->check.memory_lower_bound_bytes, least),
           pf_plan_memory_ratio(plan));
    if (plan->check.max_rel_error >= 0)
        pf_say(call, "  largest error against the reference %.2g of the output's range\n", plan->check.max_rel_error);
    say_io(call, plan);
    if (plan->spec_text[0])
        say_lines(call, "build spec", plan->spec_text);
    if (pf_args_flag(call->args, "rules"))
        say_lines(call, "rewrites", plan->rewrites);
    if (pf_args_flag(call->args, "layers"))
        say_layers(call, plan);
}

pf_status pf_plan_report(pf_call *call, const char *path, pf_err *err)
{
    pf_plan  *plan = NULL;
    pf_status status = pf_plan_load(path, &plan, err);

    if (!status)
        status = pf_plan_verify(plan, err);
    if (!status)
        status = describe(call, plan, err);
    if (!status) {
        json_object_set_new(call->result, "kind", json_string("plan"));
        say_plan(call, path, plan);
    }
    pf_plan_free(plan);
    return status;
}
