#include <stdio.h>

#include "base/alloc.h"
#include "base/map.h"
#include "base/random.h"
#include "tests/test.h"

enum { NAMES = 5000, STEPS = 20000 };

struct model { bool there[NAMES]; uint64_t value[NAMES]; };

static const char *name_of(unsigned i)
{
    static char name[32];

    if (i == 0)
        return "";      /* is a name too */
    snprintf(name, sizeof name, "layer%u/conv", i);
    return name;
}

static void compare(const pf_map *map, const struct model *model)
{
    for (unsigned i = 0; i < NAMES; i++) {
        uint64_t value = 99;

        assert_int_equal(pf_map_get(map, name_of(i), &value), model->there[i]);
        assert_true(value == (model->there[i] ? model->value[i] : 0));
    }
}

static void step(pf_map *map, struct model *model, pf_random *random, bool may_fail)
{
    unsigned i = (unsigned)pf_random_below(random, NAMES);
    uint64_t value = pf_random_u64(random);

    bool     set = pf_map_set(map, name_of(i), value);

    assert_true(set || may_fail);
    if (!set)
        return;
    model->there[i] = true;
    model->value[i] = value;
}

static void agrees_with_an_array(void **state)
{
    static struct model model;
    pf_map   *map = pf_map_new();
    pf_random random;

    (void)state;
    pf_random_init(&random, 2);
    for (int i = 0; i < STEPS; i++) {
        step(map, &model, &random, false);
        if (i % 997 == 0)
            compare(map, &model);
    }
    compare(map, &model);
    pf_map_free(map);
}

static void agrees_when_memory_runs_out_now_and_then(void **state)
{
    static struct model model;
    pf_map   *map = pf_map_new();
    pf_random random;
    uint64_t  value = 0;

    (void)state;
    pf_random_init(&random, 3);
    for (int i = 0; i < STEPS; i++) {
        pf_alloc_fail_after(pf_random_below(&random, 3));
        step(map, &model, &random, true);
        pf_alloc_fail_after(UINT64_MAX);
        if (i % 997 == 0)
            compare(map, &model);
    }
    compare(map, &model);
    assert_false(pf_map_get(map, "never set", &value));
    pf_map_free(map);
}

static void keys_are_copied(void **state)
{
    char     key[] = "abc";
    uint64_t value = 0;
    pf_map  *map = pf_map_new();

    (void)state;
    assert_true(pf_map_set(map, key, 5));
    key[0] = 'x';
    assert_true(pf_map_get(map, "abc", &value));
    assert_int_equal(value, 5);
    assert_false(pf_map_get(map, "xbc", &value));
    pf_map_free(map);
}

static void no_map_without_memory(void **state)
{
    (void)state;
    for (uint64_t n = 0; n < 2; n++) {
        pf_alloc_fail_after(n);
        assert_null(pf_map_new());
    }
    pf_alloc_fail_after(UINT64_MAX);
    pf_map_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_an_array),
        cmocka_unit_test(agrees_when_memory_runs_out_now_and_then),
        cmocka_unit_test(keys_are_copied),
        cmocka_unit_test(no_map_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
