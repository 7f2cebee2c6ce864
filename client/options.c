#include "client/options.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/nearest.h"
#include "client/options_spelling.h"

enum { OPTIONS_LIMIT = 96, NAME_BYTES = 48, FIRST_LONG = 256 };

typedef struct given { const pf_option *option; const char *value; } given;

struct pf_args {
    const pf_option *tables[2];         /* the verb's and the common one */
    given           *items;
    uint32_t         count, capacity;
    pf_arena        *arena;             /* of words and what of them is spelled otherwise than in argv */
    char           **operands;          /* into the words */
    uint32_t         operand_count;
};

/* What getopt_long needs, made from the tables. */
typedef struct plan {
    const pf_option *options[OPTIONS_LIMIT];
    char             names[OPTIONS_LIMIT][NAME_BYTES];
    struct option    rows[OPTIONS_LIMIT + 1];
    char             letters[2 * OPTIONS_LIMIT + 3];
    int              count;
} plan;

const pf_option pf_common_options[] = {
    {.name = "json", .kind = PF_OPTION_FLAG, .help = "print one JSON object on standard output and nothing else"},
    {.name = "verbose", .letter = 'v', .kind = PF_OPTION_FLAG,
     .help = "say on standard error what happens; PF_LOG=debug says all"},
    {.name = "help", .letter = 'h', .kind = PF_OPTION_FLAG, .help = "print this text"},
    {.name = NULL},
};

void pf_option_flag(const pf_option *option, char *out, size_t capacity)
{
    snprintf(out, capacity, "--%s", option->name);
    for (char *at = out; *at; at++)
        *at = *at == '_' ? '-' : *at;
}

static void plan_option(plan *p, const pf_option *option)
{
    char  *name = p->names[p->count];
    size_t used = strlen(p->letters);
    char   flag[NAME_BYTES + 2];

    pf_option_flag(option, flag, sizeof flag);
    snprintf(name, NAME_BYTES, "%s", flag + 2);
    p->rows[p->count] = (struct option){.name = name,
                                        .has_arg = option->kind == PF_OPTION_FLAG ? no_argument : required_argument,
                                        .val = FIRST_LONG + p->count};
    if (option->letter)
        snprintf(p->letters + used, sizeof p->letters - used, "%c%s", option->letter,
                 option->kind == PF_OPTION_FLAG ? "" : ":");
    p->options[p->count++] = option;
}

static void plan_tables(plan *p, const pf_option *const tables[2])
{
    memset(p, 0, sizeof *p);
    p->letters[0] = ':';            /* getopt tells a missing value from an unknown option, and prints nothing */
    for (int t = 0; t < 2; t++)
        for (const pf_option *option = tables[t]; option && option->name && p->count < OPTIONS_LIMIT; option++)
            plan_option(p, option);
}

static const pf_option *option_of(const plan *p, int code)
{
    if (code >= FIRST_LONG && code < FIRST_LONG + p->count)
        return p->options[code - FIRST_LONG];
    for (int i = 0; i < p->count; i++)
        if (code && p->options[i]->letter == code)
            return p->options[i];
    return NULL;
}

/* NULL: no verb has it by another name. */
static const char *name_here(const char *typed, char *out, size_t capacity)
{
    const char *ours = pf_options_ours(typed, strlen(typed));

    if (!ours || !*ours)
        return NULL;
    pf_option_flag(&(pf_option){.name = ours}, out, capacity);
    return out;
}

static pf_status refuse_unknown(const plan *p, const char *word, pf_err *err)
{
    char        typed[NAME_BYTES] = "";
    pf_nearest  nearest;
    char        here[NAME_BYTES + 2];
    const char *meant = NULL, *instead = NULL;

    if (strncmp(word, "--", 2) != 0)
        return PF_FAIL(err, PF_USAGE, "there is no option -%c; --help lists those there are", optopt);
    snprintf(typed, sizeof typed, "%.*s", (int)strcspn(word + 2, "="), word + 2);
    instead = pf_options_elsewhere(typed, strlen(typed));
    if (instead)
        return PF_FAIL(err, PF_USAGE, "there is no option --%s; %s", typed, instead);
    if (name_here(typed, here, sizeof here))
        return PF_FAIL(err, PF_USAGE, "there is no option --%s; it is called %s, which this verb does not have", typed,
                       here);
    pf_nearest_begin(&nearest, typed);
    for (int i = 0; i < p->count; i++)
        pf_nearest_offer(&nearest, p->names[i]);
    meant = pf_nearest_end(&nearest);
    if (meant)
        return PF_FAIL(err, PF_USAGE, "there is no option --%s; did you mean --%s?", typed, meant);
    return PF_FAIL(err, PF_USAGE, "there is no option --%s; --help lists those there are", typed);
}

