#include "cache/lmdb_check.h"

#include <inttypes.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"

/* Of a page: number u64, pad u16, flags u16, lower and upper u16 (an overflow page: pages u32), offsets of nodes u16.
   Of a node: bytes of data u32 (a branch: the child's number in 48 bits), flags u16, bytes of its key u16, key, data.
   Of a tree: pad u32, flags u16, depth u16, pages u64 three times, entries u64, root u64.
   Of a meta page: magic u32, version u32, address u64, size u64, the trees of free pages and of names, last page u64,
   transaction u64; the pad of the first tree is the size of a page. */
enum { HEAD_BYTES = 16, NODE_BYTES = 8, TREE_BYTES = 48, META_BYTES = 136, META_PAGES = 2, VERSION = 1, DEPTH_MAX = 32,
       PAGE_BYTES_LEAST = 512, PAGE_BYTES_MOST = 1 << 16, KEY_BYTES_MOST = 511, TAIL_PAGES_MOST = 1 << 20 };
enum { PAGE_BRANCH = 1, PAGE_LEAF = 2, PAGE_OVERFLOW = 4 };
enum { NODE_BIG = 1, NODE_TREE = 2 };
/* Of a tree's flags those that say how keys and values are ordered; the first tree's hold the environment's, too. */
enum { ORDER_FLAGS = 0x7e, ORDER_INTEGERS = 8 };
#define MAGIC UINT32_C(0xbeefc0de)
#define NO_PAGE UINT64_MAX

typedef struct tree { uint32_t flags, depth; uint64_t entries, root; } tree;

/* Of named trees, of rows, of free pages. */
typedef enum tree_kind { TREE_OF_NAMES, TREE_OF_ROWS, TREE_OF_FREE } tree_kind;

typedef struct free_list { const uint8_t *data; uint64_t bytes; } free_list;

typedef struct checker {
    pf_mapping   file;
    uint64_t     page_bytes, page_count, stored_count;      /* stored: in the file */
    uint8_t     *seen;              /* owned; a bit for each page */
    free_list   *lists;             /* owned */
    uint32_t     list_count, list_capacity;
    tree_kind    kind;              /* of the tree that is walked */
    uint64_t     entries;           /* of it, so far */
    const char  *name, *advice;
    pf_err      *err;
} checker;

static uint16_t u16_at(const uint8_t *at) { uint16_t value = 0; memcpy(&value, at, sizeof value); return value; }
static uint32_t u32_at(const uint8_t *at) { uint32_t value = 0; memcpy(&value, at, sizeof value); return value; }
static uint64_t u64_at(const uint8_t *at) { uint64_t value = 0; memcpy(&value, at, sizeof value); return value; }

static pf_status damaged(checker *c, uint64_t page, const char *how)
{
    return PF_FAIL(c->err, PF_CORRUPT, "%s is damaged: page %" PRIu64 " of its file %s; %s", c->name, page, how,
                   c->advice);
}

static tree tree_at(const uint8_t *at)
{
    return (tree){ .flags = u16_at(at + 4), .depth = u16_at(at + 6), .entries = u64_at(at + 32),
                   .root = u64_at(at + 40) };
}

/* ---- pages */

/* before: the first page that cannot be meant. */
static pf_status take_pages(checker *c, uint64_t page, uint64_t count, uint64_t before)
{
    if (page < META_PAGES || page >= before || count > before - page)
        return damaged(c, page, page >= META_PAGES && page < c->page_count ? "was cut off" : "lies outside of it");
    for (uint64_t i = page; i < page + count; i++) {
        if (c->seen[i / CHAR_BIT] & 1 << i % CHAR_BIT)
            return damaged(c, i, "is used twice");
        c->seen[i / CHAR_BIT] |= (uint8_t)(1 << i % CHAR_BIT);
    }
    return PF_OK;
}

static const uint8_t *page_at(const checker *c, uint64_t page)
{
    return c->file.data + page * c->page_bytes;
}

