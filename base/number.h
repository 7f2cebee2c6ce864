/* Numbers as text that is the same in every locale: what the program around the library chose for its users must
   change no plan, no key and no generated kernel.
   Thread   any. */
#ifndef PF_BASE_NUMBER_H
#define PF_BASE_NUMBER_H

#include <stdarg.h>
#include <stddef.h>

/* strtod and strtof of the C locale. */
double pf_number_read(const char *text, char **end);
float  pf_number_read_f32(const char *text, char **end);
/* snprintf and vsnprintf of the C locale. */
int    pf_number_print(char *out, size_t capacity, const char *format, ...) __attribute__((format(printf, 3, 4)));
int    pf_number_vprint(char *out, size_t capacity, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));

#endif
