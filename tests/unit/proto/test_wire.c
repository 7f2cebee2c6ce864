/* The envelope: what goes in comes out, and what is damaged, too large or from the wrong side is told apart. */
#include "tests/test.h"

#include <string.h>

#include "base/alloc.h"
#include "base/random.h"
#include "proto/wire.h"

static void pack_submit(pf_buf *out)
{
    pf_wire_header header = { .msg_id = 7, .correlation_id = 9, .trace_id = { 1, 2, 3 } };
    uint8_t        id[16] = { 5 };
    char          *selectors[] = { "cpu", "h100" };
    Pf__Submit     submit = PF__SUBMIT__INIT;
    pf_err         err = { 0 };

    submit.submit_id = (ProtobufCBinaryData){ sizeof id, id };
    submit.spec_text = "spec";
    submit.selector = selectors;
    submit.n_selector = 2;
    submit.priority = -5;
    pf_buf_init(out, PF_WIRE_FRAME_BYTES);
    test_ok(pf_wire_pack(PF_MSG_SUBMIT, &header, &submit.base, out, &err), &err);
}

static void round_trip(void **state)
{
    pf_buf            frame = { 0 };
    pf_message        message = { 0 };
    const Pf__Submit *submit = NULL;
    pf_err            err = { 0 };

    (void)state;
    pack_submit(&frame);
    test_ok(pf_wire_unpack(frame.data, frame.size, PF_ROLE_CLIENT, PF_ROLE_COORD, &message, &err), &err);
    submit = (const Pf__Submit *)message.body;
    assert_int_equal(message.info->type, PF_MSG_SUBMIT);
    assert_int_equal(message.header.msg_id, 7);
    assert_int_equal(message.header.correlation_id, 9);
    assert_int_equal(message.header.trace_id[2], 3);
    assert_int_equal(submit->n_selector, 2);
    assert_string_equal(submit->selector[1], "h100");
    assert_int_equal(submit->priority, -5);
    pf_message_clear(&message);
    pf_buf_clear(&frame);
}

static void table_is_in_order_and_closed(void **state)
{
    uint32_t           count = 0;
    const pf_msg_info *rows = pf_msg_table(&count);

    (void)state;
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            assert_true(rows[i - 1].type < rows[i].type);
        assert_ptr_equal(pf_msg_find(rows[i].type), &rows[i]);
        assert_ptr_equal(pf_msg_find_name(rows[i].name), &rows[i]);
        assert_true((rows[i].from == PF_ROLE_COORD) != (rows[i].to == PF_ROLE_COORD));
        assert_true(rows[i].max_bytes + PF_WIRE_HEADER_BYTES <= PF_WIRE_FRAME_BYTES);
        assert_true(rows[i].since >= 1 && rows[i].since <= PF_WIRE_VERSION);
    }
    assert_null(pf_msg_find(0));
    assert_null(pf_msg_find(65535));
}

static pf_status check(const pf_buf *frame, uint32_t sender, uint32_t receiver, pf_err *err)
{
    pf_message message = { 0 };
    pf_status  st = pf_wire_unpack(frame->data, frame->size, sender, receiver, &message, err);

    pf_message_clear(&message);
    return st;
}

static void what_is_wrong_is_told_apart(void **state)
{
    pf_buf frame = { 0 };
    pf_err err = { 0 };

    (void)state;
    pack_submit(&frame);
    test_fails(check(&frame, PF_ROLE_AGENT, PF_ROLE_COORD, &err), PF_DENIED, &err);
    test_fails(check(&frame, PF_ROLE_COORD, PF_ROLE_CLIENT, &err), PF_DENIED, &err);
    frame.data[0] = 'X';
    test_fails(check(&frame, PF_ROLE_CLIENT, PF_ROLE_COORD, &err), PF_INVALID, &err);
    frame.data[0] = 'P';
    frame.data[4] = 0;
    test_fails(check(&frame, PF_ROLE_CLIENT, PF_ROLE_COORD, &err), PF_STALE, &err);
    frame.data[4] = 200;        /* a newer sender is understood */
    test_ok(check(&frame, PF_ROLE_CLIENT, PF_ROLE_COORD, &err), &err);
    frame.data[6] = 250;
    test_fails(check(&frame, PF_ROLE_CLIENT, PF_ROLE_COORD, &err), PF_UNSUPPORTED, &err);
    frame.data[6] = PF_MSG_SUBMIT;
    frame.size--;
    test_fails(check(&frame, PF_ROLE_CLIENT, PF_ROLE_COORD, &err), PF_INVALID, &err);
    frame.size++;
    memset(frame.data + PF_WIRE_HEADER_BYTES, 0xff, frame.size - PF_WIRE_HEADER_BYTES);
    test_fails(check(&frame, PF_ROLE_CLIENT, PF_ROLE_COORD, &err), PF_CORRUPT, &err);
    pf_buf_clear(&frame);
}

