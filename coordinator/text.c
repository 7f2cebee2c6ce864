/* Texts that many things name. */
#include <sodium.h>
#include <string.h>

#include "base/alloc.h"
#include "coordinator/rows.h"
#include "coordinator/state.h"

/* Most texts are taken again and again (users, models, selectors): those are found here without being hashed for
   real. */
static pf_text **recent_place(pf_core *core, const char *text, size_t bytes)
{
    uint32_t hash = (uint32_t)bytes;

    for (size_t i = 0; i < bytes && i < 32; i++)
        hash = hash * 31 + (uint8_t)text[i];
    return &core->recent[(hash ^ hash >> 8) % (sizeof core->recent / sizeof core->recent[0])];
}

static size_t bytes_of(size_t text_bytes)
{
    return offsetof(pf_text, data) + text_bytes + 1 + (text_bytes > PF_TEXT_SHORT_BYTES ? sizeof(pf_digest) : 0);
}

void pf_text_free(pf_core *core, pf_text *text)
{
    pf_pool_give(&core->pool, text, bytes_of(text->bytes));
}

static pf_text *new_text(pf_core *core, const uint8_t key[PF_TEXT_KEY_BYTES], const char *text, size_t bytes)
{
    pf_text *fresh = pf_core_take(core, bytes_of(bytes));

    if (!fresh)
        return NULL;
    memcpy(fresh->key, key, sizeof fresh->key);
    fresh->refs = 1;
    fresh->bytes = (uint32_t)bytes;
    memcpy(fresh->data, text, bytes);
    if (bytes > PF_TEXT_SHORT_BYTES)
        pf_digest_of(text, bytes, (pf_digest *)(fresh->data + bytes + 1));
    return fresh;
}

pf_text *pf_text_take(pf_core *core, const char *text)
{
    return pf_text_take_bytes(core, text, strlen(text));
}

pf_text *pf_text_take_bytes(pf_core *core, const char *text, size_t bytes)
{
    pf_text **recent = recent_place(core, text, bytes);
    uint8_t   key[PF_TEXT_KEY_BYTES] = { 0 };
    pf_text  *found = *recent;

    if (found && found->bytes == bytes && memcmp(found->data, text, bytes) == 0)
        return pf_text_again(found);
    crypto_shorthash_siphashx24(key, (const uint8_t *)text, bytes, core->config.index_seed);
    found = pf_index_find(&core->texts, key);
    if (found) {
        *recent = found;
        return pf_text_again(found);
    }
    found = new_text(core, key, text, bytes);
    if (!found)
        return NULL;
    if (pf_index_add(&core->texts, found)) {
        *recent = found;
        return found;
    }
    pf_core_fail(core);
    pf_text_free(core, found);
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
    pf_index_remove(&core->texts, text->key);
    pf_text_free(core, text);
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

void pf_text_digest(const pf_text *text, pf_digest *out)
{
    if (text->bytes > PF_TEXT_SHORT_BYTES)
        memcpy(out, text->data + text->bytes + 1, sizeof *out);
    else
        pf_digest_of(text->data, text->bytes, out);
}

/* ---- rows of their own */

void pf_text_stored(pf_core *core, pf_text *text)
{
    if (!text)
        return;
    text->refs++;
    if (text->stored_refs++ == 0)
        pf_rows_put_text(core, text);
}

static void remove_row(pf_core *core, const pf_text *text)
{
    pf_digest digest = { 0 };

    pf_text_digest(text, &digest);
    pf_core_remove(core, PF_ROWS_TEXTS, &digest, sizeof digest);
}

void pf_text_unstored(pf_core *core, pf_text *text)
{
    if (!text)
        return;
    if (--text->stored_refs == 0)
        remove_row(core, text);
    pf_text_drop(core, text);
}

pf_text *pf_text_stored_find(const pf_core *core, const pf_digest *digest)
{
    const pf_stored_text *found = pf_index_find(&core->stored_texts, digest);

    return found ? found->text : NULL;
}

void pf_text_end_loading(pf_core *core)
{
    for (uint32_t i = 0; i < core->stored_texts.capacity; i++) {
        pf_stored_text *loaded = core->stored_texts.item[i];
        if (!loaded)
            continue;
        if (loaded->text->stored_refs == 0)
            remove_row(core, loaded->text);
        pf_text_drop(core, loaded->text);
        pf_free(loaded);
    }
    pf_index_clear(&core->stored_texts);
}
