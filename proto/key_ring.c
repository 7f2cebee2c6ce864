/* The ring of proto/farm_key.h. */
#include <stdio.h>
#include <string.h>
#include <zmq.h>

#include "base/alloc.h"
#include "base/file.h"
#include "proto/farm_key.h"
#include "proto/message.h"

enum { RING_FILE_BYTES = 16 << 20, LINE_BYTES = 1024, RAW_BYTES = 32 };

static const char HEAD[] = "planfarm-key-ring 1\n";

/* What each word allows: an agent reads models and the timings of others, and who may do all may do each. */
static const struct grant { const char *word; uint32_t grants; } words[] = {
    { "submit", PF_GRANT_SUBMIT },
    { "fetch", PF_GRANT_FETCH },
    { "agent", PF_GRANT_AGENT | PF_GRANT_FETCH },
    { "cache-write", PF_GRANT_CACHE_WRITE | PF_GRANT_FETCH },
    { "peer", PF_GRANT_PEER | PF_GRANT_FETCH },
    { "admin", PF_GRANT_ADMIN | PF_GRANT_SUBMIT | PF_GRANT_FETCH | PF_GRANT_CACHE_WRITE },
};

void pf_key_ring_clear(pf_key_ring *ring)
{
    pf_free(ring->entry);
    memset(ring, 0, sizeof *ring);
}

static pf_ring_entry *find(const pf_key_ring *ring, const char *name)
{
    for (uint32_t i = 0; i < ring->count; i++)
        if (strcmp(ring->entry[i].name, name) == 0)
            return &ring->entry[i];
    return NULL;
}

const pf_ring_entry *pf_key_ring_find(const pf_key_ring *ring, const char *name)
{
    return find(ring, name);
}

const pf_ring_entry *pf_key_ring_find_key(const pf_key_ring *ring, const char *public_key)
{
    for (uint32_t i = 0; i < ring->count; i++)
        if (strcmp(ring->entry[i].public_key, public_key) == 0)
            return &ring->entry[i];
    return NULL;
}

/* ---- grants */

static pf_status add_class(pf_ring_entry *entry, const char *name, pf_err *err)
{
    if (!pf_text_is_name(name, PF_CLASS_NAME_BYTES))
        return PF_FAIL(err, PF_INVALID, "\"%.100s\" is no name of a device class", name);
    if (entry->classes_count == PF_RING_CLASSES_MAX)
        return PF_FAIL(err, PF_INVALID, "a key may be limited to at most %d device classes", PF_RING_CLASSES_MAX);
    snprintf(entry->device_class[entry->classes_count++], PF_CLASS_NAME_BYTES, "%s", name);
    return PF_OK;
}

static pf_status add_grant(pf_ring_entry *entry, const char *word, pf_err *err)
{
    bool limited = strncmp(word, "agent:", 6) == 0;

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(limited ? "agent" : word, words[i].word) == 0) {
            entry->grants |= words[i].grants;
            return limited ? add_class(entry, word + 6, err) : PF_OK;
        }
    return PF_FAIL(err, PF_INVALID,
                   "\"%.100s\" is no grant; there are submit, fetch, agent, agent:CLASS, cache-write, peer, "
                   "admin",
                   word);
}

static pf_status parse_grants(pf_ring_entry *entry, const char *grants, pf_err *err)
{
    char      copy[LINE_BYTES] = "", *rest = NULL;
    pf_status st = PF_OK;

    entry->grants = 0;
    entry->classes_count = 0;
    if ((size_t)snprintf(copy, sizeof copy, "%s", grants) >= sizeof copy || !copy[0])
        return PF_FAIL(err, PF_INVALID, "there are no grants, or too many");
    for (char *word = strtok_r(copy, ",", &rest); word && !st; word = strtok_r(NULL, ",", &rest))
        st = add_grant(entry, word, err);
    return st;
}

/* The fewest words that say it: admin covers others. */
void pf_ring_entry_grants(const pf_ring_entry *entry, char *out, size_t capacity)
{
    static const uint32_t own[] = {PF_GRANT_ADMIN, PF_GRANT_SUBMIT,      PF_GRANT_FETCH,
                                   PF_GRANT_AGENT, PF_GRANT_CACHE_WRITE, PF_GRANT_PEER};
    static const char *const names[] = { "admin", "submit", "fetch", "agent", "cache-write", "peer" };
    size_t                used = 0;

    out[0] = 0;
    for (size_t i = 0; i < sizeof own / sizeof own[0] && used < capacity; i++) {
        bool limited = own[i] == PF_GRANT_AGENT && entry->classes_count > 0;
        if (!(entry->grants & own[i]))
            continue;
        for (uint32_t k = 0; k < (limited ? entry->classes_count : 1) && used < capacity; k++)
            used += (size_t)snprintf(out + used, capacity - used, "%s%s%s%s", used ? "," : "", names[i],
                                     limited ? ":" : "", limited ? entry->device_class[k] : "");
    }
}

