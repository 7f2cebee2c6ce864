#include "engine/config.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/number.h"
#include "engine/tactic.h"

enum { TEXT_LIMIT = 1 << 20, SHAPES_LIMIT = 4096 };

typedef enum kind { KIND_BOOL, KIND_INT, KIND_REAL, KIND_BYTES, KIND_TEXT, KIND_SHAPES, KIND_VALUES } kind;

typedef struct row { const char *key; kind kind; const char *fallback; bool in_key; } row;

static const row rows[PF_CONFIG_COUNT] = {
#define PF_CONFIG(key, kind, fallback, in_key, help) [PF_CONFIG_##key] = { #key, KIND_##kind, fallback, in_key },
#include "engine/config.def"
#undef PF_CONFIG
};

struct pf_config {
    char *value[PF_CONFIG_COUNT];       /* owned, canonical; NULL: the default */
};

/* ---- Values */

static pf_status malformed(const char *key, const char *value, const char *wanted, pf_err *err)
{
    return PF_FAIL(err, PF_USAGE, "%s cannot be \"%.120s\": give %s", key, value, wanted);
}

static pf_status canonical_bool(const char *key, const char *value, pf_buf *out, pf_err *err)
{
    static const char *const yes[] = { "1", "true", "yes", "on", NULL };
    static const char *const no[] = { "0", "false", "no", "off", NULL };

    for (int i = 0; yes[i]; i++) {
        if (!strcmp(value, yes[i]))
            return pf_buf_printf(out, "1") ? PF_OK : PF_FAIL_MEMORY(err, 2);
        if (!strcmp(value, no[i]))
            return pf_buf_printf(out, "0") ? PF_OK : PF_FAIL_MEMORY(err, 2);
    }
    return malformed(key, value, "0 or 1", err);
}

static pf_status parse_int(const char *text, int64_t *out, const char **end)
{
    char *stop = NULL;

    errno = 0;
    *out = strtoll(text, &stop, 10);
    *end = stop;
    return errno || stop == text || text[0] == ' ' || text[0] == '+' ? PF_INVALID : PF_OK;
}

/* Rows whose numbers have bounds. */
static const struct { pf_config_key key; int64_t least, greatest; } bounds[] = {
    { PF_CONFIG_share, 1, 100 },
    { PF_CONFIG_effort, 0, 5 },
};

static pf_status canonical_int(const char *key, const char *value, pf_buf *out, pf_err *err)
{
    int64_t     number = 0;
    const char *end = NULL;

    if (parse_int(value, &number, &end) || *end)
        return malformed(key, value, "a whole number", err);
    for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++)
        if (!strcmp(key, rows[bounds[i].key].key) && (number < bounds[i].least || number > bounds[i].greatest))
            return PF_FAIL(err, PF_USAGE, "%s cannot be %lld: give %lld to %lld", key, (long long)number,
                           (long long)bounds[i].least, (long long)bounds[i].greatest);
    return pf_buf_printf(out, "%lld", (long long)number) ? PF_OK : PF_FAIL_MEMORY(err, 24);
}

/* Nothing, or a number in the fewest of up to nine digits that tell it. */
static pf_status canonical_real(const char *key, const char *value, pf_buf *out, pf_err *err)
{
    char  *end = NULL;
    double number = pf_number_read(value, &end);

    if (!*value)
        return PF_OK;
    if (end == value || *end || !isfinite(number))
        return malformed(key, value, "a number such as 0.01", err);
    return pf_buf_printf(out, "%.9g", number) ? PF_OK : PF_FAIL_MEMORY(err, 24);
}

