#include "base/error_list.h"

#include "base/alloc.h"

struct pf_error_list {
    pf_error *items;                    /* owned; node and message too */
    uint32_t  count, capacity, dropped;
};

pf_status pf_error_list_new(pf_error_list **out, pf_err *err)
{
    *out = pf_calloc(1, sizeof **out);
    return *out ? PF_OK : PF_FAIL_MEMORY(err, sizeof **out);
}

void pf_error_list_clear(pf_error_list *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        pf_free((char *)(uintptr_t)list->items[i].node);
        pf_free((char *)(uintptr_t)list->items[i].message);
    }
    list->count = list->dropped = 0;
}

void pf_error_list_free(pf_error_list *list)
{
    if (!list)
        return;
    pf_error_list_clear(list);
    pf_free(list->items);
    pf_free(list);
}

void pf_error_list_add(pf_error_list *list, pf_status status, const char *node, const char *message)
{
    char *node_copy = NULL, *message_copy = NULL;

    if (list->count < PF_ERRORS_KEPT &&
        !pf_grow((void **)&list->items, &list->capacity, list->count + 1, sizeof *list->items)) {
        node_copy = pf_strdup(node ? node : "");
        message_copy = pf_strdup(message);
    }
    if (!node_copy || !message_copy) {
        pf_free(node_copy);
        pf_free(message_copy);
        list->dropped++;
        return;
    }
    list->items[list->count++] = (pf_error){ status, node_copy, message_copy };
}

uint32_t pf_error_list_count(const pf_error_list *list)
{
    return list->count;
}

uint32_t pf_error_list_dropped(const pf_error_list *list)
{
    return list->dropped;
}

void pf_error_list_at(const pf_error_list *list, uint32_t index, pf_error *out)
{
    *out = index < list->count ? list->items[index] : (pf_error){ 0 };
}
