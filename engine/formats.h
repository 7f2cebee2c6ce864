/* Layouts for the whole graph, chosen by measured cost, the changes of layout between steps included.
   A unit is what becomes one step (a group of a region), or a view.  Each unit has options: layouts of its inputs and
   outputs that some tactic takes, with the time of the best one.  Where producer and consumer want different layouts a
   value is copied from one to the other, once per layout however many read it; such a copy is a problem like any other
   and costs what was measured, once an assignment that took it for a quick one has wanted it.  A layout is tried for a
   unit when one of its tactics wishes for it, or when a unit that does is reached through others that could keep it: so
   a transformer's tensors are not tried in the layouts of images.
   All of it together is a PBQP (engine/pbqp.h): its nodes are units, and values with several readers, whose states are
   the sets of layouts that they are kept in. */
#ifndef PF_ENGINE_FORMATS_H
#define PF_ENGINE_FORMATS_H

#include "engine/builder_tail.h"
#include "engine/search.h"

/* A value is in one layout and has a place in one wider value at most, so its layouts are told apart by kind, and by
   whether it lies in that place. */
enum { PF_FORMAT_STATES = 2 * PF_LAYOUT_COUNT };
static inline uint32_t pf_format_state(pf_layout layout)
{
    return (uint32_t)pf_layout_kind(layout) + (pf_layout_pitch(layout) ? (uint32_t)PF_LAYOUT_COUNT : 0);
}

typedef struct pf_format_option {
    pf_problem *problem;        /* owned; symbolic; NULL for a view, and where a concat, slice or transpose is one */
    pf_layout  *in, *out;       /* borrowed from the problem; owned for a view */
    uint32_t    item;           /* of the search; PF_NONE for a view */
} pf_format_option;

typedef struct pf_format_unit {
    const pf_group   *group;    /* borrowed from the regions; NULL for the copy of an output */
    bool              is_view;
    char             *name;     /* owned; the layer, for people */
    pf_value_id      *in, *out; /* borrowed from the group, or own_in */
    uint32_t          in_count, out_count;
    pf_value_id       own[2];   /* of the copy of an output: what is copied, and PF_NONE */
    uint32_t          output;   /* of the copy of an output: its place in tail->leaving; else PF_NONE */
    pf_format_option *options;  /* owned */
    uint32_t          option_count, option_capacity;
    uint32_t          chosen;
} pf_format_unit;

typedef struct pf_format_copy {
    pf_value_id value;
    pf_layout   from, to;
    pf_problem *problem;        /* owned; symbolic */
    uint32_t    item;
} pf_format_copy;

typedef struct pf_formats {
    const pf_graph   *graph;    /* borrowed, like the next four */
    const pf_profile *profile;
    pf_search        *search;
    const pf_regions *regions;  /* without those of the tail */
    const pf_tail    *tail;
    /* in an order in which producers come first, once chosen */
    pf_format_unit   *units;    uint32_t unit_count, unit_capacity;
    pf_format_copy   *copies;   uint32_t copy_count, copy_capacity;
    uint8_t          *wanted;   /* owned; by value: layouts, as bits, that some tactic near it wishes for */
    int64_t          *pitch;    /* owned; by value: channels of the wider value that it may lie in, 0: of none */
    bool             *placed;   /* owned; by value: it is a part of a concat without gaps, where that is in place */
    double            cost_ns;  /* of all units and copies */
    bool              exact;    /* no cheaper assignment exists among the options */
} pf_formats;

/* Enumerates, has everything timed, and chooses.
   Errors   BUILD_FAILED: no tactic computes a layer, with what each said; and those of pf_search_run. */
pf_status pf_formats_choose(const pf_graph *graph, const pf_profile *profile, const pf_regions *regions,
                            const pf_tail *tail, pf_search *search, pf_formats *out, pf_err *err);
void      pf_formats_clear(pf_formats *formats);

/* formats_side.c: of a problem that transposes inside, layouts in which it reads side by side what it writes side by
   side when its outputs lie in `layout`.  false: it does not, or there is no memory. */
bool      pf_formats_side_by_side(const pf_problem *problem, pf_layout layout, pf_layout *in, pf_layout *out);
/* formats_parts.c: does the transpose put no element elsewhere, in these layouts? */
bool      pf_formats_renames(const pf_graph *graph, const pf_node *transpose, pf_layout in, pf_layout out);

/* formats_parts.c: options of concats, slices and transposes become views where nothing need be moved. */
pf_status pf_formats_free_parts(pf_formats *formats, pf_err *err);
/* Does input `index` of a concat, in a layout that all share, lie in one piece in the output, or the output of a slice
   in its input?  And where. */
bool      pf_formats_part(const pf_graph *graph, pf_node_id node, pf_layout layout, uint32_t index,
                          uint64_t *offset_bytes);
/* formats_place.c: options of concats and slices along channels in which the parts lie in the whole with gaps, and of
   the steps round them. */
pf_status pf_formats_place(pf_formats *formats, pf_err *err);
/* The same as pf_formats_part for parts with gaps: kind is that of the whole, which gives the pitch. */
bool      pf_formats_channels(const pf_graph *graph, pf_node_id node, pf_layout kind, uint32_t index,
                              uint64_t *offset_bytes);
/* formats_assign.c: may values be copied into their places in wider ones, and out of them?  A card takes as long for
   that as for what is saved. */
bool      pf_formats_copies_to_places(const pf_formats *formats);
/* formats_units.c: the node of a unit that is just this one node, of that op; else NULL. */
const pf_node *pf_formats_only_node(const pf_formats *formats, const pf_format_unit *unit, pf_op_kind op);
/* formats_units.c: an option that is no step and costs nothing: all inputs in one layout, the output in the other. */
pf_status pf_formats_add_free_option(pf_format_unit *unit, pf_layout in, pf_layout out, pf_err *err);
/* formats_units.c: does some tactic besides oracles take the unit's problem in these layouts? */
bool      pf_formats_takes(const pf_formats *formats, const pf_format_unit *unit, const pf_layout *in,
                           const pf_layout *out);
/* formats_units.c: one more option where some tactic takes these layouts. */
pf_status pf_formats_try_option(pf_formats *formats, pf_format_unit *unit, const pf_layout *in, const pf_layout *out,
                                pf_err *err);
/* formats_assign.c: layouts and copies. */
pf_status pf_formats_assign(pf_formats *formats, pf_err *err);

/* The region's value that a view or chain of views starts from. */
pf_value_id pf_formats_view_root(const pf_graph *graph, pf_value_id value);
/* formats_parts.c: is it, or a view of it, an output of the network? */
bool        pf_formats_leaves(const pf_formats *formats, pf_value_id value);

#endif