pf_status pf_key_ring_grant(pf_key_ring *ring, const char *name, const char *public_key, const char *grants,
                            pf_err *err)
{
    pf_ring_entry entry = { 0 }, *there = find(ring, name);
    uint8_t       raw[RAW_BYTES] = { 0 };
    void         *items = ring->entry;
    pf_status     st = PF_OK;

    if (!pf_text_is_name(name, sizeof entry.name) || strchr(name, '.'))
        return PF_FAIL(err, PF_INVALID, "\"%.100s\" is no name for a key", name);
    if (strlen(public_key) != PF_Z85_BYTES - 1 || !zmq_z85_decode(raw, public_key))
        return PF_FAIL(err, PF_INVALID, "\"%.100s\" is no public key of 40 characters", public_key);
    snprintf(entry.name, sizeof entry.name, "%s", name);
    snprintf(entry.public_key, sizeof entry.public_key, "%s", public_key);
    st = parse_grants(&entry, grants, err);
    if (st)
        return st;
    if (!there) {
        if (pf_grow(&items, &ring->capacity, ring->count + 1, sizeof entry))
            return PF_FAIL_MEMORY(err, sizeof entry);
        ring->entry = items;
        there = &ring->entry[ring->count++];
    }
    *there = entry;
    return PF_OK;
}

pf_status pf_key_ring_revoke(pf_key_ring *ring, const char *name, pf_err *err)
{
    pf_ring_entry *there = find(ring, name);

    if (!there)
        return PF_FAIL(err, PF_NOT_FOUND, "there is no key \"%.100s\" in the ring", name);
    *there = ring->entry[--ring->count];
    return PF_OK;
}

/* ---- the file */

static pf_status parse_line(pf_key_ring *ring, char *line, pf_err *err)
{
    char *rest = NULL, *name = strtok_r(line, " ", &rest), *key = strtok_r(NULL, " ", &rest),
         *grants = strtok_r(NULL, " ", &rest);

    if (!name || !key || !grants || strtok_r(NULL, " ", &rest))
        return PF_FAIL(err, PF_CORRUPT, "a line is not \"name key grants\"");
    return pf_key_ring_grant(ring, name, key, grants, err);
}

static pf_status parse_ring(pf_key_ring *ring, char *text, pf_err *err)
{
    char     *rest = NULL;
    int       number = 2;
    pf_err    why = { 0 };
    pf_status st = PF_OK;

    if (strncmp(text, HEAD, sizeof HEAD - 1) != 0)
        return PF_FAIL(err, PF_CORRUPT, "it does not begin with \"planfarm-key-ring 1\"");
    for (char *line = strtok_r(text + sizeof HEAD - 1, "\n", &rest); line && !st;
         line = strtok_r(NULL, "\n", &rest), number++)
        st = parse_line(ring, line, &why);
    return st ? PF_FAIL(err, PF_CORRUPT, "line %d: %s", number - 1, why.msg) : PF_OK;
}

pf_status pf_key_ring_read(const char *path, pf_key_ring *out, pf_err *err)
{
    pf_buf    text = { 0 };
    pf_status st = PF_OK;

    memset(out, 0, sizeof *out);
    if (!pf_file_exists(path))
        return PF_OK;
    pf_buf_init(&text, RING_FILE_BYTES);
    st = pf_file_read(path, RING_FILE_BYTES - 1, &text, err);
    if (!st)
        st = parse_ring(out, (char *)text.data, err);
    pf_buf_clear(&text);
    if (st)
        pf_key_ring_clear(out);
    return st ? pf_err_add(err, st, "%s", path) : PF_OK;
}

pf_status pf_key_ring_write(const pf_key_ring *ring, const char *path, pf_err *err)
{
    char      grants[LINE_BYTES] = "";
    pf_buf    text = { 0 };
    pf_status st = PF_OK;

    pf_buf_init(&text, RING_FILE_BYTES);
    pf_buf_printf(&text, "%s", HEAD);
    for (uint32_t i = 0; i < ring->count; i++) {
        pf_ring_entry_grants(&ring->entry[i], grants, sizeof grants);
        pf_buf_printf(&text, "%s %s %s\n", ring->entry[i].name, ring->entry[i].public_key, grants);
    }
    st = text.failed ? PF_FAIL_MEMORY(err, text.size) : pf_file_write(path, text.data, text.size, err);
    pf_buf_clear(&text);
    return st;
}
