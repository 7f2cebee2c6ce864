#include "coordinator/selector.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "coordinator/classes.h"

enum { DIGEST_PREFIX_MIN = 8, LINE_BYTES = 160 };

/* ---- class texts: "key=value" lines */

/* Keys of what is installed on a machine; all others are of the machine itself. */
static const char *const software[] = {
    "cublaslt", "cuda_driver", "cudnn", "kernels", "nvrtc", "onednn", "onednn_isa"
};

static bool is_software(const char *line)
{
    size_t bytes = strcspn(line, "=\n");

    for (size_t i = 0; i < sizeof software / sizeof software[0]; i++)
        if (strlen(software[i]) == bytes && memcmp(software[i], line, bytes) == 0)
            return true;
    return false;
}

static const char *next_line(const char *line)
{
    line += strcspn(line, "\n");
    return *line ? line + 1 : line;
}

static const char *skip_software(const char *line)
{
    while (*line && is_software(line))
        line = next_line(line);
    return line;
}

static bool same_line(const char *a, const char *b)
{
    size_t bytes = strcspn(a, "\n");

    return strcspn(b, "\n") == bytes && memcmp(a, b, bytes) == 0;
}

/* The first line of `of` about its machine that is not as in `other`; NULL when all are. */
static const char *hardware_difference(const char *of, const char *other)
{
    for (;;) {
        of = skip_software(of);
        other = skip_software(other);
        if (!*of && !*other)
            return NULL;
        if (!*of || !*other || !same_line(of, other))
            return of;
        of = next_line(of);
        other = next_line(other);
    }
}

/* Of texts that differ in software only: does a name the greater version where they first differ? */
static bool is_newer(const char *a, const char *b)
{
    char line_a[LINE_BYTES] = "", line_b[LINE_BYTES] = "";

    while (*a && *b && same_line(a, b)) {
        a = next_line(a);
        b = next_line(b);
    }
    snprintf(line_a, sizeof line_a, "%.*s", (int)strcspn(a, "\n"), a);
    snprintf(line_b, sizeof line_b, "%.*s", (int)strcspn(b, "\n"), b);
    return strverscmp(line_a, line_b) > 0;
}

/* ---- choosing */

static bool digest_begins(const pf_class *device_class, const char *prefix)
{
    char   hex[PF_DIGEST_HEX_BYTES] = "";
    size_t bytes = strlen(prefix);

    if (bytes < DIGEST_PREFIX_MIN || bytes >= sizeof hex)
        return false;
    pf_digest_to_hex(&device_class->digest, hex);
    return strncasecmp(hex, prefix, bytes) == 0;
}

/* How well the class fits: 3 by name, 2 by digest, 1 by alias, 0 not. */
static int fit(const pf_class *device_class, const char *selector)
{
    if (strcasecmp(device_class->name, selector) == 0)
        return 3;
    if (digest_begins(device_class, selector))
        return 2;
    for (uint32_t i = 0; i < device_class->aliases_count; i++)
        if (strcasecmp(device_class->alias[i], selector) == 0)
            return 1;
    return 0;
}

/* Greater is better; odd: with a live agent. */
static int rank_of(const pf_core *core, const char *selector, const pf_class *device_class)
{
    int fits = device_class->builder_abi ? fit(device_class, selector) : 0;

    return fits ? 2 * fits + pf_classes_alive(core, device_class) : 0;
}

static bool is_preferred(const pf_class *device_class, const pf_class *best)
{
    if (!hardware_difference(device_class->text->data, best->text->data))
        return is_newer(device_class->text->data, best->text->data);
    return device_class->seen_ns > best->seen_ns;
}

void pf_selector_offer(const pf_core *core, const char *selector, pf_class *device_class, pf_selection *selection)
{
    int rank = rank_of(core, selector, device_class);

    if (rank == 0 || rank < selection->rank || device_class == selection->best)
        return;
    if (rank > selection->rank) {
        *selection = (pf_selection){ .best = device_class, .rank = rank };
        return;
    }
    if (rank % 2 && hardware_difference(device_class->text->data, selection->best->text->data))
        selection->ambiguous = true;
    if (is_preferred(device_class, selection->best))
        selection->best = device_class;
}

pf_selection pf_selector_resolve(const pf_core *core, const char *selector)
{
    pf_selection selection = { 0 };

    for (uint32_t i = 0; i < core->classes_count; i++)
        pf_selector_offer(core, selector, core->class_list[i], &selection);
    return selection;
}

/* ---- explaining */

static uint32_t same_names(const pf_core *core, const char *selector, const pf_selection *selection, const char *name)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < core->classes_count; i++)
        count += rank_of(core, selector, core->class_list[i]) == selection->rank &&
                 strcasecmp(core->class_list[i]->name, name) == 0;
    return count;
}

/* Its name, or where others have the same name its digits and what sets it apart from one of them. */
static void describe(const pf_class *device_class, const pf_class *other, bool by_name, char *out, size_t capacity)
{
    const char *line = hardware_difference(device_class->text->data, other->text->data);
    char        hex[PF_DIGEST_HEX_BYTES] = "";

    pf_digest_to_hex(&device_class->digest, hex);
    if (by_name)
        snprintf(out, capacity, "%s", device_class->name);
    else if (line && *line)
        snprintf(out, capacity, "%.*s (%s with %.*s)", DIGEST_PREFIX_MIN, hex, device_class->name,
                 (int)strcspn(line, "\n"), line);
    else
        snprintf(out, capacity, "%.*s (%s)", DIGEST_PREFIX_MIN, hex, device_class->name);
}

void pf_selector_explain(const pf_core *core, const char *selector, const pf_selection *selection, char *out,
                         size_t capacity)
{
    const pf_class *first = NULL;
    size_t          used = (size_t)snprintf(out, capacity, "\"%s\" may mean ", selector);
    bool            more = false;

    for (uint32_t i = 0; i < core->classes_count && used < capacity; i++) {
        const pf_class *device_class = core->class_list[i], *other = first ? first : selection->best;
        char            text[LINE_BYTES + PF_CLASS_NAME_BYTES] = "";
        if (rank_of(core, selector, device_class) != selection->rank)
            continue;
        for (uint32_t k = i + 1; !first && k < core->classes_count; k++)
            if (rank_of(core, selector, core->class_list[k]) == selection->rank)
                other = core->class_list[k];
        describe(device_class, other, same_names(core, selector, selection, device_class->name) == 1, text,
                 sizeof text);
        used += (size_t)snprintf(out + used, capacity - used, "%s%s", more ? " or " : "", text);
        first = first ? first : device_class;
        more = true;
    }
    if (used < capacity)
        snprintf(out + used, capacity - used, "; say which, or name several with commas between");
}
