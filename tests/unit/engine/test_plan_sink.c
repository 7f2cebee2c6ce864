#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/random.h"
#include "engine/plan_sections.h"
#include "engine/plan_sink.h"
#include "tests/test.h"

enum { PIECES = 60, LARGEST_BYTES = 400000, AMONG_CHUNKS_BYTES = 9 << 20, CHUNK_BYTES = 4 << 20, ROUNDS = 50 };

static const uint8_t *bytes_of(const pf_mapping *map, uint64_t offset)
{
    assert_int_equal(offset % PF_PLAN_ALIGNMENT, 0);
    return map->data + offset;
}

/* Random sizes through buffers, more than there are places for, and in all more than the sink holds at a time. */
static void write_and_hash_in_order(bool around_cache)
{
    static uint64_t offset[PIECES];
    static size_t   size[PIECES];
    pf_plan_sink   *sink = NULL;
    pf_plan_file    file = { .fd = -1 };
    pf_mapping      map = { 0 };
    pf_digest       expected = { 0 }, found = { 0 };
    pf_random       random;
    pf_err          err = { 0 };

    pf_random_init(&random, 5);
    test_ok(pf_plan_sink_open(test_path(""), around_cache, &sink, &err), &err);
    for (int i = 0; i < PIECES; i++) {
        void *buffer = NULL;

        size[i] = (size_t)pf_random_below(&random, LARGEST_BYTES);
        test_ok(pf_plan_sink_buffer(sink, size[i] + 1, true, &buffer, &err), &err);
        assert_int_equal(((uint8_t *)buffer)[size[i]], 0);
        memset(buffer, i + 1, size[i]);
        offset[i] = pf_plan_sink_add(sink, buffer, size[i]);
    }
    test_ok(pf_plan_sink_finish(sink, &file, &err), &err);
    pf_plan_sink_close(sink);
    test_ok(pf_file_write_at(file.fd, "", 1, file.hashed_bytes, &err), &err);
    test_ok(pf_file_map_unnamed(file.fd, &map, &err), &err);
    for (int i = 0; i < PIECES; i++)
        for (size_t at = 0; at < size[i]; at += 1 + size[i] / 100)
            assert_int_equal(bytes_of(&map, offset[i])[at], i + 1);
    pf_digest_of(map.data, (size_t)file.hashed_bytes, &expected);
    pf_hash_end(&file.hash, &found);
    assert_true(pf_digest_equal(&expected, &found));
    pf_file_unmap(&map);
    close(file.fd);
}

static void all_is_written_and_hashed_in_order(void **state)
{
    (void)state;
    write_and_hash_in_order(false);
    write_and_hash_in_order(true);
}

/* Bytes that are in the file by half and wait for the rest of their chunk by half. */
static void what_was_added_is_known(void **state)
{
    for (int i = 0; i < 3; i++) {
        uint8_t      *data = pf_alloc(AMONG_CHUNKS_BYTES);
        pf_plan_sink *sink = NULL;
        uint64_t      offset = 0;
        pf_err        err = { 0 };

        (void)state;
        assert_non_null(data);
        memset(data, 7, AMONG_CHUNKS_BYTES);
        test_ok(pf_plan_sink_open(i ? test_path("") : NULL, i == 2, &sink, &err), &err);
        offset = pf_plan_sink_add(sink, data, AMONG_CHUNKS_BYTES);
        assert_int_equal(offset, PF_PLAN_HEADER_BYTES);
        assert_true(pf_plan_sink_holds(sink, offset, data, AMONG_CHUNKS_BYTES));
        data[AMONG_CHUNKS_BYTES - 1] = 8;
        assert_false(pf_plan_sink_holds(sink, offset, data, AMONG_CHUNKS_BYTES));
        data[AMONG_CHUNKS_BYTES - 1] = 7;
        data[0] = 8;
        assert_false(pf_plan_sink_holds(sink, offset, data, AMONG_CHUNKS_BYTES));
        pf_plan_sink_close(sink);
        pf_free(data);
    }
}

/* The zeros behind the last weights fill a chunk: no shorter one is left for the writer, who may not have begun it. */
static void a_file_of_whole_chunks_is_written_to_its_end(void **state)
{
    size_t   bytes = CHUNK_BYTES - PF_PLAN_HEADER_BYTES - 1;
    uint8_t *data = pf_alloc(bytes), *written = pf_alloc(bytes);

    (void)state;
    assert_non_null(data);
    assert_non_null(written);
    memset(data, 7, bytes);
    for (int round = 0; round < ROUNDS; round++) {
        pf_plan_sink *sink = NULL;
        pf_plan_file  file = { .fd = -1 };
        pf_err        err = { 0 };

        test_ok(pf_plan_sink_open(NULL, false, &sink, &err), &err);
        (void)pf_plan_sink_add(sink, data, bytes);
        test_ok(pf_plan_sink_finish(sink, &file, &err), &err);
        assert_int_equal(file.hashed_bytes, CHUNK_BYTES);
        assert_int_equal(pread(file.fd, written, bytes, PF_PLAN_HEADER_BYTES), bytes);
        assert_memory_equal(written, data, bytes);
        close(file.fd);
        pf_plan_sink_close(sink);
    }
    pf_free(data);
    pf_free(written);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(all_is_written_and_hashed_in_order),
                                        cmocka_unit_test(what_was_added_is_known),
                                        cmocka_unit_test(a_file_of_whole_chunks_is_written_to_its_end) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
