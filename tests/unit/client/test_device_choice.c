#include "client/device_choice.h"

#include "tests/test.h"

static void a_gpu_is_opened_with_the_share_of_its_class(void **state)
{
    pf_class_device like = {0};

    (void)state;
    pf_class_device_read("compute_capability=9.0\ndevice=cuda\nname=NVIDIA H200\nshare_percent=50\nsm_count=66\n",
                         &like);
    assert_string_equal(like.device, "cuda");
    assert_string_equal(like.product, "NVIDIA H200");
    assert_string_equal(like.isa, "");
    assert_int_equal(like.threads, 0);
    assert_int_equal(like.share_percent, 50);
}

/* The class text that the CPU itself writes. */
static void a_cpu_is_opened_with_the_threads_and_instructions_of_its_class(void **state)
{
    pf_class_device like = {0};
    pf_device      *device = NULL, *again = NULL;
    pf_err          err = {0};

    (void)state;
    test_ok(pf_device_open("cpu", &(pf_device_options){.threads = 1}, &device, &err), &err);
    pf_class_device_read(device->class_text, &like);
    assert_string_equal(like.device, "cpu");
    assert_int_equal(like.threads, 1);
    assert_int_equal(like.share_percent, 0);
    test_ok(pf_device_open("cpu", &(pf_device_options){.threads = like.threads, .isa = like.isa}, &again, &err), &err);
    assert_string_equal(again->class_text, device->class_text);
    pf_device_close(again);
    pf_device_close(device);
}

static void what_a_class_does_not_say_is_empty(void **state)
{
    pf_class_device like = {.threads = 3, .share_percent = 4};

    (void)state;
    pf_class_device_read("", &like);
    assert_string_equal(like.device, "");
    assert_int_equal(like.threads, 0);
    assert_int_equal(like.share_percent, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_gpu_is_opened_with_the_share_of_its_class),
        cmocka_unit_test(a_cpu_is_opened_with_the_threads_and_instructions_of_its_class),
        cmocka_unit_test(what_a_class_does_not_say_is_empty),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