/* Whether an abbreviation fits several options. */
static bool is_ambiguous(const plan *p, const char *word)
{
    size_t length = strncmp(word, "--", 2) == 0 ? strcspn(word + 2, "=") : 0;
    int    fits = 0;

    for (int i = 0; i < p->count && length; i++)
        fits += strncmp(p->names[i], word + 2, length) == 0;
    return fits > 1;
}

static pf_status refuse(const plan *p, int code, const char *word, pf_err *err)
{
    const pf_option *option = option_of(p, optopt);
    char             flag[NAME_BYTES + 2] = "";

    if (option)
        pf_option_flag(option, flag, sizeof flag);
    if (option && code == ':')
        return PF_FAIL(err, PF_USAGE, "%s needs a value: %s", flag, option->value);
    if (option)
        return PF_FAIL(err, PF_USAGE, "%s takes no value", flag);
    if (is_ambiguous(p, word))
        return PF_FAIL(err, PF_USAGE, "%s is the beginning of several options; write it out", word);
    return refuse_unknown(p, word, err);
}

/* False unless all of text is a number of the option's kind. */
static bool read_number(const pf_option *option, const char *text, double *out)
{
    char *end = NULL;

    errno = 0;
    *out = option->kind == PF_OPTION_INT ? (double)strtoll(text, &end, 10) : strtod(text, &end);
    return end != text && !*end && !errno && isfinite(*out) &&
           (text[0] == '-' || (text[0] >= '0' && text[0] <= '9') || text[0] == '.');
}

static pf_status check_value(const pf_option *option, const char *text, pf_err *err)
{
    bool   bounded = option->least != 0 || option->greatest != 0;
    double number = 0;
    char   flag[NAME_BYTES + 2];

    pf_option_flag(option, flag, sizeof flag);
    if (!text[0])
        return PF_FAIL(err, PF_USAGE, "%s is given an empty value; it needs a value: %s", flag, option->value);
    if (option->kind == PF_OPTION_TEXT)
        return PF_OK;
    if (!read_number(option, text, &number))
        return PF_FAIL(err, PF_USAGE, "%s takes a %s, not \"%.80s\"", flag,
                       option->kind == PF_OPTION_INT ? "whole number" : "number", text);
    if (bounded && (number < option->least || number > option->greatest))
        return PF_FAIL(err, PF_USAGE, "%s takes a number from %.15g to %.15g, not %.80s", flag, option->least,
                       option->greatest, text);
    return PF_OK;
}

static pf_status add(pf_args *args, const pf_option *option, const char *value, pf_err *err)
{
    pf_status status = value ? check_value(option, value, err) : PF_OK;

    if (status)
        return status;
    if (pf_grow((void **)&args->items, &args->capacity, args->count + 1, sizeof *args->items))
        return PF_FAIL_MEMORY(err, sizeof *args->items);
    args->items[args->count++] = (given){option, value};
    return PF_OK;
}

/* Whether a word that stands in the place of a value is one of the options written out, so that the value was
   forgotten. */
static bool is_option(const plan *p, const char *word)
{
    for (int i = 0; i < p->count && strncmp(word, "--", 2) == 0; i++)
        if (strcmp(p->names[i], word + 2) == 0)
            return true;
    return false;
}

/* An operand without a letter is a variable of a script that is not set. */
static pf_status check_operands(const pf_args *args, pf_err *err)
{
    for (uint32_t i = 0; i < args->operand_count; i++)
        if (!args->operands[i][0])
            return PF_FAIL(err, PF_USAGE, "operand %" PRIu32 " is empty; --help shows how the verb is used", i + 1);
    return PF_OK;
}

static pf_status parse(pf_args *args, int argc, char **argv, pf_err *err)
{
    plan      p;
    int       code = 0;
    char    **words = pf_arena_alloc(args->arena, (size_t)(argc + 1) * sizeof *words);
    pf_status status = PF_OK;

    if (!words)
        return PF_FAIL_MEMORY(err, (size_t)(argc + 1) * sizeof *words);
    status = pf_options_respell(args->tables, argc, argv, args->arena, words, &argc, err);
    argv = words;
    plan_tables(&p, args->tables);
    optind = 0;                     /* starts GNU getopt afresh */
    opterr = 0;
    while (!status) {
        const char *word = NULL;

        code = getopt_long(argc, argv, p.letters, p.rows, NULL);
        if (code == -1)
            break;
        word = argv[optind - 1];
        if (optarg && code != '?' && code != ':' && optarg == word && is_option(&p, word)) {
            optopt = code;
            code = ':';
        }
        if (code == '?' || code == ':')
            status = refuse(&p, code, word, err);
        else
            status = add(args, option_of(&p, code), optarg, err);
    }
    args->operands = argv + optind;
    args->operand_count = (uint32_t)(argc - optind);
    return status ? status : check_operands(args, err);
}

