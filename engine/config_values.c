/* "IN:1,OTHER:0.5": a number for each name. */
#include "engine/config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/number.h"

enum { VALUES_LIMIT = 4096, NUMBER_BYTES = 64 };

/* As ONNX writes truth values, and as others do. */
static const struct { const char *text; double value; } words[] = {
    { "true", 1 }, { "True", 1 }, { "false", 0 }, { "False", 0 },
};

static bool parse_number(const char *text, size_t bytes, double *out)
{
    char  number[NUMBER_BYTES] = "";
    char *end = NULL;

    if (!bytes || bytes >= sizeof number)
        return false;
    memcpy(number, text, bytes);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (!strcmp(number, words[i].text)) {
            *out = words[i].value;
            return true;
        }
    *out = pf_number_read(number, &end);
    return !*end && isfinite(*out);
}

static pf_status parse_value(const char *key, const char *text, const char *end, pf_named_value *out, pf_err *err)
{
    const char *number = pf_config_behind_name(text, end, out->name);

    if (!number || !parse_number(number, (size_t)(end - number), &out->value))
        return PF_FAIL(err, PF_USAGE,
                       "%s has \"%.*s\", which is not a value: give INPUT:1 or INPUT:true, several with commas", key,
                       (int)(end - text), text);
    return PF_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const pf_named_value *)a)->name, ((const pf_named_value *)b)->name);
}

static pf_status parse_values(const char *key, const char *text, pf_named_values *out, pf_err *err)
{
    pf_status st = PF_OK;

    *out = (pf_named_values){ 0 };
    for (const char *at = text; *at && !st;) {
        const char *end = at + strcspn(at, ",");

        if (out->count == VALUES_LIMIT)
            st = PF_FAIL(err, PF_USAGE, "%s lists more than %d values", key, VALUES_LIMIT);
        else if (pf_grow((void **)&out->items, &out->capacity, out->count + 1, sizeof *out->items))
            st = PF_FAIL_MEMORY(err, (out->count + 1) * sizeof *out->items);
        else
            st = parse_value(key, at, end, &out->items[out->count], err);
        out->count += !st;
        at = *end ? end + 1 : end;
    }
    if (!st && out->count)
        qsort(out->items, out->count, sizeof *out->items, by_name);
    for (uint32_t i = 1; i < out->count && !st; i++)
        if (!strcmp(out->items[i - 1].name, out->items[i].name))
            st = PF_FAIL(err, PF_USAGE, "%s gives input \"%s\" two values", key, out->items[i].name);
    if (st)
        pf_named_values_clear(out);
    return st;
}

void pf_named_values_clear(pf_named_values *values)
{
    pf_free(values->items);
    *values = (pf_named_values){ 0 };
}

pf_status pf_config_values(const pf_config *config, pf_config_key key, pf_named_values *out, pf_err *err)
{
    return parse_values("the build spec", pf_config_value(config, key), out, err);
}

pf_status pf_config_canonical_values(const char *key, const char *value, pf_buf *out, pf_err *err)
{
    pf_named_values values = { 0 };
    pf_status       st = parse_values(key, value, &values, err);

    for (uint32_t i = 0; i < values.count; i++)
        pf_buf_printf(out, "%s%s:%.17g", i ? "," : "", values.items[i].name, values.items[i].value);
    pf_named_values_clear(&values);
    return st || !out->failed ? st : PF_FAIL_MEMORY(err, strlen(value));
}
