#include "engine/ops/regex.h"

#include <string.h>

#include "base/buf.h"

enum { PATTERN_LIMIT = 1 << 16 };

/* Classes that may stand inside of brackets. */
static const char *class_of(char c)
{
    switch (c) {
    case 'w': return "[:alnum:]_";
    case 'd': return "[:digit:]";
    case 's': return "[:space:]";
    default:  return NULL;
    }
}

/* A bracket: POSIX has no backslash there.  '-' and ']' that were escaped go where they mean themselves. */
static const char *translate_bracket(const char *p, pf_buf *out)
{
    bool   minus = false;
    pf_buf inside;

    pf_buf_init(&inside, PATTERN_LIMIT);
    pf_buf_printf(out, "[");
    if (*p == '^')
        pf_buf_put(out, p++, 1);
    for (bool first = true; *p && (*p != ']' || first); p++, first = false) {
        if (*p != '\\' || !p[1]) {
            pf_buf_put(&inside, p, 1);
            continue;
        }
        p++;
        if (*p == '-')
            minus = true;
        else if (*p == ']')
            pf_buf_put(out, p, 1);
        else if (class_of(*p))
            pf_buf_printf(&inside, "%s", class_of(*p));
        else
            pf_buf_put(&inside, p, 1);
    }
    pf_buf_put(out, inside.size ? inside.data : (const void *)"", inside.size);
    pf_buf_printf(out, minus ? "-]" : "]");
    pf_buf_clear(&inside);
    return *p ? p + 1 : p;
}

static const char *translate_escape(const char *p, pf_buf *out)
{
    if (*p == 'd')
        pf_buf_printf(out, "[0-9]");
    else if (*p == 'D')
        pf_buf_printf(out, "[^0-9]");
    else if (*p == 'A' || *p == 'z')
        return p + 1;           /* the ends, which are there anyway */
    else
        pf_buf_printf(out, "\\%c", *p);
    return p + 1;
}

static pf_status translate(const char *p, pf_buf *out, pf_err *err)
{
    pf_buf_printf(out, "^(");
    while (*p) {
        if (*p == '\\' && p[1]) {
            p = translate_escape(p + 1, out);
        } else if (*p == '[') {
            p = translate_bracket(p + 1, out);
        } else if (*p == '(' && p[1] == '?') {
            if (p[2] != ':')
                return PF_FAIL(err, PF_UNSUPPORTED, "the regular expression has \"(?%c\"", p[2]);
            pf_buf_printf(out, "(");
            p += 3;
        } else {
            pf_buf_put(out, p, 1);
            if (strchr("*+?}", *p) && p[1] == '?')
                p++;            /* reluctant or not makes no difference to a whole match */
            p++;
        }
    }
    pf_buf_printf(out, ")$");
    return out->failed ? PF_FAIL(err, PF_UNSUPPORTED, "the regular expression is too long") : PF_OK;
}

pf_status pf_regex_compile(const char *pattern, regex_t *out, pf_err *err)
{
    pf_buf    text;
    pf_status st = PF_OK;
    int       error = 0;

    pf_buf_init(&text, PATTERN_LIMIT);
    st = translate(pattern, &text, err);
    if (!st) {
        error = regcomp(out, (const char *)text.data, REG_EXTENDED | REG_NOSUB);
        if (error)
            st = PF_FAIL(err, PF_INVALID, "'%.100s' is not a regular expression", pattern);
    }
    pf_buf_clear(&text);
    return st;
}
