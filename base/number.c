#include "base/number.h"

#include <locale.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static locale_t       plain;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* glibc answers the C locale, which it has anyway, without asking for memory. */
static void find_plain(void)
{
    plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

static locale_t c_locale(void)
{
    pthread_once(&once, find_plain);
    return plain;
}

double pf_number_read(const char *text, char **end)
{
    return strtod_l(text, end, c_locale());
}

float pf_number_read_f32(const char *text, char **end)
{
    return strtof_l(text, end, c_locale());
}

int pf_number_vprint(char *out, size_t capacity, const char *format, va_list args)
{
    locale_t before = uselocale(c_locale());
    int      length = vsnprintf(out, capacity, format, args);

    uselocale(before);
    return length;
}

int pf_number_print(char *out, size_t capacity, const char *format, ...)
{
    va_list args;
    int     length = 0;

    va_start(args, format);
    length = pf_number_vprint(out, capacity, format, args);
    va_end(args);
    return length;
}
