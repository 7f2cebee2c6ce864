#include "engine/onnx_parse.h"

#include "base/alloc.h"
#include "base/file.h"

/* protobuf-c unpacks by recursion and trusts counts, so the bytes are walked first, by the same descriptors, with an
   explicit stack. */
typedef struct level {
    const ProtobufCMessageDescriptor *type;
    size_t                            end;
} level;

typedef struct scan {
    const uint8_t *data;
    size_t         bytes, at;
    level          levels[PF_ONNX_NESTING_LIMIT];
    uint32_t       depth;
    uint32_t       item_count;
} scan;

static const char truncated[] = "the file ends inside a field; it is cut short or not an ONNX model";

enum wire { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

static bool read_varint(scan *s, size_t end, uint64_t *out)
{
    uint64_t value = 0;

    for (uint32_t shift = 0; shift < 64 && s->at < end; shift += 7) {
        uint8_t byte = s->data[s->at++];

        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            *out = value;
            return true;
        }
    }
    return false;
}

static bool skip_bytes(scan *s, size_t end, uint64_t bytes)
{
    if (bytes > end - s->at)
        return false;
    s->at += bytes;
    return true;
}

static pf_status count_item(scan *s, pf_err *err)
{
    if (++s->item_count > PF_ONNX_ITEM_LIMIT)
        return PF_FAIL(err, PF_INVALID, "the model holds more than %d messages and strings; it is damaged or hostile",
                       PF_ONNX_ITEM_LIMIT);
    return PF_OK;
}

static pf_status enter(scan *s, const ProtobufCMessageDescriptor *type, size_t end, pf_err *err)
{
    if (s->depth == PF_ONNX_NESTING_LIMIT)
        return PF_FAIL(err, PF_INVALID, "the model is nested more than %d messages deep", PF_ONNX_NESTING_LIMIT);
    s->levels[s->depth++] = (level){ type, end };
    return PF_OK;
}

/* A field of WIRE_BYTES: a message to walk into, or bytes to step over. */
static pf_status scan_bytes(scan *s, const ProtobufCFieldDescriptor *field, size_t end, pf_err *err)
{
    uint64_t  bytes = 0;
    pf_status st = PF_OK;

    if (!read_varint(s, end, &bytes) || bytes > end - s->at)
        return PF_FAIL(err, PF_INVALID, "%s", truncated);
    if (!field) {
        s->at += bytes;
        return PF_OK;
    }
    st = count_item(s, err);
    if (st)
        return st;
    if (field->type == PROTOBUF_C_TYPE_MESSAGE)
        return enter(s, field->descriptor, s->at + bytes, err);
    s->at += bytes;
    return PF_OK;
}

static pf_status scan_field(scan *s, pf_err *err)
{
    const level                    *top = &s->levels[s->depth - 1];
    const ProtobufCFieldDescriptor *field = NULL;
    uint64_t                        tag = 0, value = 0;
    bool                            good = false;

    if (!read_varint(s, top->end, &tag))
        return PF_FAIL(err, PF_INVALID, "%s", truncated);
    if (tag >> 3 == 0 || tag >> 3 > 0x1fffffff)
        return PF_FAIL(err, PF_INVALID, "the file holds a field numbered %llu; it is not an ONNX model",
                       (unsigned long long)(tag >> 3));
    switch (tag & 7) {
    case WIRE_VARINT: good = read_varint(s, top->end, &value); break;
    case WIRE_64:     good = skip_bytes(s, top->end, 8); break;
    case WIRE_32:     good = skip_bytes(s, top->end, 4); break;
    case WIRE_BYTES:
        field = protobuf_c_message_descriptor_get_field(top->type, (unsigned)(tag >> 3));
        return scan_bytes(s, field, top->end, err);
    default:
        return PF_FAIL(err, PF_INVALID, "the file holds a field of wire type %u; it is not an ONNX model",
                       (unsigned)(tag & 7));
    }
    return good ? PF_OK : PF_FAIL(err, PF_INVALID, "%s", truncated);
}

static pf_status scan_model(const void *data, size_t bytes, pf_err *err)
{
    scan      s = { .data = data, .bytes = bytes };
    pf_status st = enter(&s, &onnx__model_proto__descriptor, bytes, err);

    while (!st && s.depth) {
        if (s.at == s.levels[s.depth - 1].end)
            s.depth--;
        else
            st = scan_field(&s, err);
    }
    return st;
}

/* user: set to the size that could not be had. */
static void *unpack_alloc(void *user, size_t bytes)
{
    void   *made = pf_alloc(bytes);
    size_t *failed = user;

    if (!made && failed)
        *failed = bytes;
    return made;
}

static void unpack_free(void *user, void *pointer)
{
    (void)user;
    pf_free(pointer);
}

static ProtobufCAllocator plain_allocator = { unpack_alloc, unpack_free, NULL };

pf_status pf_onnx_parse(const void *data, size_t bytes, Onnx__ModelProto **out, pf_err *err)
{
    size_t             failed = 0;
    ProtobufCAllocator allocator = { unpack_alloc, unpack_free, &failed };
    Onnx__ModelProto  *model = NULL;
    pf_status          st = PF_OK;

    *out = NULL;
    if (!bytes)
        return PF_FAIL(err, PF_INVALID, "the file is empty; an ONNX model was expected");
    if (bytes > INT32_MAX)
        return PF_FAIL(err, PF_INVALID,
                       "the file has %zu bytes and protobuf allows 2 GiB; keep the weights as external data", bytes);
    st = scan_model(data, bytes, err);
    if (st)
        return st;
    model = onnx__model_proto__unpack(&allocator, bytes, data);
    if (!model && failed)
        return PF_FAIL_MEMORY(err, failed);
    if (!model)
        return PF_FAIL(err, PF_INVALID, "the file does not parse as an ONNX model");
    if (!model->graph) {
        pf_onnx_model_free(model);
        return PF_FAIL(err, PF_INVALID, "the file holds no graph; it is not an ONNX model");
    }
    *out = model;
    return PF_OK;
}

pf_status pf_onnx_parse_file(const char *path, Onnx__ModelProto **out, pf_err *err)
{
    pf_mapping map = { 0 };
    pf_status  st = pf_file_map(path, &map, err);

    *out = NULL;
    if (!st)
        st = pf_onnx_parse(map.data, map.bytes, out, err);
    pf_file_unmap(&map);
    return st;
}

void pf_onnx_model_free(Onnx__ModelProto *model)
{
    if (model)
        onnx__model_proto__free_unpacked(model, &plain_allocator);
}