static pf_status canonical_bytes(const char *key, const char *value, pf_buf *out, pf_err *err)
{
    static const char suffixes[] = "KMGT";
    int64_t           number = 0, factor = 1;
    const char       *end = NULL, *suffix = NULL;

    if (parse_int(value, &number, &end) || number < 0)
        return malformed(key, value, "a number of bytes such as 0, 4096 or 32M", err);
    suffix = *end ? strchr(suffixes, *end & ~0x20) : NULL;
    if (*end && (!suffix || end[1]))
        return malformed(key, value, "a number of bytes with K, M, G or T behind it, or none", err);
    for (const char *s = suffixes; suffix && s <= suffix; s++)
        factor *= 1024;
    if (number > INT64_MAX / factor)
        return malformed(key, value, "a number of bytes below 2^63", err);
    return pf_buf_printf(out, "%lld", (long long)(number * factor)) ? PF_OK : PF_FAIL_MEMORY(err, 24);
}

/* One line of its own: what separates lines cannot be inside. */
static pf_status canonical_text(const char *key, const char *value, pf_buf *out, pf_err *err)
{
    if (strpbrk(value, "\n\r"))
        return PF_FAIL(err, PF_USAGE, "%s must be a text of one line", key);
    for (const char *at = value; *at; at++)
        if (*at != ' ' && *at != '\t')
            pf_buf_put(out, at, 1);
    return out->failed ? PF_FAIL_MEMORY(err, strlen(value)) : PF_OK;
}

/* ---- Shapes */

/* "3x224x224" up to end; nothing at all is a scalar. */
static bool parse_dims(const char *text, const char *end, pf_named_shape *out)
{
    const char *at = text;

    while (at < end) {
        const char *next = NULL;

        if (out->rank == PF_MAX_RANK || parse_int(at, &out->dim[out->rank], &next) || next > end ||
            out->dim[out->rank] < 0)
            return false;
        out->rank++;
        if (next < end && (*next != 'x' || next + 1 == end))
            return false;
        at = next + (next < end);
    }
    return true;
}

const char *pf_config_behind_name(const char *text, const char *end, char name[PF_CONFIG_NAME_BYTES])
{
    const char *rest = end;

    while (rest > text && rest[-1] != ':')
        rest--;
    if (rest <= text + 1 || rest - text > PF_CONFIG_NAME_BYTES)
        return NULL;
    memcpy(name, text, (size_t)(rest - text) - 1);
    name[rest - text - 1] = 0;
    return rest;
}

/* One "name:dims" of [text, end). */
static pf_status parse_shape(const char *key, const char *text, const char *end, pf_named_shape *out, pf_err *err)
{
    const char *dims = NULL;

    *out = (pf_named_shape){ .rank = 0 };
    dims = pf_config_behind_name(text, end, out->name);
    if (!dims || !parse_dims(dims, end, out))
        return PF_FAIL(err, PF_USAGE,
                       "%s has \"%.*s\", which is not a shape: give INPUT:1x3x224x224, several with commas", key,
                       (int)(end - text), text);
    return PF_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const pf_named_shape *)a)->name, ((const pf_named_shape *)b)->name);
}

static pf_status parse_shapes(const char *key, const char *text, pf_named_shapes *out, pf_err *err)
{
    pf_status st = PF_OK;

    *out = (pf_named_shapes){ 0 };
    for (const char *at = text; *at && !st;) {
        const char *end = at + strcspn(at, ",");

        if (out->count == SHAPES_LIMIT)
            st = PF_FAIL(err, PF_USAGE, "%s lists more than %d shapes", key, SHAPES_LIMIT);
        else if (pf_grow((void **)&out->items, &out->capacity, out->count + 1, sizeof *out->items))
            st = PF_FAIL_MEMORY(err, (out->count + 1) * sizeof *out->items);
        else
            st = parse_shape(key, at, end, &out->items[out->count], err);
        out->count += !st;
        at = *end ? end + 1 : end;
    }
    if (!st && out->count)
        qsort(out->items, out->count, sizeof *out->items, by_name);
    for (uint32_t i = 1; i < out->count && !st; i++)
        if (!strcmp(out->items[i - 1].name, out->items[i].name))
            st = PF_FAIL(err, PF_USAGE, "%s gives input \"%s\" two shapes", key, out->items[i].name);
    if (st)
        pf_named_shapes_clear(out);
    return st;
}