static bool is_page(const checker *c, uint64_t page, uint32_t kind)
{
    return u64_at(page_at(c, page)) == page && u16_at(page_at(c, page) + 10) == kind;
}

/* ---- nodes of leaves */

static pf_status check_tree(checker *c, tree_kind kind, tree of, uint64_t page);

static pf_status keep_list(checker *c, uint64_t page, const uint8_t *data, uint64_t bytes)
{
    if (c->kind != TREE_OF_FREE)
        return PF_OK;
    if (bytes < sizeof(uint64_t) || u64_at(data) > bytes / sizeof(uint64_t) - 1)
        return damaged(c, page, "has a list of free pages that is too short");
    if (pf_grow((void **)&c->lists, &c->list_capacity, c->list_count + 1, sizeof *c->lists))
        return PF_FAIL_MEMORY(c->err, sizeof *c->lists);
    c->lists[c->list_count++] = (free_list){ data, bytes };
    return PF_OK;
}

/* Data too large for a leaf lie in pages of their own, one after the other, with one head.  There are more of them than
   the data need where a value became smaller within one transaction. */
static pf_status check_big(checker *c, uint64_t from, uint64_t page, uint64_t bytes)
{
    uint64_t  least = (HEAD_BYTES - 1 + bytes) / c->page_bytes + 1, count = 0;
    pf_status status = take_pages(c, page, 1, c->stored_count);

    if (status)
        return status;
    count = u32_at(page_at(c, page) + 12);
    if (!is_page(c, page, PAGE_OVERFLOW) || count < least)
        return damaged(c, page, "is not one of large data");
    if (count > 1)
        status = take_pages(c, page + 1, count - 1, c->stored_count);
    return status ? status : keep_list(c, from, page_at(c, page) + HEAD_BYTES, bytes);
}

/* With its head, to an even number. */
static uint64_t node_bytes(const uint8_t *node, uint32_t depth)
{
    uint64_t data = depth > 1 ? 0 : u16_at(node + 4) & NODE_BIG ? sizeof(uint64_t) : u32_at(node);

    return (NODE_BYTES + u16_at(node + 6) + data + 1) & ~UINT64_C(1);
}

static pf_status check_leaf_node(checker *c, uint64_t page, const uint8_t *node)
{
    uint64_t       bytes = u32_at(node), key_bytes = u16_at(node + 6);
    uint32_t       flags = u16_at(node + 4);
    const uint8_t *data = node + NODE_BYTES + key_bytes;

    c->entries++;
    if (c->kind == TREE_OF_FREE ? key_bytes != sizeof(uint64_t) : !key_bytes || key_bytes > KEY_BYTES_MOST)
        return damaged(c, page, "has a key of an impossible length");
    if (flags == NODE_BIG)
        return check_big(c, page, u64_at(data), bytes);
    if (flags == 0)
        return keep_list(c, page, data, bytes);
    if (flags != NODE_TREE || bytes != TREE_BYTES || c->kind != TREE_OF_NAMES)
        return damaged(c, page, "has a value of no known kind");
    return check_tree(c, TREE_OF_ROWS, tree_at(data), page);
}

/* ---- trees */

static pf_status check_page(checker *c, uint64_t page, uint32_t depth);

/* Adds what it takes to used_bytes. */
static pf_status check_node(checker *c, uint64_t page, uint64_t offset, uint32_t depth, uint64_t *used_bytes)
{
    const uint8_t *node = page_at(c, page) + offset;

    if (node_bytes(node, depth) > c->page_bytes - offset)
        return damaged(c, page, "has an entry that goes on behind it");
    *used_bytes += node_bytes(node, depth);
    if (depth == 1)
        return check_leaf_node(c, page, node);
    return check_page(c, u32_at(node) | (uint64_t)u16_at(node + 4) << 32, depth - 1);
}

