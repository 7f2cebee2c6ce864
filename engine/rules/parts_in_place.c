/* What a concat joins is written where the whole lies, and a slice is read there: engine/formats_parts.c. */
#include "engine/rewrite.h"

const pf_rule pf_rule_parts_in_place = {
    .name = "parts_in_place", .summary = "write what a concat joins, and read slices, where the whole lies",
    .phase = PF_RULES_BUILD, .default_on = true,
};
