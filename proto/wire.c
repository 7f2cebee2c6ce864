#include "proto/wire.h"

#include <stdalign.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"

static const char MAGIC[4] = { 'P', 'F', 'R', 'M' };

/* What a body lies in: blocks that are freed together, since a message has many small fields.  Their sum is bounded, so
   that a small frame cannot ask for much. */
enum { ALIGNMENT = 16, BLOCK_BYTES_LEAST = 512 };

typedef struct block {
    struct block *next;
    size_t        used, capacity;       /* of the bytes behind this head */
    alignas(ALIGNMENT) uint8_t data[];
} block;

typedef struct room {
    ProtobufCAllocator allocator;
    block             *first;           /* has free bytes; the others are full */
    size_t             left_bytes, next_bytes;
} room;

static bool add_block(room *r, size_t bytes)
{
    size_t capacity = bytes > r->next_bytes ? bytes : r->next_bytes;
    block *fresh = pf_alloc(sizeof *fresh + capacity);

    if (!fresh)
        return false;
    *fresh = (block){ .next = r->first, .capacity = capacity };
    r->first = fresh;
    r->next_bytes = capacity;
    return true;
}

static void *room_alloc(void *user, size_t bytes)
{
    room *r = user;

    if (bytes > r->left_bytes)
        return NULL;
    r->left_bytes -= bytes;
    bytes = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if ((!r->first || bytes > r->first->capacity - r->first->used) && !add_block(r, bytes))
        return NULL;
    r->first->used += bytes;
    return r->first->data + r->first->used - bytes;
}

static void room_free(void *user, void *pointer)
{
    (void)user;
    (void)pointer;
}

static void free_blocks(block *first)
{
    while (first) {
        block *next = first->next;
        pf_free(first);
        first = next;
    }
}

void pf_message_clear(pf_message *message)
{
    free_blocks(message->memory);
    memset(message, 0, sizeof *message);
}

static void put_header(const pf_wire_header *header, pf_msg_type type, size_t body_bytes, pf_buf *out)
{
    pf_buf_put(out, MAGIC, sizeof MAGIC);
    pf_buf_put_u16(out, PF_WIRE_VERSION);
    pf_buf_put_u16(out, (uint16_t)type);
    pf_buf_put_u64(out, header->msg_id);
    pf_buf_put_u64(out, header->correlation_id);
    pf_buf_put(out, header->trace_id, sizeof header->trace_id);
    pf_buf_put_u32(out, (uint32_t)body_bytes);
    pf_buf_put_u32(out, 0);
}

pf_status pf_wire_pack(pf_msg_type type, const pf_wire_header *header, const ProtobufCMessage *body, pf_buf *out,
                       pf_err *err)
{
    const pf_msg_info *info = pf_msg_find(type);
    size_t             body_bytes = 0;
    uint8_t           *place = NULL;

    if (!info || body->descriptor != info->body)
        return PF_FAIL(err, PF_INTERNAL, "message %d was given a body of another kind", (int)type);
    body_bytes = protobuf_c_message_get_packed_size(body);
    if (body_bytes > info->max_bytes)
        return PF_FAIL(err, PF_INVALID, "%s would have %zu bytes, the limit is %u", info->name, body_bytes,
                       info->max_bytes);
    put_header(header, type, body_bytes, out);
    place = pf_buf_add(out, body_bytes);
    if (!place)
        return PF_FAIL_MEMORY(err, body_bytes);
    protobuf_c_message_pack(body, place);
    return PF_OK;
}

