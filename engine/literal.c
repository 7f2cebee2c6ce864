#include "engine/literal.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"

void pf_literal_put_string(const char *text, pf_buf *out)
{
    pf_buf_put_u8(out, '"');
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c == '"' || *c == '\\')
            pf_buf_printf(out, "\\%c", *c);
        else if (*c == '\n')
            pf_buf_printf(out, "\\n");
        else if (*c < 0x20)
            pf_buf_printf(out, "\\x%02x", *c);
        else
            pf_buf_put_u8(out, *c);
    }
    pf_buf_put_u8(out, '"');
}

static void put_shortest(double value, int most_digits, double (*read)(const char *text), pf_buf *out)
{
    char text[40] = "";

    if (!isfinite(value)) {
        pf_buf_printf(out, "%s", isnan(value) ? "nan" : value < 0 ? "-inf" : "inf");
        return;
    }
    for (int digits = 6; digits <= most_digits; digits++) {
        pf_number_print(text, sizeof text, "%.*g", digits, value);
        if (read(text) == value)
            break;
    }
    pf_buf_printf(out, "%s", text);
}

static double read_double(const char *text) { return pf_number_read(text, NULL); }
static double read_float(const char *text) { return pf_number_read_f32(text, NULL); }

void pf_literal_put_double(double value, pf_buf *out) { put_shortest(value, 17, read_double, out); }
void pf_literal_put_float(float value, pf_buf *out) { put_shortest(value, 9, read_float, out); }

static int hex_digit(char c)
{
    return isdigit((unsigned char)c) ? c - '0' : isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10 : -1;
}

/* One character behind a backslash at *at, which moves to its last character. */
static char read_escape(const char **at)
{
    const char *c = *at;

    if (*c == 'x' && hex_digit(c[1]) >= 0 && hex_digit(c[2]) >= 0) {
        *at += 2;
        return (char)(hex_digit(c[1]) * 16 + hex_digit(c[2]));
    }
    return *c == 'n' ? '\n' : *c;
}

pf_status pf_literal_read_string(pf_arena *arena, const char **text, char **out, pf_err *err)
{
    const char *end = *text + 1;
    size_t      length = 0;
    char       *copy = NULL;

    *out = NULL;
    if (**text != '"')
        return PF_FAIL(err, PF_INVALID, "a string in double quotes is needed before \"%.20s\"", *text);
    while (*end && *end != '"')
        end += *end == '\\' && end[1] ? 2 : 1;
    if (!*end)
        return PF_FAIL(err, PF_INVALID, "a string has no closing quote: %.20s", *text);
    copy = pf_arena_alloc(arena, (size_t)(end - *text));
    if (!copy)
        return PF_FAIL_MEMORY(err, end - *text);
    for (const char *c = *text + 1; c < end; c++) {
        if (*c == '\\') {
            c++;
            copy[length++] = read_escape(&c);
        } else
            copy[length++] = *c;
    }
    *out = copy;
    *text = end + 1;
    return PF_OK;
}

pf_status pf_literal_read_double(const char **text, double *out, pf_err *err)
{
    char *end = NULL;

    *out = pf_number_read(*text, &end);
    if (end == *text)
        return PF_FAIL(err, PF_INVALID, "a number is needed before \"%.20s\"", *text);
    *text = end;
    return PF_OK;
}

pf_status pf_literal_read_i64(const char **text, int64_t *out, pf_err *err)
{
    char *end = NULL;

    errno = 0;
    *out = strtoll(*text, &end, 10);
    if (end == *text || errno)
        return PF_FAIL(err, PF_INVALID, "an integer of 64 bits is needed before \"%.20s\"", *text);
    *text = end;
    return PF_OK;
}

pf_status pf_literal_read_u64(const char **text, uint64_t *out, pf_err *err)
{
    char *end = NULL;

    errno = 0;
    *out = strtoull(*text, &end, 10);
    if (end == *text || errno || **text == '-')
        return PF_FAIL(err, PF_INVALID, "a positive integer of 64 bits is needed before \"%.20s\"", *text);
    *text = end;
    return PF_OK;
}
