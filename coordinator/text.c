/* Texts that many things name. */
#include <string.h>

#include "base/alloc.h"
#include "coordinator/rows.h"
#include "coordinator/state.h"

/* Most texts are taken again and again (users, models, selectors): those are found here without being hashed for real. */
static pf_text **recent_place(pf_core *core, const char *text, size_t bytes)
{
    uint32_t hash = (uint32_t)bytes;

    for (size_t i = 0; i < bytes && i < 32; i++)
        hash = hash * 31 + (uint8_t)text[i];
    return &core->recent[(hash ^ hash >> 8) % (sizeof core->recent / sizeof core->recent[0])];
}

pf_text *pf_text_take(pf_core *core, const char *text)
{
    size_t    bytes = strlen(text);
    pf_text **recent = recent_place(core, text, bytes);
    pf_digest digest = { 0 };
    pf_text  *found = *recent;

    if (found && found->bytes == bytes && memcmp(found->data, text, bytes) == 0)
        return pf_text_again(found);
    pf_digest_of(text, bytes, &digest);
    found = pf_index_find(&core->texts, &digest);
    if (found) {
        *recent = found;
        return pf_text_again(found);
    }
    found = pf_core_alloc(core, sizeof *found + bytes + 1);
    if (!found)
        return NULL;
    found->digest = digest;
    found->refs = 1;
    found->bytes = (uint32_t)bytes;
    memcpy(found->data, text, bytes);
    if (pf_index_add(&core->texts, found)) {
        *recent = found;
        return found;
    }
    pf_core_fail(core);
    pf_free(found);
    return NULL;
}

pf_text *pf_text_again(pf_text *text)
{
    if (text)
        text->refs++;
    return text;
}

void pf_text_drop(pf_core *core, pf_text *text)
{
    pf_text **recent = NULL;

    if (!text || --text->refs > 0)
        return;
    recent = recent_place(core, text->data, text->bytes);
    if (*recent == text)
        *recent = NULL;
    pf_index_remove(&core->texts, &text->digest);
    pf_free(text);
}

void pf_text_set(pf_core *core, pf_text **place, const char *text)
{
    pf_text *fresh = text && *text ? pf_text_take(core, text) : NULL;

    pf_text_drop(core, *place);
    *place = fresh;
}

const char *pf_text_of(const pf_text *text)
{
    return text ? text->data : "";
}

void pf_text_stored(pf_core *core, pf_text *text)
{
    if (!text)
        return;
    text->refs++;
    if (text->stored_refs++ == 0)
        pf_rows_put_text(core, text);
}

void pf_text_unstored(pf_core *core, pf_text *text)
{
    if (!text)
        return;
    if (--text->stored_refs == 0)
        pf_core_remove(core, PF_ROWS_TEXTS, &text->digest, sizeof text->digest);
    pf_text_drop(core, text);
}