static pf_status canonical_shapes(const char *key, const char *value, pf_buf *out, pf_err *err)
{
    pf_named_shapes shapes = { 0 };
    pf_buf          text = { 0 };
    pf_status       st = PF_OK;

    pf_buf_init(&text, TEXT_LIMIT);
    st = canonical_text(key, value, &text, err);
    if (!st)
        st = parse_shapes(key, text.size ? (const char *)text.data : "", &shapes, err);
    for (uint32_t i = 0; i < shapes.count; i++) {
        pf_buf_printf(out, "%s%s:", i ? "," : "", shapes.items[i].name);
        for (int32_t d = 0; d < shapes.items[i].rank; d++)
            pf_buf_printf(out, "%s%lld", d ? "x" : "", (long long)shapes.items[i].dim[d]);
    }
    if (!st && out->failed)
        st = PF_FAIL_MEMORY(err, strlen(value));
    pf_named_shapes_clear(&shapes);
    pf_buf_clear(&text);
    return st;
}

static pf_status canonical_values(const char *key, const char *value, pf_buf *out, pf_err *err)
{
    pf_buf    text = { 0 };
    pf_status st = PF_OK;

    pf_buf_init(&text, TEXT_LIMIT);
    st = canonical_text(key, value, &text, err);
    if (!st)
        st = pf_config_canonical_values(key, text.size ? (const char *)text.data : "", out, err);
    pf_buf_clear(&text);
    return st;
}

static pf_status (*const canonical[])(const char *key, const char *value, pf_buf *out, pf_err *err) = {
    [KIND_BOOL] = canonical_bool,   [KIND_INT] = canonical_int,   [KIND_REAL] = canonical_real,
    [KIND_BYTES] = canonical_bytes, [KIND_TEXT] = canonical_text, [KIND_SHAPES] = canonical_shapes,
    [KIND_VALUES] = canonical_values,
};

void pf_named_shapes_clear(pf_named_shapes *shapes)
{
    if (!shapes)
        return;
    pf_free(shapes->items);
    *shapes = (pf_named_shapes){ 0 };
}

const pf_named_shape *pf_named_shapes_find(const pf_named_shapes *shapes, const char *name)
{
    for (uint32_t i = 0; i < shapes->count; i++)
        if (!strcmp(shapes->items[i].name, name))
            return &shapes->items[i];
    return NULL;
}

/* ---- The spec */

pf_status pf_config_new(pf_config **out, pf_err *err)
{
    *out = pf_calloc(1, sizeof **out);
    return *out ? PF_OK : PF_FAIL_MEMORY(err, sizeof **out);
}

void pf_config_free(pf_config *config)
{
    if (!config)
        return;
    for (int i = 0; i < PF_CONFIG_COUNT; i++)
        pf_free(config->value[i]);
    pf_free(config);
}

static pf_config_key find_row(const char *key)
{
    int i = 0;

    while (i < PF_CONFIG_COUNT && strcmp(rows[i].key, key))
        i++;
    return (pf_config_key)i;
}

static pf_status no_such_key(const char *key, pf_err *err)
{
    char   known[512] = "";
    size_t used = 0;

    for (int i = 0; i < PF_CONFIG_COUNT && used < sizeof known - 40; i++)
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", rows[i].key);
    return PF_FAIL(err, PF_USAGE, "a build spec has no \"%.80s\": it knows %s", key, known);
}

pf_status pf_config_set(pf_config *config, const char *key, const char *value, pf_err *err)
{
    pf_config_key index = find_row(key);
    pf_buf        text = { 0 };
    pf_status     st = PF_OK;
    size_t        bytes = 0;

    if (index == PF_CONFIG_COUNT)
        return no_such_key(key, err);
    pf_buf_init(&text, TEXT_LIMIT);
    st = canonical[rows[index].kind](key, value, &text, err);
    if (!st) {
        bool is_default = !strcmp(text.size ? (const char *)text.data : "", rows[index].fallback);

        pf_free(config->value[index]);
        config->value[index] = is_default ? NULL : (char *)pf_buf_take(&text, &bytes);
    }
    pf_buf_clear(&text);
    return st;
}

