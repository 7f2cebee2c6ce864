/* Writes conversations that go all the way, and one message of each kind: where the fuzzer starts. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "proto/wire.h"
#include "tests/farm/hello.h"

enum { CLIENT = 0, AGENT = 4 };

/* The fence of the first offer of an epoch 1 (core.c): the epoch above 40 bits. */
static const uint64_t FIRST_FENCE = UINT64_C(1) << 40;

static uint8_t row_of(pf_msg_type type)
{
    uint32_t           count = 0;
    const pf_msg_info *rows = pf_msg_table(&count);

    for (uint32_t i = 0; i < count; i++)
        if (rows[i].type == type)
            return (uint8_t)i;
    return 0;
}

static void put(pf_buf *out, uint8_t peer, pf_msg_type type, const ProtobufCMessage *body)
{
    uint8_t packed[8192];
    size_t  bytes = protobuf_c_message_pack(body, packed);

    pf_buf_put_u8(out, peer);
    pf_buf_put_u8(out, row_of(type));
    pf_buf_put_u16(out, (uint16_t)bytes);
    pf_buf_put(out, packed, bytes);
}

static void put_time(pf_buf *out, uint16_t units)
{
    pf_buf_put_u8(out, 0);
    pf_buf_put_u8(out, 0xff);
    pf_buf_put_u16(out, units);
}

static void put_hello(pf_buf *out, uint8_t peer, uint64_t epoch)
{
    class_hello h;

    class_hello_begin(&h, "agent", epoch, "abi", "cpu-x", "class text");
    class_hello_alias(&h, "cpu");
    h.device_class.slots = 2;
    put(out, peer, PF_MSG_HELLO, &h.hello.base);
}

static void put_submit(pf_buf *out, uint8_t peer, uint8_t id, bool wait_for_class)
{
    Pf__Submit submit = PF__SUBMIT__INIT;
    uint8_t    submit_id[16] = { id }, model[32] = { id };
    char      *selectors[] = { "cpu", "cpu-x" };

    submit.submit_id = (ProtobufCBinaryData){ sizeof submit_id, submit_id };
    submit.model_digest = (ProtobufCBinaryData){ sizeof model, model };
    submit.model_name = "model";
    submit.spec_text = "spec";
    submit.user = "user";
    submit.selector = selectors;
    submit.n_selector = 2;
    submit.wait_for_class = wait_for_class;
    put(out, peer, PF_MSG_SUBMIT, &submit.base);
}

static void put_lease(pf_buf *out, uint8_t peer, bool complete)
{
    Pf__OfferReply reply = PF__OFFER_REPLY__INIT;
    Pf__Complete   done = PF__COMPLETE__INIT;
    Pf__Failed     failed = PF__FAILED__INIT;
    uint8_t        plan[32] = { 7 };

    reply.job_id = done.job_id = failed.job_id = 1;
    reply.attempt = done.attempt = failed.attempt = 1;
    reply.fence = done.fence = failed.fence = FIRST_FENCE;
    reply.accepted = true;
    put(out, peer, PF_MSG_OFFER_REPLY, &reply.base);
    done.plan_digest = (ProtobufCBinaryData){ sizeof plan, plan };
    done.plan_bytes = 5;
    done.summary_json = "{}";
    failed.kind = PF__FAILURE_KIND__FAILURE_DEVICE_FAULT;
    failed.message = "it broke";
    put(out, peer, complete ? PF_MSG_COMPLETE : PF_MSG_FAILED, complete ? &done.base : &failed.base);
}

static void put_watch(pf_buf *out)
{
    Pf__Watch  watch = PF__WATCH__INIT;
    Pf__Cancel cancel = PF__CANCEL__INIT;
    uint64_t   job = 1;

    watch.job_id = &job;
    watch.n_job_id = 1;
    watch.wait_ms = 1000;
    put(out, CLIENT, PF_MSG_WATCH, &watch.base);
    cancel.job_id = &job;
    cancel.n_job_id = 1;
    put(out, CLIENT + 1, PF_MSG_CANCEL, &cancel.base);
}

static int save(const char *folder, const char *name, pf_buf *conversation)
{
    char   path[4096] = "";
    pf_err err = { 0 };

    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (pf_file_write(path, conversation->data, conversation->size, &err)) {
        fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    pf_buf_clear(conversation);
    return 0;
}

static int save_each_kind(const char *folder)
{
    uint32_t           count = 0;
    const pf_msg_info *rows = pf_msg_table(&count);
    int                failed = 0;

    for (uint32_t i = 0; i < count && !failed; i++) {
        pf_buf one = { 0 };
        pf_buf_init(&one, 1 << 20);
        put_hello(&one, AGENT, 1);
        pf_buf_put_u8(&one, rows[i].from & PF_ROLE_AGENT ? AGENT : CLIENT);
        pf_buf_put_u8(&one, (uint8_t)i);
        pf_buf_put_u16(&one, 0);
        failed = save(folder, rows[i].name, &one);
    }
    return failed;
}

int main(int argc, char **argv)
{
    pf_buf out = { 0 };
    int    failed = 0;

    if (argc != 2 || pf_dir_make(argv[1], NULL))
        return 1;
    for (int end = 0; end < 3 && !failed; end++) {
        char name[16] = "";
        pf_buf_init(&out, 1 << 20);
        put_submit(&out, CLIENT, 9, true);
        put_hello(&out, AGENT, 1);
        put_submit(&out, CLIENT + 1, 1, false);
        if (end < 2)
            put_lease(&out, AGENT, end == 0);
        put_watch(&out);
        put_time(&out, 400);
        put_hello(&out, AGENT + 1, 2);
        put_time(&out, 3000);
        put_submit(&out, CLIENT, 1, false);
        snprintf(name, sizeof name, "way%d", end);
        failed = save(argv[1], name, &out);
    }
    return failed || save_each_kind(argv[1]);
}