/* depth: levels of the tree from this page down; 1 is a leaf. */
static pf_status check_page(checker *c, uint64_t page, uint32_t depth)
{
    pf_status      status = take_pages(c, page, 1, c->stored_count);
    const uint8_t *at = status ? NULL : page_at(c, page);
    uint64_t       lower = 0, upper = 0, least = 0, used_bytes = 0;

    if (status)
        return status;
    lower = u16_at(at + 12);
    upper = u16_at(at + 14);
    if (!is_page(c, page, depth == 1 ? PAGE_LEAF : PAGE_BRANCH))
        return damaged(c, page, "is not the one that the tree names");
    /* LMDB ends the process where it follows a page of branches that has fewer than two. */
    least = HEAD_BYTES + (depth > 1 && c->kind != TREE_OF_FREE ? 4 : 2);
    if (lower < least || lower > upper || upper > c->page_bytes || lower % 2)
        return damaged(c, page, "has no room for what it holds");
    for (uint64_t i = HEAD_BYTES; i < lower && !status; i += 2) {
        uint64_t offset = u16_at(at + i);

        if (offset < upper || offset % 2 || offset > c->page_bytes - NODE_BYTES)
            return damaged(c, page, "has an entry outside of it");
        status = check_node(c, page, offset, depth, &used_bytes);
    }
    return status || used_bytes == c->page_bytes - upper ? status : damaged(c, page, "has entries that overlap");
}

/* page: where the tree is named. */
static pf_status check_tree(checker *c, tree_kind kind, tree of, uint64_t page)
{
    uint64_t  outer = c->entries;
    tree_kind outer_kind = c->kind;
    pf_status status = PF_OK;

    if ((of.flags & ORDER_FLAGS) != (kind == TREE_OF_FREE ? ORDER_INTEGERS : 0))
        return damaged(c, page, "names a tree of another order");
    if (of.root == NO_PAGE && of.entries == 0 && of.depth == 0)
        return PF_OK;
    if (of.depth == 0 || of.depth > DEPTH_MAX)
        return damaged(c, page, "names a tree of an impossible depth");
    c->entries = 0;
    c->kind = kind;
    status = check_page(c, of.root, of.depth);
    if (!status && c->entries != of.entries)
        return damaged(c, page, "counts other entries than the tree has");
    c->entries = outer;
    c->kind = outer_kind;
    return status;
}

static pf_status check_lists(checker *c)
{
    pf_status status = PF_OK;

    for (uint32_t i = 0; i < c->list_count; i++)
        for (uint64_t k = 1, before = NO_PAGE; k <= u64_at(c->lists[i].data) && !status; k++) {
            uint64_t page = u64_at(c->lists[i].data + k * sizeof(uint64_t));

            status = page < before ? take_pages(c, page, 1, c->page_count)
                                   : damaged(c, page, "is out of order among free ones");
            before = page;
        }
    return status;
}

/* ---- the newest state */

static bool is_meta(const uint8_t *meta)
{
    return u32_at(meta) == MAGIC && u32_at(meta + 4) == VERSION;
}

/* A copy of what the snapshot began with, since two transactions later it is overwritten.  False: that has happened
   already, or the form is another one. */
static bool copy_meta(const checker *c, size_t transaction, uint8_t meta[META_BYTES])
{
    for (uint64_t page = 0; page < META_PAGES; page++) {
        const uint8_t *at = page_at(c, page) + HEAD_BYTES;

        memcpy(meta, at, META_BYTES);
        atomic_thread_fence(memory_order_acquire);
        if (is_meta(meta) && u64_at(meta + META_BYTES - 8) == transaction)
            return memcmp(meta, at, META_BYTES) == 0;
    }
    return false;
}

/* Pages that were taken and given back in one transaction are free without having been written, so the file may end
   before the last of them. */
static pf_status count_pages(checker *c, const uint8_t *meta)
{
    uint64_t last = u64_at(meta + META_BYTES - 16);

    c->stored_count = c->file.bytes / c->page_bytes;
    if (last < META_PAGES - 1 || last >= c->stored_count + TAIL_PAGES_MOST)
        return damaged(c, last, "cannot be its last one");
    c->page_count = last + 1;
    if (c->stored_count > c->page_count)
        c->stored_count = c->page_count;
    return PF_OK;
}

