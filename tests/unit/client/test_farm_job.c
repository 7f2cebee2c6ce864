#include "client/farm_job.h"

#include <string.h>

#include "tests/test.h"

static uint8_t digests[3][32] = {{0xd3, 0x95, 0x08, 0x66}, {0xe0, 0x54, 0x49, 0x67}, {0x11}};

static Pf__JobStatus job_of(char *name, uint8_t *digest)
{
    Pf__JobStatus job = PF__JOB_STATUS__INIT;

    job.class_name = name;
    job.class_digest = (ProtobufCBinaryData){.len = sizeof digests[0], .data = digest};
    return job;
}

/* As of two agents whose CPUs differ in threads, or GPUs in the share that builds get. */
static void classes_of_one_name_are_told_apart(void **state)
{
    Pf__JobStatus  one = job_of("cpu-avx512", digests[0]), two = job_of("cpu-avx512", digests[1]);
    Pf__JobStatus  third = job_of("h200", digests[2]), again = job_of("h200", digests[2]);
    Pf__JobStatus *jobs[] = {&one, &two, &third, &again};
    char           label[PF_CLASS_LABEL_BYTES];

    (void)state;
    pf_farm_job_class(jobs, 4, 0, label);
    assert_string_equal(label, "cpu-avx512-d3950866");
    pf_farm_job_class(jobs, 4, 1, label);
    assert_string_equal(label, "cpu-avx512-e0544967");
    pf_farm_job_class(jobs, 4, 2, label);
    assert_string_equal(label, "h200");
    pf_farm_job_class(jobs, 1, 0, label);
    assert_string_equal(label, "cpu-avx512");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classes_of_one_name_are_told_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
