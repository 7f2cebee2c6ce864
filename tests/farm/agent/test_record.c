/* What a build's process tells: whole records, in pieces, and what is no record. */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "builder-agent/record.h"
#include "tests/test.h"

typedef struct pair { int ends[2]; pf_record_reader reader; } pair;

static pair open_pair(void)
{
    pair p = {0};

    assert_int_equal(pipe2(p.ends, O_CLOEXEC), 0);
    fcntl(p.ends[0], F_SETFL, O_NONBLOCK);
    pf_record_reader_init(&p.reader);
    return p;
}

static void close_pair(pair *p)
{
    close(p->ends[0]);
    if (p->ends[1] >= 0)
        close(p->ends[1]);
    pf_record_reader_clear(&p->reader);
}

static void records_come_as_they_were_written(void **state)
{
    static pf_record first, second, got;
    pair             p = open_pair();
    pf_err           err = {0};
    bool             end = false, found = false;

    (void)state;
    first = (pf_record){.kind = PF_RECORD_PROGRESS, .phase = PF__PHASE__PHASE_TUNE, .permille = 417, .text = "timing",
                        .json = "{\"a\":1}"};
    second = (pf_record){.kind = PF_RECORD_DONE, .plan_bytes = UINT64_C(1) << 40, .json = "{}"};
    memset(second.plan_digest.byte, 0xab, sizeof second.plan_digest.byte);
    test_ok(pf_record_write(p.ends[1], &first, &err), &err);
    test_ok(pf_record_write(p.ends[1], &second, &err), &err);
    test_ok(pf_record_reader_fill(&p.reader, p.ends[0], &end, &err), &err);
    test_ok(pf_record_reader_next(&p.reader, &got, &found, &err), &err);
    assert_true(found && !end);
    assert_int_equal(got.phase, PF__PHASE__PHASE_TUNE);
    assert_int_equal(got.permille, 417);
    assert_string_equal(got.text, "timing");
    assert_string_equal(got.json, "{\"a\":1}");
    test_ok(pf_record_reader_next(&p.reader, &got, &found, &err), &err);
    assert_int_equal(got.kind, PF_RECORD_DONE);
    assert_true(got.plan_bytes == UINT64_C(1) << 40 && pf_digest_equal(&got.plan_digest, &second.plan_digest));
    test_ok(pf_record_reader_next(&p.reader, &got, &found, &err), &err);
    assert_false(found);
    close(p.ends[1]);
    p.ends[1] = -1;
    test_ok(pf_record_reader_fill(&p.reader, p.ends[0], &end, &err), &err);
    assert_true(end);
    close_pair(&p);
}

/* Every prefix is a record that has not come yet. */
static void a_record_in_pieces_is_waited_for(void **state)
{
    static pf_record record, got;
    pair             whole = open_pair();
    uint8_t          bytes[2 * PF_RECORD_BYTES];
    ssize_t          count = 0;
    pf_err           err = {0};
    bool             end = false, found = false;

    (void)state;
    record = (pf_record){.kind = PF_RECORD_FAILED, .failure = PF__FAILURE_KIND__FAILURE_RESOURCE, .exit_code = 72,
                         .text = "full"};
    test_ok(pf_record_write(whole.ends[1], &record, &err), &err);
    count = read(whole.ends[0], bytes, sizeof bytes);
    assert_true(count > 50);
    for (ssize_t i = 0; i < count; i++) {
        test_ok(pf_record_reader_next(&whole.reader, &got, &found, &err), &err);
        assert_false(found);
        assert_int_equal(write(whole.ends[1], &bytes[i], 1), 1);
        test_ok(pf_record_reader_fill(&whole.reader, whole.ends[0], &end, &err), &err);
    }
    test_ok(pf_record_reader_next(&whole.reader, &got, &found, &err), &err);
    assert_true(found);
    assert_string_equal(got.text, "full");
    assert_int_equal(got.exit_code, 72);
    close_pair(&whole);
}

/* One byte of a record changed: it is refused, or what comes is still within the bounds of its fields. */
static void damage_is_refused_or_harmless(void **state)
{
    static pf_record record, got;
    pair             p = open_pair();
    uint8_t          bytes[2 * PF_RECORD_BYTES];
    ssize_t          count = 0;
    unsigned         refused = 0;
    pf_err           err = {0};
    bool             end = false, found = false;

    (void)state;
    record = (pf_record){.kind = PF_RECORD_PROGRESS, .phase = PF__PHASE__PHASE_BUILD, .permille = 1000, .text = "text",
                         .json = "{}"};
    test_ok(pf_record_write(p.ends[1], &record, &err), &err);
    count = read(p.ends[0], bytes, sizeof bytes);
    for (ssize_t i = 0; i < count; i++) {
        bytes[i] ^= 0xff;
        assert_int_equal(write(p.ends[1], bytes, (size_t)count), count);
        test_ok(pf_record_reader_fill(&p.reader, p.ends[0], &end, &err), &err);
        refused += pf_record_reader_next(&p.reader, &got, &found, NULL) == PF_CORRUPT;
        if (found)
            assert_true(got.permille <= 1000 && got.phase <= PF__PHASE__PHASE_UPLOAD &&
                        strlen(got.text) < sizeof got.text);
        bytes[i] ^= 0xff;
        pf_record_reader_clear(&p.reader);
        pf_record_reader_init(&p.reader);
    }
    assert_true(refused > 4);
    close_pair(&p);
}

static void a_reader_that_is_gone_is_told(void **state)
{
    static pf_record record = {.kind = PF_RECORD_PROGRESS};
    pair             p = open_pair();
    pf_err           err = {0};

    (void)state;
    signal(SIGPIPE, SIG_IGN);
    close(p.ends[0]);
    p.ends[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    test_fails(pf_record_write(p.ends[1], &record, &err), PF_IO, &err);
    close_pair(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_come_as_they_were_written),
        cmocka_unit_test(a_record_in_pieces_is_waited_for),
        cmocka_unit_test(damage_is_refused_or_harmless),
        cmocka_unit_test(a_reader_that_is_gone_is_told),
    };

    return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
