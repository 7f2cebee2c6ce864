/* Processes that compile generated kernels give what the process itself does, survive what does not compile, and end
   with their pool. */
#include "tests/test.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "engine/cuda/compile_pool.h"

enum { PROGRAMS = 12, LIMIT_BYTES = 1 << 20, CAPABILITY = 90, TOO_MANY_BYTES = 65 << 20 };

static void write_source(int number, pf_buf *out)
{
    pf_buf_init(out, LIMIT_BYTES);
    pf_buf_printf(out, "extern \"C\" __global__ void kernel(float *out) { out[threadIdx.x] = %d * threadIdx.x; }\n",
                  number);
}

typedef struct request { pf_compile_pool *pool; int number; pf_buf cubin; pf_status status; } request;

static void *ask(void *user)
{
    request   *r = user;
    pf_program program = {0};

    write_source(r->number, &program.source);
    pf_buf_init(&r->cubin, LIMIT_BYTES);
    r->status = pf_compile_pool_program(r->pool, &program, CAPABILITY, &r->cubin, NULL);
    pf_program_clear(&program);
    return NULL;
}

static void processes_compile_the_same(void **state)
{
    pf_compile_pool *pool = pf_compile_pool_new(PF_COMPILE_NO_DEVICE);
    request          requests[PROGRAMS] = { { 0 } };
    pthread_t        threads[PROGRAMS];
    pf_err           err = {0};

    (void)state;
    assert_non_null(pool);
    for (int i = 0; i < PROGRAMS; i++) {
        requests[i] = (request){ .pool = pool, .number = i + 1 };
        assert_int_equal(pthread_create(&threads[i], NULL, ask, &requests[i]), 0);
    }
    for (int i = 0; i < PROGRAMS; i++) pthread_join(threads[i], NULL);
    assert_true(pf_compile_pool_workers(pool) > 0);
    for (int i = 0; i < PROGRAMS; i++) {
        pf_program program = {0};
        pf_buf     here = {0};

        assert_int_equal(requests[i].status, PF_OK);
        write_source(i + 1, &program.source);
        pf_buf_init(&here, LIMIT_BYTES);
        test_ok(pf_program_compile(&program, CAPABILITY, &here, &err), &err);
        assert_int_equal(requests[i].cubin.size, here.size);
        assert_memory_equal(requests[i].cubin.data, here.data, here.size);
        pf_buf_clear(&here);
        pf_buf_clear(&requests[i].cubin);
        pf_program_clear(&program);
    }
    pf_compile_pool_rest(pool);
    assert_int_equal(pf_compile_pool_workers(pool), 0);
    pf_compile_pool_free(pool);
}

/* Those that are started ahead are those that answer. */
static void workers_can_be_started_before_anybody_asks(void **state)
{
    pf_compile_pool *pool = pf_compile_pool_new(PF_COMPILE_NO_DEVICE);
    request          one = { .pool = pool, .number = 1 };
    unsigned         started = 0;

    (void)state;
    assert_non_null(pool);
    pf_compile_pool_wake(pool);
    started = pf_compile_pool_workers(pool);
    assert_true(started > 0);
    pf_compile_pool_wake(pool);
    (void)ask(&one);
    assert_int_equal(one.status, PF_OK);
    assert_int_equal(pf_compile_pool_workers(pool), started);
    pf_buf_clear(&one.cubin);
    pf_compile_pool_free(pool);
}

static void a_source_that_does_not_compile_is_refused(void **state)
{
    pf_compile_pool *pool = pf_compile_pool_new(PF_COMPILE_NO_DEVICE);
    pf_program       program = {0};
    pf_buf           cubin = {0};
    request          next = { .pool = pool, .number = 1 };
    pf_err           err = {0};

    (void)state;
    assert_non_null(pool);
    pf_buf_init(&program.source, LIMIT_BYTES);
    pf_buf_init(&cubin, LIMIT_BYTES);
    pf_buf_printf(&program.source, "this is none\n");
    assert_int_equal(pf_compile_pool_program(pool, &program, CAPABILITY, &cubin, &err), PF_UNSUPPORTED);
    assert_int_equal(cubin.size, 0);
    ask(&next);                                 /* the same worker lives on */
    assert_int_equal(next.status, PF_OK);
    assert_int_equal(pf_compile_pool_workers(pool), 1);
    pf_buf_clear(&next.cubin);
    pf_program_clear(&program);
    pf_compile_pool_free(pool);
}

static void ask_too_much(pf_compile_pool *pool)
{
    pf_program program = {0};
    pf_buf     cubin = {0};
    uint8_t   *source = NULL;

    pf_buf_init(&program.source, TOO_MANY_BYTES);
    pf_buf_init(&cubin, LIMIT_BYTES);
    source = pf_buf_add(&program.source, TOO_MANY_BYTES - 1);
    assert_non_null(source);
    memset(source, ' ', TOO_MANY_BYTES - 1);
    source[TOO_MANY_BYTES - 2] = 0;
    assert_int_equal(pf_compile_pool_program(pool, &program, CAPABILITY, &cubin, NULL), PF_UNSUPPORTED);
    pf_program_clear(&program);
}

static void allow_files(rlim_t count, struct rlimit *before)
{
    struct rlimit limit = {0};

    assert_int_equal(getrlimit(RLIMIT_NOFILE, before), 0);
    limit = (struct rlimit){ count, before->rlim_max };
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* The one process ends, as it was asked for too much, and no other can be started: nobody waits for one that is not
   there. */
static void nobody_waits_for_a_process_that_cannot_be_started(void **state)
{
    pf_compile_pool *pool = pf_compile_pool_new(PF_COMPILE_NO_DEVICE);
    request          first = { .pool = pool, .number = 1 }, second = first, third = first;
    struct rlimit    before = {0}, now = {0};

    (void)state;
    assert_non_null(pool);
    ask(&first);
    assert_int_equal(first.status, PF_OK);
    allow_files(0, &before);
    ask_too_much(pool);
    ask(&second);
    allow_files(before.rlim_cur, &now);
    assert_int_equal(second.status, PF_UNSUPPORTED);
    assert_int_equal(pf_compile_pool_workers(pool), 0);
    ask(&third);                                /* now there can be one again */
    assert_int_equal(third.status, PF_OK);
    pf_buf_clear(&first.cubin);
    pf_buf_clear(&second.cubin);
    pf_buf_clear(&third.cubin);
    pf_compile_pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(processes_compile_the_same), cmocka_unit_test(workers_can_be_started_before_anybody_asks),
        cmocka_unit_test(a_source_that_does_not_compile_is_refused),
        cmocka_unit_test(nobody_waits_for_a_process_that_cannot_be_started),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
