/* The equation of an einsum, read: which labels its terms have. */
#ifndef PF_ENGINE_EINSUM_TERMS_H
#define PF_ENGINE_EINSUM_TERMS_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/graph.h"

enum { PF_EINSUM_INPUTS = 8, PF_EINSUM_TEXT_BYTES = (PF_EINSUM_INPUTS + 1) * (PF_MAX_RANK + 2) };

typedef struct pf_einsum_term { char label[PF_MAX_RANK]; int32_t count; } pf_einsum_term;
typedef struct pf_einsum_terms {
    pf_einsum_term in[PF_EINSUM_INPUTS], out;
    int32_t        inputs;
    bool           dots;        /* the text has "...", which became letters that it lacks */
} pf_einsum_terms;

/* Where the label stands in the term, or -1. */
int32_t pf_einsum_place(const pf_einsum_term *term, char label);
/* False: it is there already, or there is no room. */
bool    pf_einsum_add(pf_einsum_term *term, char label);
/* False: no "->", a label twice in a term, or terms that are not those of the node's inputs. */
bool    pf_einsum_read(const pf_graph *graph, const pf_node *node, pf_einsum_terms *out);
/* The equation as text, of at most PF_EINSUM_TEXT_BYTES. */
void    pf_einsum_write(const pf_einsum_terms *terms, char *text);
/* What the label counts: the dim of the first input that has it and is not of one, else one. */
pf_dim  pf_einsum_dim(const pf_graph *graph, const pf_node *node, const pf_einsum_terms *terms, char label);

#endif
