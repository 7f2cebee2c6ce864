/* Any sequence of messages from any peers leaves the coordinator's core whole, and gets answers that parse.
   Input: steps of  u8 peer, u8 what, u16 length little endian, that many bytes.  what 0xff: time passes, length in
   units of 100 ms; else the low bits pick the row of the message table, and the bytes are its body. */
#include <string.h>

#include "base/clock.h"
#include "coordinator/core.h"
#include "proto/manifest.h"
#include "tests/fuzz/fuzz.h"

enum { CLIENTS = 4, STEPS_MAX = 200 };

typedef struct farm { pf_core *core; pf_now now; pf_out out; uint64_t msg_id; } farm;

static void check_sends(const farm *f)
{
    for (uint32_t i = 0; i < f->out.sends_count; i++) {
        const pf_send *s = &f->out.send[i];
        pf_message     message = { 0 };
        pf_err         err = { 0 };
        pf_status      st = pf_wire_unpack(f->out.bytes.data + s->at, s->bytes, PF_ROLE_COORD,
                                           s->peer < CLIENTS ? PF_ROLE_CLIENT : PF_ROLE_AGENT, &message, &err);
        FUZZ_CHECK(!st, "an answer does not parse: %s", err.msg);
        pf_message_clear(&message);
    }
}

static void step(farm *f, const pf_event *event)
{
    pf_err err = { 0 };

    FUZZ_CHECK(pf_step(f->core, event, f->now, &f->out, &err) == PF_OK, "a step fails: %s", err.msg);
    check_sends(f);
    FUZZ_CHECK(pf_core_check(f->core, &err) == PF_OK, "%s", err.msg);
}

/* Finished plans are found good or bad by turns. */
static void judge(farm *f)
{
    while (f->out.verifies_count) {
        pf_verify v = f->out.verify[--f->out.verifies_count];
        char      manifest[PF_MANIFEST_BYTES] = "";
        pf_event  event = { .kind = PF_EVENT_VERIFIED, .peer = v.peer, .correlation_id = v.correlation_id,
                            .lease = v.lease, .status = v.correlation_id % 3 ? PF_OK : PF_CORRUPT,
                            .plan_digest = v.plan_digest, .log_digest = v.log_digest, .plan_bytes = v.plan_bytes };
        memcpy(manifest, f->out.bytes.data + v.manifest_at, v.manifest_bytes);
        event.text = event.status ? "not good" : manifest;
        step(f, &event);
    }
}

static void say(farm *f, uint64_t peer, const pf_msg_info *info, const uint8_t *body, size_t bytes)
{
    pf_message message = { 0 };
    pf_event   event = { .kind = PF_EVENT_MESSAGE, .peer = peer, .message = &message, .grants = UINT32_MAX };
    pf_buf     frame = { 0 };

    pf_buf_init(&frame, PF_WIRE_FRAME_BYTES);
    pf_buf_put(&frame, "PFRM", 4);
    pf_buf_put_u16(&frame, PF_WIRE_VERSION);
    pf_buf_put_u16(&frame, (uint16_t)info->type);
    pf_buf_put_u64(&frame, ++f->msg_id);
    for (int i = 0; i < 3; i++)
        pf_buf_put_u64(&frame, 0);
    pf_buf_put_u32(&frame, (uint32_t)bytes);
    pf_buf_put_u32(&frame, 0);
    pf_buf_put(&frame, body, bytes);
    if (pf_wire_unpack(frame.data, frame.size, peer < CLIENTS ? PF_ROLE_CLIENT : PF_ROLE_AGENT, PF_ROLE_COORD, &message,
                       NULL) == PF_OK) {
        const pf_digest *asked = NULL;
        uint32_t         count = 0;
        FUZZ_CHECK(pf_core_ask(f->core, &event, &asked, &count, NULL) == PF_OK, "asking fails");
        step(f, &event);
        judge(f);
    }
    pf_message_clear(&message);
    pf_buf_clear(&frame);
    pf_out_reset(&f->out);
}

static void pass_time(farm *f, uint32_t units)
{
    pf_event tick = { .kind = PF_EVENT_TICK };

    f->now.boot_ns += units * 100 * PF_NS_PER_MS;
    f->now.wall_ns += units * 100 * PF_NS_PER_MS;
    step(f, &tick);
    pf_out_reset(&f->out);
}

static void take_step(farm *f, uint8_t peer, uint8_t what, const uint8_t *body, uint16_t bytes)
{
    uint32_t           count = 0;
    const pf_msg_info *rows = pf_msg_table(&count);

    if (what == 0xff)
        pass_time(f, bytes);
    else
        say(f, peer % (2 * CLIENTS), &rows[what % count], body, bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    pf_core_config config;
    farm           f = { .now = { 1000 * PF_NS_PER_S, 1700000000 * PF_NS_PER_S } };
    pf_reader      in = { 0 };

    pf_core_config_init(&config);
    pf_out_init(&f.out);
    FUZZ_CHECK(pf_core_new(&config, &f.core, NULL) == PF_OK && pf_core_start(f.core, f.now, &f.out, NULL) == PF_OK,
               "no core");
    pf_out_reset(&f.out);
    pf_reader_init(&in, data, bytes);
    for (int i = 0; i < STEPS_MAX && in.size - in.at >= 4; i++) {
        uint8_t        peer = pf_read_u8(&in), what = pf_read_u8(&in);
        uint16_t       length = pf_read_u16(&in);
        size_t         left = in.size - in.at, take = what == 0xff ? 0 : length < left ? length : left;
        const uint8_t *body = pf_read_bytes(&in, take);
        take_step(&f, peer, what, body, (uint16_t)(what == 0xff ? length : take));
    }
    pf_out_clear(&f.out);
    pf_core_free(f.core);
    return 0;
}
