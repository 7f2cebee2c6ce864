/* A program that uses the library may have set a locale in which a half is "0,5". */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "tests/unit/engine/graphs.h"
#include "tests/unit/engine/networks.h"

static bool writes_a_comma(const char *name)
{
    char text[8] = "";

    if (!setlocale(LC_ALL, name))
        return false;
    snprintf(text, sizeof text, "%.1f", 0.5);
    return strcmp(text, "0,5") == 0;
}

/* One that is installed, or one made of Debian's sources of locales. */
static bool set_comma_locale(void)
{
    static const char *const names[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "es_ES.UTF-8", "it_IT.UTF-8"};
    char                     command[512];

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (writes_a_comma(names[i]))
            return true;
    snprintf(command, sizeof command, "localedef -i de_DE -f UTF-8 '%s' 2> /dev/null", test_path("de_DE.UTF-8"));
    setenv("LOCPATH", test_folder(), 1);
    return system(command) == 0 && writes_a_comma("de_DE.UTF-8");
}

static void numbers_are_read_and_printed_as_in_c(void **state)
{
    char   text[16] = "";
    char  *end = NULL;
    pf_buf buf;

    (void)state;
    assert_int_equal(pf_number_print(text, sizeof text, "%.3g", 0.25), 4);
    assert_string_equal(text, "0.25");
    assert_true(pf_number_read("0.25,", &end) == 0.25);
    assert_string_equal(end, ",");
    assert_true(pf_number_read_f32("0.25", NULL) == 0.25f);
    pf_buf_init(&buf, 64);
    assert_true(pf_buf_printf(&buf, "%.9ef", 0.5));
    assert_string_equal((char *)buf.data, "5.000000000e-01f");
    pf_buf_clear(&buf);
    assert_true(writes_a_comma(NULL));          /* what the program set is as it was */
}

static void graphs_have_the_same_text(void **state)
{
    static const char text[] = "graph\n"
                               "%0 = input f32 [n]\n"
                               "%1 = hard_sigmoid(%0) p=0.1666666716337204 q=0.5\n"
                               "output %1\n";
    pf_graph         *graph = graph_of(text);
    pf_buf            printed;

    (void)state;
    assert_string_equal(text_of(graph, false, &printed), text);
    pf_buf_clear(&printed);
    pf_graph_free(graph);
}

static void options_have_the_same_text(void **state)
{
    pf_config *config = config_of("max_error=5e-2\n");

    (void)state;
    assert_string_equal(pf_config_get(config, "max_error"), "0.05");
    pf_config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_read_and_printed_as_in_c),
        cmocka_unit_test(graphs_have_the_same_text),
        cmocka_unit_test(options_have_the_same_text),
    };

    if (!set_comma_locale()) {
        puts("there is no locale with a decimal comma here, and localedef cannot make one");
        return TEST_SKIPPED;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
