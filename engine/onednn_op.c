/* A oneDNN primitive with its arguments.
   oneDNN's memory objects hold the pointers of a run, so each run needs objects of its own: an op keeps a few sets of
   them, and a run takes one that is free.  Only when more threads than sets run the same op at once does a run make
   temporary ones. */
#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/onednn.h"

typedef struct argument_set {
    atomic_flag     busy;
    dnnl_exec_arg_t exec[PF_ONEDNN_ARGS];
} argument_set;

struct pf_onednn_op {
    dnnl_engine_t    engine;            /* borrowed from the device */
    dnnl_primitive_t primitive;
    pf_onednn_args   args;
    argument_set    *sets;
    uint32_t         set_count;
};

void pf_onednn_args_add(pf_onednn_args *args, int name, pf_onednn_place place, uint32_t slot, size_t offset,
                        const dnnl_memory_desc_t *desc)
{
    if (args->count < PF_ONEDNN_ARGS)
        args->at[args->count] = (pf_onednn_arg){ name, place, slot, offset, 0, *desc };
    args->count++;                      /* one too many is found by pf_onednn_op_new */
}

size_t pf_onednn_scratch_bytes(const_dnnl_primitive_desc_t desc)
{
    const dnnl_memory_desc_t *scratch = dnnl_primitive_desc_query_md(desc, dnnl_query_scratchpad_md, 0);

    return scratch ? dnnl_memory_desc_get_size(scratch) : 0;
}

static void set_clear(argument_set *set, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (set->exec[i].memory)
            dnnl_memory_destroy(set->exec[i].memory);
    memset(set->exec, 0, sizeof set->exec);
}

static pf_status set_init(const pf_onednn_op *op, argument_set *set, pf_err *err)
{
    for (uint32_t i = 0; i < op->args.count; i++) {
        dnnl_status_t status = dnnl_memory_create(&set->exec[i].memory, &op->args.at[i].desc, op->engine,
                                                  DNNL_MEMORY_NONE);

        set->exec[i].arg = op->args.at[i].name;
        if (status) {
            set_clear(set, i);
            return pf_onednn_fail(status, "make a memory object", err);
        }
    }
    return PF_OK;
}

void pf_onednn_op_free(pf_onednn_op *op)
{
    if (!op)
        return;
    for (uint32_t i = 0; op->sets && i < op->set_count; i++)
        set_clear(&op->sets[i], op->args.count);
    pf_free(op->sets);
    if (op->primitive)
        dnnl_primitive_destroy(op->primitive);
    pf_free(op);
}

pf_status pf_onednn_op_new(const pf_device *device, const_dnnl_primitive_desc_t desc, const pf_onednn_args *args,
                           uint32_t at_once, pf_onednn_op **out, pf_err *err)
{
    pf_onednn_op *op = NULL;
    pf_status     st = PF_OK;
    dnnl_status_t status = dnnl_success;

    *out = NULL;
    if (args->count > PF_ONEDNN_ARGS)
        return PF_FAIL(err, PF_UNSUPPORTED, "a oneDNN step of %u arguments is over the limit of %d", args->count,
                       PF_ONEDNN_ARGS);
    op = pf_calloc(1, sizeof *op);
    if (op)
        op->sets = pf_calloc(at_once, sizeof *op->sets);
    if (!op || !op->sets) {
        pf_free(op);
        return PF_FAIL_MEMORY(err, at_once * sizeof *op->sets);
    }
    op->set_count = at_once;
    op->engine = pf_device_cpu_dnnl(device);
    op->args = *args;
    status = dnnl_primitive_create(&op->primitive, desc);
    if (status)
        st = pf_onednn_fail(status, "make a primitive", err);
    for (uint32_t i = 0; i < at_once && !st; i++)
        st = set_init(op, &op->sets[i], err);
    if (st)
        pf_onednn_op_free(op);
    else
        *out = op;
    return st;
}

static char *place_of(const pf_onednn_arg *arg, const pf_bindings *b)
{
    switch (arg->place) {
    case PF_ONEDNN_IN:
        return b->in[arg->slot];
    case PF_ONEDNN_OUT:
        return b->out[arg->slot];
    case PF_ONEDNN_PACKED:
        return b->packed;
    default:
        return b->workspace;
    }
}

static dnnl_status_t run_image(const pf_onednn_op *op, const argument_set *set, const pf_bindings *b, size_t image,
                               pf_stream *stream)
{
    dnnl_status_t status = dnnl_success;

    for (uint32_t i = 0; i < op->args.count && !status; i++) {
        const pf_onednn_arg *arg = &op->args.at[i];
        char                *place = place_of(arg, b);

        status = dnnl_memory_set_data_handle_v2(set->exec[i].memory,
                                                place ? place + arg->offset + image * arg->image_bytes : NULL, NULL);
    }
    return status ? status
                  : dnnl_primitive_execute(op->primitive, pf_stream_cpu_dnnl(stream), (int)op->args.count, set->exec);
}

static pf_status run_with(const pf_onednn_op *op, const argument_set *set, const pf_bindings *b, pf_stream *stream,
                          pf_err *err)
{
    size_t        images = op->args.images > 0 ? (size_t)op->args.images : 1;
    dnnl_status_t status = dnnl_success;

    for (size_t image = 0; image < images && !status; image++)
        status = run_image(op, set, b, image, stream);
    return status ? pf_onednn_fail(status, "run a primitive", err) : PF_OK;
}

pf_status pf_onednn_op_run(const pf_onednn_op *op, const pf_bindings *bindings, pf_stream *stream, pf_err *err)
{
    argument_set *sets = op->sets;      /* the only part of an op that runs change, guarded by busy */
    argument_set  own = { .busy = ATOMIC_FLAG_INIT };
    pf_status     st = PF_OK;

    for (uint32_t i = 0; i < op->set_count; i++) {
        if (atomic_flag_test_and_set_explicit(&sets[i].busy, memory_order_acquire))
            continue;
        st = run_with(op, &sets[i], bindings, stream, err);
        atomic_flag_clear_explicit(&sets[i].busy, memory_order_release);
        return st;
    }
    st = set_init(op, &own, err);
    if (!st)
        st = run_with(op, &own, bindings, stream, err);
    set_clear(&own, op->args.count);
    return st;
}
