#include "coordinator/unread.h"

#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"

enum { PEERS_MAX = 1024 };              /* that have large answers to read at one time */

typedef struct slot { uint64_t peer; _Atomic uint64_t bytes; } slot;

struct pf_unread {
    _Atomic uint64_t refs;              /* the owner, and each message */
    _Atomic uint64_t bytes;
    slot             slots[PEERS_MAX];  /* one without bytes is free */
};

typedef struct block { pf_unread *unread; slot *of; size_t bytes; uint8_t data[]; } block;

pf_unread *pf_unread_new(void)
{
    pf_unread *unread = pf_calloc(1, sizeof *unread);

    if (unread)
        unread->refs = 1;
    return unread;
}

void pf_unread_free(pf_unread *unread)
{
    if (unread && atomic_fetch_sub(&unread->refs, 1) == 1)
        pf_free(unread);
}

static void end_block(void *data, void *user)
{
    block *b = user;

    (void)data;
    b->unread->bytes -= b->bytes;
    b->of->bytes -= b->bytes;
    pf_unread_free(b->unread);
    pf_free(b);
}

/* The peer's slot, or a free one. */
static slot *find_slot(pf_unread *unread, uint64_t peer)
{
    slot *empty = NULL;

    for (int i = 0; i < PEERS_MAX; i++) {
        slot *s = &unread->slots[i];
        if (s->bytes == 0)
            empty = empty ? empty : s;
        else if (s->peer == peer)
            return s;
    }
    return empty;
}

bool pf_unread_message(pf_unread *unread, uint64_t peer, const void *frame, size_t bytes, zmq_msg_t *out)
{
    slot    *of = find_slot(unread, peer);
    uint64_t before = of ? of->bytes : 0;
    block   *b = NULL;

    if (!of || bytes > PF_UNREAD_TOTAL_BYTES - unread->bytes || (before && before + bytes > PF_UNREAD_PEER_BYTES))
        return false;
    b = pf_alloc(sizeof *b + bytes);
    if (!b)
        return false;
    *b = (block){ .unread = unread, .of = of, .bytes = bytes };
    memcpy(b->data, frame, bytes);
    if (zmq_msg_init_data(out, b->data, bytes, end_block, b) != 0) {
        pf_free(b);
        return false;
    }
    of->peer = peer;
    of->bytes += bytes;
    unread->bytes += bytes;
    unread->refs++;
    return true;
}