pf_status pf_args_parse(const pf_option *options, int argc, char **argv, pf_args **out, pf_err *err)
{
    pf_args  *args = pf_calloc(1, sizeof *args);
    pf_status status = PF_OK;

    *out = NULL;
    if (!args)
        return PF_FAIL_MEMORY(err, sizeof *args);
    args->arena = pf_arena_new();
    args->tables[0] = options;
    args->tables[1] = pf_common_options;
    status = args->arena ? parse(args, argc, argv, err) : PF_FAIL_MEMORY(err, sizeof *args);
    if (status) {
        pf_args_free(args);
        return status;
    }
    *out = args;
    return PF_OK;
}

void pf_args_free(pf_args *args)
{
    if (!args)
        return;
    pf_arena_free(args->arena);
    pf_free(args->items);
    pf_free(args);
}

static const given *find_last(const pf_args *args, const char *name)
{
    const given *last = NULL;

    for (uint32_t i = 0; i < args->count; i++)
        if (strcmp(args->items[i].option->name, name) == 0)
            last = &args->items[i];
    return last;
}

static const pf_option *find_option(const pf_args *args, const char *name)
{
    for (int t = 0; t < 2; t++)
        for (const pf_option *option = args->tables[t]; option && option->name; option++)
            if (strcmp(option->name, name) == 0)
                return option;
    return NULL;
}

bool pf_args_given(const pf_args *args, const char *name)
{
    return find_last(args, name) != NULL;
}

bool pf_args_flag(const pf_args *args, const char *name)
{
    return pf_args_given(args, name);
}

const char *pf_args_text(const pf_args *args, const char *name)
{
    const given     *last = find_last(args, name);
    const pf_option *option = find_option(args, name);

    return last ? last->value : option ? option->fallback : NULL;
}

int64_t pf_args_int(const pf_args *args, const char *name)
{
    const char *text = pf_args_text(args, name);

    return text ? strtoll(text, NULL, 10) : 0;
}

double pf_args_real(const pf_args *args, const char *name)
{
    const char *text = pf_args_text(args, name);

    return text ? strtod(text, NULL) : 0;
}

uint32_t pf_args_count(const pf_args *args, const char *name)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < args->count; i++)
        count += strcmp(args->items[i].option->name, name) == 0;
    return count;
}

const char *pf_args_nth(const pf_args *args, const char *name, uint32_t index)
{
    for (uint32_t i = 0; i < args->count; i++)
        if (strcmp(args->items[i].option->name, name) == 0 && index-- == 0)
            return args->items[i].value;
    return NULL;
}

uint32_t pf_args_operand_count(const pf_args *args)
{
    return args->operand_count;
}

const char *pf_args_operand(const pf_args *args, uint32_t index)
{
    return index < args->operand_count ? args->operands[index] : NULL;
}

pf_status pf_args_expect(const pf_args *args, uint32_t least, uint32_t most, const char *what, pf_err *err)
{
    if (args->operand_count < least)
        return PF_FAIL(err, PF_USAGE, "%s is missing; --help shows how the verb is used", what);
    if (args->operand_count > most)
        return PF_FAIL(err, PF_USAGE, "\"%.200s\" is too much; --help shows how the verb is used",
                       args->operands[most]);
    return PF_OK;
}

void pf_options_print(const pf_option *options, pf_buf *out)
{
    for (const pf_option *option = options; option && option->name; option++) {
        char flag[NAME_BYTES + 2], left[3 * NAME_BYTES];
        char letter[8] = "    ";

        pf_option_flag(option, flag, sizeof flag);
        if (option->letter)
            snprintf(letter, sizeof letter, "-%c, ", option->letter);
        snprintf(left, sizeof left, "%s%s%s%s", letter, flag, option->value ? " " : "",
                 option->value ? option->value : "");
        pf_buf_printf(out, strlen(left) < 28 ? "  %-28s%s" : "  %s\n                              %s", left,
                      option->help);
        if (option->fallback && option->fallback[0])
            pf_buf_printf(out, " (%s)", option->fallback);
        pf_buf_printf(out, "\n");
    }
}