static pf_status read_header(const void *data, size_t bytes, pf_wire_header *header, pf_err *err)
{
    pf_reader      reader = { 0 };
    const uint8_t *magic = NULL, *trace = NULL;

    pf_reader_init(&reader, data, bytes);
    magic = pf_read_bytes(&reader, sizeof MAGIC);
    if (!magic || memcmp(magic, MAGIC, sizeof MAGIC) != 0)
        return PF_FAIL(err, PF_INVALID, "a frame of %zu bytes is no planfarm message", bytes);
    header->version = pf_read_u16(&reader);
    header->type = pf_read_u16(&reader);
    header->msg_id = pf_read_u64(&reader);
    header->correlation_id = pf_read_u64(&reader);
    trace = pf_read_bytes(&reader, sizeof header->trace_id);
    if (trace)
        memcpy(header->trace_id, trace, sizeof header->trace_id);
    header->body_bytes = pf_read_u32(&reader);
    pf_read_u32(&reader);
    if (reader.failed || header->body_bytes != bytes - PF_WIRE_HEADER_BYTES)
        return PF_FAIL(err, PF_INVALID, "a message of %zu bytes is cut or has a wrong length", bytes);
    return PF_OK;
}

pf_status pf_wire_check(const void *data, size_t bytes, uint32_t sender, uint32_t receiver, pf_wire_header *header,
                        const pf_msg_info **info, pf_err *err)
{
    pf_status st = PF_OK;

    *info = NULL;
    memset(header, 0, sizeof *header);
    st = read_header(data, bytes, header, err);
    if (st)
        return st;
    if (header->version < PF_WIRE_VERSION_MIN)
        return PF_FAIL(err, PF_STALE, "the other side speaks protocol %u, at least %u is needed: upgrade it",
                       header->version, PF_WIRE_VERSION_MIN);
    *info = pf_msg_find(header->type);
    if (!*info)
        return PF_FAIL(err, PF_UNSUPPORTED, "message type %u is not known to protocol %u: upgrade this side",
                       header->type, PF_WIRE_VERSION);
    if (!((*info)->from & sender) || !((*info)->to & receiver))
        return PF_FAIL(err, PF_DENIED, "%s may not come in here", (*info)->name);
    if (header->version < (*info)->since)
        return PF_FAIL(err, PF_STALE, "%s came from protocol %u, which has no such message", (*info)->name,
                       header->version);
    if (header->body_bytes > (*info)->max_bytes)
        return PF_FAIL(err, PF_NO_SPACE, "%s has %u bytes, the limit is %u", (*info)->name, header->body_bytes,
                       (*info)->max_bytes);
    return PF_OK;
}

pf_status pf_wire_unpack(const void *data, size_t bytes, uint32_t sender, uint32_t receiver, pf_message *out,
                         pf_err *err)
{
    room      r = { .allocator = { room_alloc, room_free, &r }, .left_bytes = PF_WIRE_UNPACK_BYTES };
    pf_status st = PF_OK;

    out->body = NULL;
    out->memory = NULL;
    st = pf_wire_check(data, bytes, sender, receiver, &out->header, &out->info, err);
    if (st)
        return st;
    r.next_bytes = BLOCK_BYTES_LEAST + 2 * (size_t)out->header.body_bytes;
    out->body = protobuf_c_message_unpack(out->info->body, &r.allocator, out->header.body_bytes,
                                          (const uint8_t *)data + PF_WIRE_HEADER_BYTES);
    if (!out->body) {
        free_blocks(r.first);
        return PF_FAIL(err, PF_CORRUPT, "the body of %s does not parse", out->info->name);
    }
    out->memory = r.first;
    return PF_OK;
}

pf_status pf_wire_digest(const ProtobufCBinaryData *field, const char *name, pf_digest *out, pf_err *err)
{
    if (field->len != PF_DIGEST_BYTES)
        return PF_FAIL(err, PF_INVALID, "%s has %zu bytes, a digest has %d", name, field->len, PF_DIGEST_BYTES);
    memcpy(out->byte, field->data, PF_DIGEST_BYTES);
    return PF_OK;
}

ProtobufCBinaryData pf_wire_bytes(const pf_digest *digest)
{
    return (ProtobufCBinaryData){ .len = PF_DIGEST_BYTES, .data = (uint8_t *)digest->byte };
}