static void size_limit_of_the_table_holds_both_ways(void **state)
{
    pf_wire_header header = { .msg_id = 1 };
    Pf__Agents     agents = PF__AGENTS__INIT;
    Pf__Drain      drain = PF__DRAIN__INIT;
    static char    name[2000];
    pf_buf         frame = { 0 };
    pf_err         err = { 0 };

    (void)state;
    memset(name, 'a', sizeof name - 1);
    drain.agent = name;
    pf_buf_init(&frame, PF_WIRE_FRAME_BYTES);
    test_fails(pf_wire_pack(PF_MSG_DRAIN, &header, &drain.base, &frame, &err), PF_INVALID, &err);
    test_fails(pf_wire_pack(PF_MSG_DRAIN, &header, &agents.base, &frame, &err), PF_INTERNAL, &err);
    pf_buf_reset(&frame);
    test_ok(pf_wire_pack(PF_MSG_AGENTS, &header, &agents.base, &frame, &err), &err);
    for (int i = 0; i < 1025; i++)
        pf_buf_put_u8(&frame, 0);
    frame.data[40] = 1025 & 255;
    frame.data[41] = 1025 >> 8;
    test_fails(check(&frame, PF_ROLE_CLIENT, PF_ROLE_COORD, &err), PF_NO_SPACE, &err);
    pf_buf_clear(&frame);
}

/* A body of many empty submessages asks for far more memory than it has bytes; the budget ends that. */
static void unpacking_has_a_budget(void **state)
{
    pf_wire_header   header = { .msg_id = 1 };
    Pf__TimingStore  store = PF__TIMING_STORE__INIT;
    Pf__TimingEntry  empty = PF__TIMING_ENTRY__INIT;
    static Pf__TimingEntry *entries[400000];
    pf_buf           frame = { 0 };
    pf_err           err = { 0 };

    (void)state;
    for (size_t i = 0; i < 400000; i++)
        entries[i] = &empty;
    store.entry = entries;
    store.n_entry = 400000;
    pf_buf_init(&frame, PF_WIRE_FRAME_BYTES);
    test_ok(pf_wire_pack(PF_MSG_TIMING_STORE, &header, &store.base, &frame, &err), &err);
    test_fails(check(&frame, PF_ROLE_AGENT, PF_ROLE_COORD, &err), PF_CORRUPT, &err);
    pf_buf_clear(&frame);
}

/* Bits flipped at random: any answer will do, so long as it is one. */
static void damaged_frames_never_break_anything(void **state)
{
    pf_random random = { 0 };
    pf_buf    frame = { 0 };

    (void)state;
    pf_random_init(&random, 1);
    pack_submit(&frame);
    for (int i = 0; i < 20000; i++) {
        pf_buf copy = { 0 };
        pf_buf_init(&copy, PF_WIRE_FRAME_BYTES);
        pf_buf_put(&copy, frame.data, 1 + pf_random_below(&random, frame.size));
        for (uint64_t n = pf_random_below(&random, 4); n > 0; n--)
            copy.data[pf_random_below(&random, copy.size)] ^= (uint8_t)(1u << pf_random_below(&random, 8));
        check(&copy, PF_ROLE_CLIENT, PF_ROLE_COORD, NULL);
        pf_buf_clear(&copy);
    }
    pf_buf_clear(&frame);
}

static void out_of_memory_is_reported(void **state)
{
    pf_buf  frame = { 0 };
    bool    passed = false;

    (void)state;
    pack_submit(&frame);
    for (uint64_t n = 0; !passed && n < 100; n++) {
        pf_alloc_fail_after(n);
        passed = check(&frame, PF_ROLE_CLIENT, PF_ROLE_COORD, NULL) == PF_OK;
        pf_alloc_fail_after(UINT64_MAX);
    }
    assert_true(passed);
    pf_buf_clear(&frame);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(table_is_in_order_and_closed),
        cmocka_unit_test(what_is_wrong_is_told_apart),
        cmocka_unit_test(size_limit_of_the_table_holds_both_ways),
        cmocka_unit_test(unpacking_has_a_budget),
        cmocka_unit_test(damaged_frames_never_break_anything),
        cmocka_unit_test(out_of_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
