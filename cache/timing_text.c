#include "cache/timing_text.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

typedef struct piece { const char *at; int length; } piece;

typedef struct sentence { char *out; size_t capacity, used; } sentence;

static void add(sentence *to, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(sentence *to, const char *format, ...)
{
    va_list args;
    int     length = 0;

    if (to->used + 1 >= to->capacity)
        return;
    if (to->used)
        to->used += (size_t)snprintf(to->out + to->used, to->capacity - to->used, "; ");
    if (to->used + 1 >= to->capacity)
        return;
    va_start(args, format);
    length = vsnprintf(to->out + to->used, to->capacity - to->used, format, args);
    va_end(args);
    to->used += length > 0 ? (size_t)length : 0;
    if (to->used >= to->capacity)
        to->used = to->capacity - 1;
}

/* ---- Device classes: lines "key=value" */

static piece next_line(const char **text)
{
    piece line = {*text, (int)strcspn(*text, "\n")};

    *text += line.length;
    *text += **text == '\n';
    return line;
}

static int key_length(piece line)
{
    const char *equals = memchr(line.at, '=', (size_t)line.length);

    return equals ? (int)(equals - line.at) : line.length;
}

static int compare_keys(piece a, piece b)
{
    int la = key_length(a), lb = key_length(b);
    int order = memcmp(a.at, b.at, (size_t)(la < lb ? la : lb));

    return order ? order : la - lb;
}

static piece value_of(piece line)
{
    int length = key_length(line);

    return length < line.length ? (piece){line.at + length + 1, line.length - length - 1} : (piece){line.at, 0};
}

static bool same(piece a, piece b)
{
    return a.length == b.length && memcmp(a.at, b.at, (size_t)a.length) == 0;
}

uint32_t pf_timing_class_difference(const char *wanted, const char *stored, char *out, size_t capacity)
{
    sentence to = {out, capacity, 0};
    uint32_t count = 0;

    out[0] = 0;
    while (*wanted || *stored) {
        const char *after_wanted = wanted, *after_stored = stored;
        piece       a = next_line(&after_wanted), b = next_line(&after_stored);
        int         order = !*wanted ? 1 : !*stored ? -1 : compare_keys(a, b);
        piece       va = value_of(a), vb = value_of(b);

        if (order < 0)
            add(&to, "%.*s is %.*s, stored without it", key_length(a), a.at, va.length, va.at);
        else if (order > 0)
            add(&to, "stored with %.*s %.*s", key_length(b), b.at, vb.length, vb.at);
        else if (!same(va, vb))
            add(&to, "%.*s is %.*s, stored %.*s", key_length(a), a.at, va.length, va.at, vb.length, vb.at);
        count += order != 0 || !same(va, vb);
        wanted = order <= 0 ? after_wanted : wanted;
        stored = order >= 0 ? after_stored : stored;
    }
    return count;
}

/* ---- Problems: words */

static piece next_word(const char **text)
{
    const char *at = *text + strspn(*text, " \n\t");
    int         length = (int)strcspn(at, " \n\t");

    *text = at + length;
    return (piece){at, length};
}

static uint32_t word_count(const char *text)
{
    uint32_t count = 0;

    while (next_word(&text).length)
        count++;
    return count;
}

/* Texts of one structure: word by word; a pair of words is named once and counted each time. */
static uint32_t compare_words(const char *wanted, const char *stored, sentence *to)
{
    uint32_t count = 0;
    piece    last_a = {"", 0}, last_b = {"", 0};

    for (piece a = next_word(&wanted); a.length; a = next_word(&wanted)) {
        piece b = next_word(&stored);

        if (same(a, b))
            continue;
        count++;
        if (same(a, last_a) && same(b, last_b))
            continue;
        add(to, "%.*s is stored as %.*s", a.length, a.at, b.length, b.at);
        last_a = a;
        last_b = b;
    }
    return count;
}

/* Texts of different structure: what lies between their common beginning and the end of each. */
static uint32_t compare_middles(const char *wanted, const char *stored, sentence *to)
{
    size_t      prefix = 0, a = strlen(wanted), b = strlen(stored);
    uint32_t    words = 0;
    char        middle[256] = "";

    while (prefix < a && prefix < b && wanted[prefix] == stored[prefix])
        prefix++;
    while (prefix && !isspace((unsigned char)wanted[prefix - 1]))
        prefix--;
    while (a > prefix && b > prefix && wanted[a - 1] == stored[b - 1]) {
        a--;
        b--;
    }
    snprintf(middle, sizeof middle, "%.*s", (int)(a - prefix), wanted + prefix);
    words = word_count(middle);
    for (char *at = middle; *at; at++)
        *at = *at == '\n' ? ' ' : *at;
    add(to, "the computation differs at \"%.80s\"", middle[0] ? middle : wanted + prefix);
    return 1000 + words;        /* farther than any difference in numbers */
}

uint32_t pf_timing_problem_difference(const char *wanted, const char *stored, char *out, size_t capacity)
{
    sentence to = {out, capacity, 0};

    out[0] = 0;
    if (strcmp(wanted, stored) == 0)
        return 0;
    if (word_count(wanted) == word_count(stored))
        return compare_words(wanted, stored, &to);
    return compare_middles(wanted, stored, &to);
}
