/* A network rewritten in one way, with its regions and layouts.  Most rules never lose; where one may, the network is
   tried with and without it, and what costs less is built. */
#ifndef PF_ENGINE_BUILDER_VARIANT_H
#define PF_ENGINE_BUILDER_VARIANT_H

#include "engine/formats.h"
#include "engine/precision.h"
#include "engine/rewrite.h"

typedef struct pf_variant {     /* does not move: its parts point to each other */
    char             *disabled; /* owned; the rules that are off, comma-separated */
    pf_graph         *graph;    /* owned; rewritten, in the types that the build spec allows */
    pf_rewrite_report rewrites;
    pf_precision_care care;
    uint32_t          numerics; /* PF_NUMERICS_* of all problems */
    pf_regions        regions;
    pf_tail           tail;
    pf_formats        formats;
} pf_variant;

/* A copy of original, rewritten.  Off are the rules that the build spec names, or those that are off in `like`; `but`,
   when it is not NULL; and with effort 0 all that often lose. */
pf_status pf_variant_new(const pf_graph *original, const pf_config *config, const pf_device *device,
                         pf_precision_care care, const pf_variant *like, const pf_rule *but, pf_variant **out,
                         pf_err *err);
/* Whether the build spec lowers FP32 at all. */
bool      pf_variant_is_lowered(const pf_config *config);
void      pf_variant_free(pf_variant *variant);
/* Regions and tail.  profile covers the variant's graph and, like search, outlives it. */
pf_status pf_variant_form(pf_variant *variant, const pf_config *config, pf_device *device, const pf_profile *profile,
                          pf_err *err);
/* Layouts, by measured cost. */
pf_status pf_variant_choose(pf_variant *variant, const pf_profile *profile, pf_search *search, pf_err *err);
/* Did the rule, one that may lose, do anything? */
bool      pf_variant_may_do_without(const pf_variant *variant, uint32_t rule);

#endif