static pf_status check_all(checker *c, const uint8_t *meta)
{
    pf_status status = count_pages(c, meta);

    if (status)
        return status;
    c->seen = pf_calloc((size_t)(c->page_count / CHAR_BIT + 1), 1);
    if (!c->seen)
        return PF_FAIL_MEMORY(c->err, (size_t)(c->page_count / CHAR_BIT + 1));
    status = check_tree(c, TREE_OF_NAMES, tree_at(meta + 24 + TREE_BYTES), 0);
    if (!status)
        status = check_tree(c, TREE_OF_FREE, tree_at(meta + 24), 0);
    return status ? status : check_lists(c);
}

static bool can_be_page_bytes(uint64_t bytes)
{
    return bytes >= PAGE_BYTES_LEAST && bytes <= PAGE_BYTES_MOST && (bytes & (bytes - 1)) == 0;
}

static pf_status check_head(checker *c)
{
    pf_status status = PF_OK;

    for (uint64_t page = 0; page < META_PAGES && !status; page++) {
        const uint8_t *meta = page_at(c, page) + HEAD_BYTES;

        if (c->file.bytes < page * c->page_bytes + HEAD_BYTES + META_BYTES || !is_meta(meta))
            return PF_OK;           /* LMDB says what it is */
        if (page == 0)
            c->page_bytes = u32_at(meta + 24);
        status = can_be_page_bytes(c->page_bytes) && u32_at(meta + 24) == c->page_bytes
                     ? count_pages(c, meta)
                     : damaged(c, page, "says an impossible size of pages");
    }
    return status;
}

pf_status pf_lmdb_check_head(const char *folder, const char *name, const char *advice, pf_err *err)
{
    checker   c = { .name = name, .advice = advice, .err = err };
    char      path[PATH_MAX] = "";
    pf_status status = pf_path_join(folder, "data.mdb", path, sizeof path, err);

    if (status || pf_file_map(path, &c.file, NULL))
        return status;              /* LMDB says why it cannot be read */
    status = check_head(&c);
    pf_file_unmap(&c.file);
    return status;
}

static pf_status check_snapshot(MDB_env *env, MDB_txn *snapshot, checker *c)
{
    const char *folder = NULL;
    MDB_stat    stat = { 0 };
    uint8_t     meta[META_BYTES] = { 0 };
    char        path[PATH_MAX] = "";
    pf_status   status = PF_OK;

    if (mdb_env_get_path(env, &folder) || mdb_env_stat(env, &stat))
        return PF_FAIL(c->err, PF_INTERNAL, "%s is not open", c->name);
    status = pf_path_join(folder, "data.mdb", path, sizeof path, c->err);
    if (!status)
        status = pf_file_map(path, &c->file, c->err);
    c->page_bytes = stat.ms_psize;
    if (status || !can_be_page_bytes(c->page_bytes))
        return status;
    if (c->file.bytes < META_PAGES * c->page_bytes)
        return damaged(c, META_PAGES - 1, "was cut off");
    return copy_meta(c, mdb_txn_id(snapshot), meta) ? check_all(c, meta) : PF_OK;
}

pf_status pf_lmdb_check(MDB_env *env, const char *name, const char *advice, pf_err *err)
{
    checker   c = { .name = name, .advice = advice, .err = err };
    MDB_txn  *snapshot = NULL;
    int       code = mdb_txn_begin(env, NULL, MDB_RDONLY, &snapshot);
    pf_status status = PF_OK;

    if (code == MDB_READERS_FULL || code == MDB_MAP_RESIZED)
        return PF_OK;               /* whoever opened it meets that, too, and says so */
    if (code)
        return PF_FAIL(err, code > 0 ? pf_status_from_errno(code) : PF_CORRUPT, "%s cannot be read: %s; %s", name,
                       mdb_strerror(code), advice);
    status = check_snapshot(env, snapshot, &c);
    mdb_txn_abort(snapshot);
    pf_file_unmap(&c.file);
    pf_free(c.seen);
    pf_free(c.lists);
    return status;
}
