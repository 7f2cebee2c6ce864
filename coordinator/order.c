/* What jobs have in common. */
#include "base/alloc.h"
#include "coordinator/state.h"

static void drop_texts(pf_core *core, const pf_order_key *key)
{
    pf_text_drop(core, key->model_name);
    pf_text_drop(core, key->user);
    pf_text_drop(core, key->selector);
    pf_text_drop(core, key->builder_abi);
}

pf_order *pf_order_take(pf_core *core, const pf_order_key *key)
{
    pf_order *order = pf_index_find(&core->orders, key);

    if (order) {
        drop_texts(core, key);
        order->refs++;
        return order;
    }
    order = pf_core_alloc(core, sizeof *order);
    if (order) {
        order->of = *key;
        order->refs = 1;
        if (pf_index_add(&core->orders, order))
            return order;
        pf_core_fail(core);
        pf_free(order);
    }
    drop_texts(core, key);
    return NULL;
}

void pf_order_drop(pf_core *core, pf_order *order)
{
    if (!order || --order->refs > 0)
        return;
    pf_index_remove(&core->orders, &order->of);
    drop_texts(core, &order->of);
    pf_free(order);
}
