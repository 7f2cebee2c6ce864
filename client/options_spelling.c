#include "client/options_spelling.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static const struct { const char *theirs, *ours, *instead; } elsewhere[] = {
#define SAME(theirs, ours) { theirs, ours, NULL },
#define ELSE(theirs, what) { theirs, NULL, what },
#include "client/options_elsewhere.def"
#undef SAME
#undef ELSE
};

enum { ELSEWHERE_COUNT = sizeof elsewhere / sizeof elsewhere[0] };

static bool is_dash(char letter) { return letter == '-' || letter == '_'; }

/* Whether both are the same but for dashes and the case of letters. */
static bool is_alike(const char *name, size_t length, const char *other)
{
    const char *end = name + length;

    for (;;) {
        while (name < end && is_dash(*name)) name++;
        while (is_dash(*other)) other++;
        if (name == end || !*other) return name == end && !*other;
        if (tolower((unsigned char)*name++) != tolower((unsigned char)*other++)) return false;
    }
}

static const pf_option *find_alike(const pf_option *const tables[2], const char *name, size_t length)
{
    for (int t = 0; t < 2; t++)
        for (const pf_option *option = tables[t]; option && option->name; option++)
            if (is_alike(name, length, option->name)) return option;
    return NULL;
}

const char *pf_options_ours(const char *name, size_t length)
{
    for (size_t i = 0; i < ELSEWHERE_COUNT; i++)
        if (elsewhere[i].ours && is_alike(name, length, elsewhere[i].theirs)) return elsewhere[i].ours;
    return NULL;
}

const char *pf_options_elsewhere(const char *name, size_t length)
{
    for (size_t i = 0; i < ELSEWHERE_COUNT; i++)
        if (elsewhere[i].instead && is_alike(name, length, elsewhere[i].theirs)) return elsewhere[i].instead;
    return NULL;
}

/* "--name" or "--name=value" of the option; rest: "" or "=value". */
static char *spell(const pf_option *option, const char *rest, pf_arena *arena)
{
    size_t bytes = strlen(option->name) + 2 + strlen(rest) + 1, flag_bytes = strlen(option->name) + 3;
    char  *word = pf_arena_alloc(arena, bytes);

    if (!word) return NULL;
    pf_option_flag(option, word, flag_bytes);
    snprintf(word + flag_bytes - 1, bytes - flag_bytes + 1, "%s", rest);
    return word;
}

/* Answers NULL where only the next word, an operand, is to be left. */
static pf_status respell(const pf_option *const tables[2], char *word, pf_arena *arena, char **out, pf_err *err)
{
    const char      *name = word + 2, *rest = name + strcspn(name, "=");
    size_t           length = (size_t)(rest - name);
    const pf_option *option = find_alike(tables, name, length);
    const char      *ours = option ? NULL : pf_options_ours(name, length);

    *out = word;
    if (ours && !ours[0]) {
        *out = *rest ? word + 2 + length + 1 : NULL;
        return PF_OK;
    }
    if (ours) option = find_alike(tables, ours, strlen(ours));
    if (!option) return PF_OK;
    *out = spell(option, rest, arena);
    return *out ? PF_OK : PF_FAIL_MEMORY(err, strlen(word));
}

pf_status pf_options_respell(const pf_option *const tables[2], int argc, char **argv, pf_arena *arena, char **words,
                             int *word_count, pf_err *err)
{
    int       count = 0, i = 0;
    pf_status status = PF_OK;

    for (; i < argc && strcmp(argv[i], "--") != 0 && !status; i++) {
        char *word = argv[i];

        if (strncmp(word, "--", 2) == 0) status = respell(tables, word, arena, &word, err);
        if (word) words[count++] = word;
    }
    for (; i < argc; i++) words[count++] = argv[i];
    words[count] = NULL;
    *word_count = count;
    return status;
}
