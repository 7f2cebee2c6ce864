#include "engine/einsum_terms.h"

#include <ctype.h>
#include <string.h>

#include "engine/ops/attrs.h"

static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

int32_t pf_einsum_place(const pf_einsum_term *term, char label)
{
    for (int32_t i = 0; i < term->count; i++)
        if (term->label[i] == label)
            return i;
    return -1;
}

bool pf_einsum_add(pf_einsum_term *term, char label)
{
    if (term->count == PF_MAX_RANK || pf_einsum_place(term, label) >= 0)
        return false;
    term->label[term->count++] = label;
    return true;
}

/* ---- Reading: terms end at ',', "->" and the end of the text */

static int32_t letters_of_term(const char *text)
{
    int32_t count = 0;

    for (; *text && *text != ',' && *text != '-'; text++)
        count += isalpha((unsigned char)*text) != 0;
    return count;
}

/* The letters that the text lacks, as many as there are dims behind dots, counted from the right. */
static bool add_dots(const char *text, int32_t count, pf_einsum_term *term)
{
    char    free_letters[PF_MAX_RANK] = { 0 };
    int32_t found = 0;

    for (const char *l = letters; *l && found < PF_MAX_RANK; l++)
        if (!strchr(text, *l))
            free_letters[found++] = *l;
    if (count < 0 || count > found)
        return false;
    for (int32_t i = count - 1; i >= 0; i--)
        if (!pf_einsum_add(term, free_letters[i]))
            return false;
    return true;
}

/* Reads a term and goes to what ends it. */
static bool read_term(const char *text, const char **at, int32_t dots, pf_einsum_terms *terms, pf_einsum_term *term)
{
    for (; **at && **at != ',' && **at != '-'; (*at)++) {
        if (**at == ' ')
            continue;
        if (!strncmp(*at, "...", 3)) {
            terms->dots = true;
            *at += 2;
            if (!add_dots(text, dots, term))
                return false;
        } else if (!isalpha((unsigned char)**at) || !pf_einsum_add(term, **at))
            return false;
    }
    return true;
}

bool pf_einsum_read(const pf_graph *graph, const pf_node *node, pf_einsum_terms *out)
{
    const char *text = ((const pf_einsum_attrs *)node->attrs)->equation, *at = text;
    int32_t     most = 0;

    *out = (pf_einsum_terms){ .inputs = (int32_t)node->in_count };
    if (!text || node->in_count > PF_EINSUM_INPUTS)
        return false;
    for (uint32_t i = 0; i < node->in_count; i++) {
        int32_t rank = graph->values[node->in[i]].shape.rank, dots = 0;

        if (i && *at++ != ',')
            return false;
        dots = rank - letters_of_term(at);
        if (!read_term(text, &at, dots, out, &out->in[i]) || out->in[i].count != rank)
            return false;
        most = dots > most ? dots : most;
    }
    if (strncmp(at, "->", 2))
        return false;
    at += 2;
    return read_term(text, &at, most, out, &out->out) && !*at;
}

/* ---- The rest */

static char *write_term(const pf_einsum_term *term, char *text)
{
    memcpy(text, term->label, (size_t)term->count);
    return text + term->count;
}

void pf_einsum_write(const pf_einsum_terms *terms, char *text)
{
    for (int32_t i = 0; i < terms->inputs; i++) {
        if (i)
            *text++ = ',';
        text = write_term(&terms->in[i], text);
    }
    *text++ = '-';
    *text++ = '>';
    *write_term(&terms->out, text) = 0;
}

pf_dim pf_einsum_dim(const pf_graph *graph, const pf_node *node, const pf_einsum_terms *terms, char label)
{
    for (int32_t i = 0; i < terms->inputs; i++) {
        int32_t d = pf_einsum_place(&terms->in[i], label);

        if (d >= 0 && graph->values[node->in[i]].shape.dim[d] != 1)
            return graph->values[node->in[i]].shape.dim[d];
    }
    return 1;
}
