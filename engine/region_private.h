/* What the files that form regions share: the state, groups and regions as they are made, and how a group grows. */
#ifndef PF_ENGINE_REGION_PRIVATE_H
#define PF_ENGINE_REGION_PRIVATE_H

#include "engine/op.h"
#include "engine/region.h"

enum { PF_GROUP_NODES_LIMIT = 32 };

typedef struct pf_former {
    const pf_graph        *graph;
    const pf_device       *device;
    const pf_region_rules *rules;
    pf_regions            *out;
    pf_node_id            *order;       /* producers first */
    uint32_t               count;
    uint32_t              *position;    /* node -> place in order */
    bool                  *taken;       /* node -> is in a region */
} pf_former;

/* region_group.c */
void      pf_group_clear(pf_group *group);
pf_status pf_group_make(const pf_former *f, const pf_node_id *nodes, uint32_t count, bool with_problem, pf_group *out,
                        pf_err *err);
/* A group of these nodes, if they make a problem and some tactic takes it; *out is empty otherwise. */
pf_status pf_group_try(const pf_former *f, const pf_node_id *nodes, uint32_t count, pf_group *out, pf_err *err);
void      pf_region_clear(pf_region *region);
/* Adds a form of up to two groups to a region, taking the groups. */
pf_status pf_region_add_form(pf_region *region, pf_group *groups, uint32_t count, pf_err *err);
/* Puts a finished region into the list, or clears it. */
pf_status pf_region_emit(pf_former *f, pf_region *region, pf_err *err);
/* What cannot be made a problem (a sequence, a tensor of unknown rank) is left to the host. */
pf_status pf_region_emit_single(pf_former *f, pf_node_id node, pf_region_kind kind, pf_err *err);

/* region_walk.c: questions about the graph. Free is a node that is in no region yet; node may be PF_NONE there. */
pf_op_class      pf_former_class(const pf_former *f, pf_node_id node);
bool             pf_former_is_free_pointwise(const pf_former *f, pf_node_id node);
/* Moves and views: a kernel that computes addresses may take them in, on either side. */
bool             pf_former_is_free_mover(const pf_former *f, pf_node_id node);
bool             pf_former_same_shape(const pf_former *f, pf_value_id a, pf_value_id b);
/* The one node that reads the value; PF_NONE when none, several, or the world outside read it. */
pf_node_id       pf_former_only_reader(const pf_former *f, pf_value_id value);
bool             pf_former_contains(const pf_node_id *nodes, uint32_t count, pf_node_id node);
bool             pf_former_only_group_reads(const pf_former *f, pf_value_id value, const pf_node_id *nodes,
                                            uint32_t count);
bool             pf_former_outputs_stay(const pf_former *f, pf_node_id producer, const pf_node_id *nodes,
                                        uint32_t count);
/* A value that others read as well may be computed inside and handed out, when no way leads from those others back into
   the group. */
bool             pf_former_may_leave(const pf_former *f, pf_node_id producer, const pf_node_id *nodes, uint32_t count);
/* A reshape of an image that does not keep its channels: outside of a step it is a view of linear memory alone, inside
   the step may take the image as it lies. */
bool             pf_former_mixes_channels(const pf_former *f, pf_node_id node, const pf_shape *image);

/* What a group that grows looks for. */
typedef struct pf_growth {
    pf_node_id *nodes;          /* PF_GROUP_NODES_LIMIT + 1; the first is the last in order when the group has no
                                   anchor */
    uint32_t    count;
    bool       *refused;        /* node -> was tried in vain */
    bool        has_anchor;     /* then views join on their own, and shared values may leave */
} pf_growth;

/* region_grow.c: for qsort_r over nodes, with the former behind. */
int       pf_former_by_position(const void *a, const void *b, void *former);
/* Takes producers into *group, which g->nodes make, as long as a tactic takes the whole. */
pf_status pf_growth_run(pf_former *f, pf_growth *g, pf_group *group, pf_err *err);

/* region_order.c: regions of f->out, producers first, else by their last nodes.  Errors  INTERNAL, NO_SPACE. */
pf_status pf_regions_sort(pf_former *f, pf_err *err);

#endif