const char *pf_config_value(const pf_config *config, pf_config_key key)
{
    return config->value[key] ? config->value[key] : rows[key].fallback;
}

const char *pf_config_get(const pf_config *config, const char *key)
{
    pf_config_key index = find_row(key);

    return index == PF_CONFIG_COUNT ? NULL : pf_config_value(config, index);
}

bool pf_config_bool(const pf_config *config, pf_config_key key)
{
    return pf_config_value(config, key)[0] == '1';
}

int64_t pf_config_int(const pf_config *config, pf_config_key key)
{
    return strtoll(pf_config_value(config, key), NULL, 10);
}

pf_status pf_config_shapes(const pf_config *config, pf_config_key key, pf_named_shapes *out, pf_err *err)
{
    return parse_shapes(rows[key].key, pf_config_value(config, key), out, err);
}

static pf_status write_text(const pf_config *config, bool only_in_key, char **text, pf_err *err)
{
    pf_buf buf = { 0 };
    size_t bytes = 0;

    *text = NULL;
    pf_buf_init(&buf, TEXT_LIMIT);
    pf_buf_put(&buf, "", 0);
    for (int i = 0; i < PF_CONFIG_COUNT; i++)
        if (config->value[i] && (rows[i].in_key || !only_in_key))
            pf_buf_printf(&buf, "%s=%s\n", rows[i].key, config->value[i]);
    *text = buf.size || buf.failed ? (char *)pf_buf_take(&buf, &bytes) : pf_strdup("");
    pf_buf_clear(&buf);
    return *text ? PF_OK : PF_FAIL_MEMORY(err, TEXT_LIMIT);
}

pf_status pf_config_text(const pf_config *config, char **text, pf_err *err)
{
    return write_text(config, false, text, err);
}

pf_status pf_config_key_text(const pf_config *config, char **text, pf_err *err)
{
    return write_text(config, true, text, err);
}

static pf_status parse_line(pf_config *config, const char *line, size_t bytes, pf_err *err)
{
    char       *copy = pf_strndup(line, bytes);
    char       *equals = copy ? strchr(copy, '=') : NULL;
    pf_status   st = PF_OK;

    if (!copy)
        return PF_FAIL_MEMORY(err, bytes);
    if (equals) {
        *equals = 0;
        st = pf_config_set(config, copy, equals + 1, err);
    } else {
        st = PF_FAIL(err, PF_USAGE, "the build spec has the line \"%.80s\": each line is key=value", copy);
    }
    pf_free(copy);
    return st;
}

pf_status pf_config_parse(const char *text, pf_config **out, pf_err *err)
{
    pf_config *config = NULL;
    pf_status  st = PF_OK;

    *out = NULL;
    if (strlen(text) > TEXT_LIMIT)
        return PF_FAIL(err, PF_USAGE, "the build spec is longer than %d bytes", TEXT_LIMIT);
    st = pf_config_new(&config, err);
    for (const char *at = text; *at && !st;) {
        size_t bytes = strcspn(at, "\n");

        if (bytes)
            st = parse_line(config, at, bytes, err);
        at += bytes + (at[bytes] != 0);
    }
    if (st) {
        pf_config_free(config);
        return st;
    }
    *out = config;
    return PF_OK;
}

/* ---- Meaning */

/* Does a comma-separated list hold this word? */
static bool list_holds(const char *list, const char *word)
{
    size_t bytes = strlen(word);

    for (const char *at = list; *at;) {
        size_t item = strcspn(at, ",");

        if (item == bytes && !memcmp(at, word, bytes))
            return true;
        at += item + (at[item] != 0);
    }
    return false;
}

