#include <stdio.h>

#include "base/file.h"
#include "engine/plan_sections.h"
#include "tests/unit/engine/networks.h"

/* One plan for all tests: built once, changed in copies. */
static pf_plan   *plan;
static pf_device *device;

static const char spec[] = "effort=0\nmin_shapes=input:1x3x16x16\nopt_shapes=input:2x3x16x16\n"
                           "max_shapes=input:4x3x16x16\n";

static int make_plan(void **state)
{
    pf_network *net = residual_network("[batch,3,16,16]");

    (void)state;
    device = cpu();
    plan = plan_of(net, spec, device);
    pf_network_free(net);
    return 0;
}

static int drop_plan(void **state)
{
    (void)state;
    pf_plan_free(plan);
    pf_device_close(device);
    return 0;
}

static uint8_t *copy_bytes(size_t *bytes)
{
    const void *data = pf_plan_bytes(plan, bytes);
    uint8_t    *copy = pf_alloc_aligned(PF_PLAN_ALIGNMENT, *bytes);

    assert_non_null(copy);
    memcpy(copy, data, *bytes);
    return copy;
}

static void put_le(uint8_t *to, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        to[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get_le(const uint8_t *from, int bytes)
{
    uint64_t value = 0;

    for (int i = 0; i < bytes; i++)
        value |= (uint64_t)from[i] << (8 * i);
    return value;
}

/* As a forger would: all checksums are right for what is there. */
static void seal(uint8_t *data, size_t bytes)
{
    uint8_t  *end = data + bytes - PF_PLAN_END_BYTES;
    pf_digest digest = { 0 };

    for (int s = 0; s < PF_SECTION_WEIGHTS; s++) {
        uint8_t *row = end + s * PF_PLAN_ROW_BYTES;

        pf_digest_of(data + get_le(row + 8, 8), get_le(row + 16, 8), &digest);
        memcpy(row + 24, digest.byte, sizeof digest.byte);
    }
    pf_digest_of(end, PF_PLAN_TABLE_BYTES, &digest);
    memcpy(end + PF_PLAN_TABLE_BYTES + PF_PLAN_DIGEST_AT, digest.byte, sizeof digest.byte);
}

static uint64_t offset_of(const uint8_t *data, size_t bytes, pf_plan_section section)
{
    return get_le(data + bytes - PF_PLAN_END_BYTES + section * PF_PLAN_ROW_BYTES + 8, 8);
}

static void survives_a_file(void **state)
{
    const char *path = test_path("a.plan");
    pf_plan    *loaded = NULL;
    pf_digest   a = { 0 }, b = { 0 };
    pf_err      err = { 0 };

    (void)state;
    test_ok(pf_plan_save(plan, path, &err), &err);
    test_ok(pf_plan_load(path, &loaded, &err), &err);
    test_ok(pf_plan_verify(loaded, &err), &err);
    pf_plan_digest(plan, &a);
    pf_plan_digest(loaded, &b);
    assert_true(pf_digest_equal(&a, &b));
    assert_int_equal(pf_plan_layer_count(loaded), pf_plan_layer_count(plan));
    assert_string_equal(pf_plan_class_text(loaded), device->class_text);
    test_ok(pf_plan_fits(loaded, device, &err), &err);
    pf_plan_free(loaded);
}

/* Built beside where it is saved, the file is only given its name, and a second one gets bytes of its own. */
static void is_the_same_wherever_it_is_built(void **state)
{
    pf_network      *net = residual_network("[batch,3,16,16]");
    pf_config       *config = config_of(spec);
    pf_build_options options = { .plan_folder = test_path("") };
    const char      *paths[] = { test_path("b.plan"), test_path("c.plan") };
    pf_plan         *built = NULL, *loaded = NULL;
    pf_digest        expected = { 0 }, found = { 0 };
    uint64_t         bytes = 0;
    pf_err           err = { 0 };

    (void)state;
    test_ok(pf_build(net, config, device, &options, &built, NULL, &err), &err);
    pf_plan_digest(plan, &expected);
    for (int i = 0; i < 2; i++) {
        test_ok(pf_plan_save(built, paths[i], &err), &err);
        test_ok(pf_file_digest(paths[i], &found, &bytes, &err), &err);
        assert_true(pf_digest_equal(&found, &expected));
    }
    pf_plan_free(built);
    test_ok(pf_plan_load(paths[0], &loaded, &err), &err);
    test_ok(pf_plan_verify(loaded, &err), &err);
    pf_plan_free(loaded);
    pf_config_free(config);
    pf_network_free(net);
}

static void shows_its_inputs_and_outputs(void **state)
{
    const pf_io *in = pf_plan_io(plan, pf_plan_find_io(plan, "input")),
                *out = pf_plan_io(plan, pf_plan_find_io(plan, "logits"));

    (void)state;
    assert_true(in && in->is_input && in->dtype == PF_F32 && in->rank == 4);
    assert_int_equal(in->dim[0], -1);
    assert_int_equal(in->dim[1], 3);
    assert_int_equal(in->min[0], 1);
    assert_int_equal(in->opt[0], 2);
    assert_int_equal(in->max[0], 4);
    assert_true(out && !out->is_input && out->rank == 2 && out->max[0] == 4 && out->max[1] == 10);
    assert_int_equal(pf_plan_find_io(plan, "nothing"), UINT32_MAX);
    assert_null(pf_plan_io(plan, 2));
}

static void another_device_class_is_stale(void **state)
{
    pf_device other = *device;
    pf_err    err = { 0 };

    (void)state;
    snprintf(other.class_text, sizeof other.class_text, "%.*sthreads=999\n",
             (int)(strstr(device->class_text, "threads=") - device->class_text), device->class_text);
    assert_int_equal(pf_plan_fits(plan, &other, &err), PF_STALE);
    assert_non_null(strstr(err.msg, "threads is 999"));
}

/* Where the driver alone was changed, building again is told to be cheap. */
static void another_driver_is_stale_and_cheap(void **state)
{
    const char *behind = strstr(device->class_text, "device=");
    int         before = (int)(behind - device->class_text);
    pf_device   other = *device;
    pf_err      err = { 0 };

    (void)state;
    snprintf(other.class_text, sizeof other.class_text, "%.*scuda_driver=13000\n%.1000s", before, device->class_text,
             behind);
    assert_int_equal(pf_plan_fits(plan, &other, &err), PF_STALE);
    assert_non_null(strstr(err.msg, "cuda_driver is 13000"));
    assert_non_null(strstr(err.msg, "times nothing"));
    pf_err_clear(&err);
    snprintf(other.class_text, sizeof other.class_text, "%.*scuda_driver=13000\ncudnn=1\n%.1000s", before,
             device->class_text, behind);
    assert_int_equal(pf_plan_fits(plan, &other, &err), PF_STALE);
    assert_null(strstr(err.msg, "times nothing"));
}

static void refuses_other_files(void **state)
{
    pf_plan *loaded = NULL;
    pf_err   err = { 0 };

    (void)state;
    test_fails(pf_plan_load(test_path("none"), &loaded, &err), PF_NOT_FOUND, &err);
    test_ok(pf_file_write(test_path("empty"), "", 0, &err), &err);
    test_fails(pf_plan_load(test_path("empty"), &loaded, &err), PF_CORRUPT, &err);
    test_ok(pf_file_write(test_path("text"), "hello", 5, &err), &err);
    test_fails(pf_plan_load(test_path("text"), &loaded, &err), PF_CORRUPT, &err);
    assert_null(loaded);
}

static void another_version_is_stale(void **state)
{
    size_t   bytes = 0;
    uint8_t *data = copy_bytes(&bytes);
    pf_plan *opened = NULL;
    pf_err   err = { 0 };

    (void)state;
    put_le(data + 8, PF_PLAN_VERSION + 1, 4);
    test_fails(pf_plan_open(data, bytes, &opened, &err), PF_STALE, &err);
    pf_free(data);
}

static void every_shorter_file_is_refused(void **state)
{
    size_t   bytes = 0;
    uint8_t *data = copy_bytes(&bytes);
    pf_plan *opened = NULL;
    pf_err   err = { 0 };

    (void)state;
    for (size_t shorter = 0; shorter < bytes; shorter += 1 + shorter / 16)
        test_fails(pf_plan_open(data, shorter, &opened, &err), PF_CORRUPT, &err);
    pf_free(data);
}

/* A flipped bit anywhere is noticed: on opening, or when it lies in the weights, by pf_plan_verify. */
static void every_flipped_bit_is_noticed(void **state)
{
    size_t    bytes = 0;
    uint8_t  *data = copy_bytes(&bytes);
    uint64_t  weights_end = offset_of(data, bytes, PF_SECTION_HEAD);
    pf_random random;

    (void)state;
    pf_random_init(&random, 11);
    for (int round = 0; round < 400; round++) {
        size_t    at = (size_t)(round % 2 ? weights_end + pf_random_below(&random, bytes - weights_end)
                                          : pf_random_below(&random, bytes));
        uint8_t   bit = (uint8_t)(1u << pf_random_below(&random, 8));
        pf_plan  *opened = NULL;
        pf_status st = PF_OK;

        data[at] ^= bit;
        st = pf_plan_open(data, bytes, &opened, NULL);
        if (!st && at < weights_end)
            st = pf_plan_verify(opened, NULL);
        if (!st)        /* the only bytes without a meaning: zeros of the footer */
            assert_true(at >= bytes - PF_PLAN_FOOTER_BYTES && (data[at] ^ bit) == 0);
        pf_plan_free(opened);
        data[at] ^= bit;
    }
    pf_free(data);
}

/* What a tactic saved in STEPS is its library's own and is trusted, as code is; everything else may be tried on the
   device. */
static void use(pf_plan *opened, bool run)
{
    pf_context *context = NULL;
    int64_t     dim[4] = { 2, 3, 16, 16 };
    pf_buf      json = { 0 };

    pf_buf_init(&json, 1 << 24);
    pf_plan_describe(opened, &json, NULL);
    pf_buf_clear(&json);
    if (run && !pf_context_new(opened, device, NULL, &context, NULL) && !pf_context_set_shape(context, 0, dim, 4, NULL))
        pf_context_ready(context, NULL);
    pf_context_free(context);
}

/* With the checksums made right again, what is left must hold on its own: no crash, whatever it says. */
static void forged_sections_are_survived(void **state)
{
    size_t    bytes = 0;
    uint8_t  *data = copy_bytes(&bytes), *forged = pf_alloc_aligned(PF_PLAN_ALIGNMENT, bytes);
    uint64_t  head = offset_of(data, bytes, PF_SECTION_HEAD), steps = offset_of(data, bytes, PF_SECTION_STEPS);
    uint64_t  io = offset_of(data, bytes, PF_SECTION_IO);
    pf_random random;
    int       refused = 0;

    (void)state;
    pf_random_init(&random, 12);
    for (int round = 0; round < 3000; round++) {
        size_t   at = (size_t)(head + pf_random_below(&random, bytes - PF_PLAN_END_BYTES - head - 8));
        pf_plan *opened = NULL;

        memcpy(forged, data, bytes);
        if (round % 3 == 0)
            put_le(forged + at, pf_random_u64(&random), 4);
        else
            forged[at] = (uint8_t)(round % 3 == 1 ? pf_random_below(&random, 256) : forged[at] + 1u);
        seal(forged, bytes);
        refused += pf_plan_open(forged, bytes, &opened, NULL) != PF_OK;
        if (opened)
            use(opened, at + 8 < steps || at >= io);
        pf_plan_free(opened);
    }
    assert_true(refused > 600 && refused < 3000);
    pf_free(forged);
    pf_free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(survives_a_file),
        cmocka_unit_test(is_the_same_wherever_it_is_built),
        cmocka_unit_test(shows_its_inputs_and_outputs),
        cmocka_unit_test(another_device_class_is_stale),
        cmocka_unit_test(another_driver_is_stale_and_cheap),
        cmocka_unit_test(refuses_other_files),
        cmocka_unit_test(another_version_is_stale),
        cmocka_unit_test(every_shorter_file_is_refused),
        cmocka_unit_test(every_flipped_bit_is_noticed),
        cmocka_unit_test(forged_sections_are_survived),
    };

    return cmocka_run_group_tests(tests, make_plan, drop_plan);
}
