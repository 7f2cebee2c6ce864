/* From chosen layouts and tactics to the tables of a plan. */
#ifndef PF_ENGINE_BUILDER_DRAFT_H
#define PF_ENGINE_BUILDER_DRAFT_H

#include "engine/formats.h"
#include "engine/plan_sink.h"
#include "engine/step_tries.h"

enum { PF_RANKED_MOST = 6 };     /* candidates of a step */

typedef struct pf_draft {
    const pf_formats *formats;          /* borrowed */
    pf_arena         *arena;            /* owned; texts and tables of plan */
    struct pf_plan    plan;             /* its tables, as the file will hold them */
    uint32_t          value_capacity, step_capacity, blob_capacity;
    uint32_t        (*value_of)[PF_FORMAT_STATES];      /* owned; value of the graph and layout (pf_format_state) ->
                                                           value of the plan, or PF_NONE */
    pf_value_id      *graph_value;      /* owned; value of the plan -> value of the graph; as long as value_capacity */
    uint32_t         *step_item;        /* owned; step -> item of the search; as long as step_capacity */
    uint32_t         *blob_before;      /* owned; blob -> an earlier one that may be the same, or PF_NONE; as long as
                                           blob_capacity */
    pf_map           *blob_of;          /* owned; hex digest of a sample -> the newest such blob */
} pf_draft;

/* Values, steps, inputs and outputs. Steps have their candidates, and no weights yet. */
pf_status pf_builder_draft(const pf_formats *formats, const pf_profile *profile, pf_draft *out, pf_err *err);
void      pf_builder_draft_clear(pf_draft *draft);
/* Makes entry, of the step's item, the step's choice, in place of the one it has; before packing. */
void      pf_builder_choose(pf_draft *draft, uint32_t step, const pf_timing_entry *entry);
/* The same; but where sizes vary the one it has stays behind, for those that entry does not take, while there are fewer
   than PF_RANKED_MOST. */
void      pf_builder_prefer(pf_draft *draft, uint32_t step, const pf_timing_entry *entry);
/* Memory for constants that are made to be packed, used again and again. */
typedef struct pf_pack_room { uint8_t *data; size_t capacity; } pf_pack_room;  /* data: owned */

/* builder_pack.c: the constant at an input of a step, as it is; pf_constant_forget when it is not needed any more. */
const pf_constant *pf_builder_constant(const pf_draft *draft, const pf_plan_step *step, uint32_t input);
/* A step's constants as `prepared` wants them.  packed: prepared->packed_bytes of zeros, aligned to
   PF_PLAN_ALIGNMENT, since padding inside must be the same in every build.  room NULL: constants that are made for it
   are kept for the next time. */
pf_status pf_builder_pack_constants(const pf_draft *draft, const pf_plan_step *step, const pf_problem *bound,
                                    const pf_step *prepared, pf_pack_room *room, void *packed, pf_err *err);
/* builder_pack.c: prepares each step at the usual shapes and packs its weights, or keeps them as they are where other
   shapes may need that; they go into sink, and what they were made of is not kept in memory when it is in a file. */
pf_status pf_builder_pack(pf_draft *draft, pf_device *device, pf_plan_sink *sink, const pf_step_tries *tries,
                          pf_err *err);

#endif