/* "a,b": these alone.  "-a": all but a.  "a,-b": a alone. */
bool pf_config_allows_tactic(const pf_config *config, const char *tactic)
{
    const char *list = pf_config_value(config, PF_CONFIG_tactics);
    char        excluded[PF_TACTIC_NAME_BYTES + 1] = "";
    bool        has_positive = false;

    snprintf(excluded, sizeof excluded, "-%s", tactic);
    for (const char *at = list; *at; at += strcspn(at, ","), at += *at != 0)
        has_positive |= *at != '-' && *at != ',';
    return !list_holds(list, excluded) && (!has_positive || list_holds(list, tactic));
}

static pf_status check_tactics(const pf_config *config, pf_err *err)
{
    const char *list = pf_config_value(config, PF_CONFIG_tactics);

    for (const char *at = list; *at;) {
        size_t      bytes = strcspn(at, ",");
        const char *name = *at == '-' ? at + 1 : at;
        char        word[PF_TACTIC_NAME_BYTES] = "";

        snprintf(word, sizeof word, "%.*s", (int)(bytes - (size_t)(name - at)), name);
        if (!pf_tactic_find(word))
            return PF_FAIL(err, PF_USAGE,
                           "tactics names \"%s\", and there is no such tactic: planfarm tactics lists them", word);
        at += bytes + (at[bytes] != 0);
    }
    return PF_OK;
}

static pf_status check_error(const pf_config *config, pf_err *err)
{
    const char *text = pf_config_value(config, PF_CONFIG_max_error);
    double      most = pf_number_read(text, NULL);

    if (*text && !(most > 0 && most < 1))
        return PF_FAIL(err, PF_USAGE, "max_error is %s: give a number above 0 and below 1, as 0.01", text);
    return PF_OK;
}

/* What this version cannot build yet.  A row that is set and a device of that kind: refused, with the reason. */
static const struct { pf_config_key key; pf_device_kind kind; const char *reason; } unbuilt[] = {
    { PF_CONFIG_fp16, PF_DEVICE_CPU, "the CPU's plans are FP32" },
    { PF_CONFIG_bf16, PF_DEVICE_CPU, "the CPU's plans are FP32" },
    { PF_CONFIG_int8, PF_DEVICE_CPU,
      "this version does not quantize FP32 networks; what a network quantizes itself is computed in FP32" },
    { PF_CONFIG_fp8, PF_DEVICE_CPU, "the CPU's plans are FP32" },
    { PF_CONFIG_int8, PF_DEVICE_CUDA,
      "this version does not quantize FP32 networks; what a network quantizes itself is computed in FP32" },
    { PF_CONFIG_fp8, PF_DEVICE_CUDA, "this version does not quantize FP32 networks" },
};

pf_status pf_config_check(const pf_config *config, const pf_device *device, pf_err *err)
{
    for (size_t i = 0; i < sizeof unbuilt / sizeof unbuilt[0]; i++)
        if (unbuilt[i].kind == device->kind && pf_config_bool(config, unbuilt[i].key))
            return PF_FAIL(err, PF_UNSUPPORTED, "%s cannot be built for %s: %s; leave %s out", rows[unbuilt[i].key].key,
                           device->name, unbuilt[i].reason, rows[unbuilt[i].key].key);
    if (device->kind == PF_DEVICE_CPU && pf_config_int(config, PF_CONFIG_share) != 100)
        return PF_FAIL(err, PF_UNSUPPORTED,
                       "share=%s cannot be built for %s: a CPU is shared by its number of threads; leave share out",
                       pf_config_value(config, PF_CONFIG_share), device->name);
    if (config->value[PF_CONFIG_shapes] && (config->value[PF_CONFIG_min_shapes] ||
                                            config->value[PF_CONFIG_opt_shapes] || config->value[PF_CONFIG_max_shapes]))
        return PF_FAIL(err, PF_USAGE,
                       "shapes is for a plan of one shape: give it alone, or min_shapes, opt_shapes and max_shapes");
    return check_error(config, err) ? PF_USAGE : check_tactics(config, err);
}
