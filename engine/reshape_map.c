#include "engine/reshape_map.h"

static bool divides(pf_dims *dims, pf_dim part, pf_dim whole)
{
    return part != 0 && pf_dim_mul(dims, pf_dim_floor_div(dims, whole, part), part) == whole;
}

/* Grows the side that is smaller until both hold the same number of elements. */
static bool fill_group(pf_dims *dims, const pf_shape *from, const pf_shape *to, pf_reshape_group *group)
{
    pf_dim a = from->dim[group->from], b = to->dim[group->to];

    group->from_count = group->to_count = 1;
    while (a != b) {
        if (divides(dims, b, a) && group->to + group->to_count < to->rank)
            b = pf_dim_mul(dims, b, to->dim[group->to + group->to_count++]);
        else if (divides(dims, a, b) && group->from + group->from_count < from->rank)
            a = pf_dim_mul(dims, a, from->dim[group->from + group->from_count++]);
        else if (pf_dim_is_number(a) && pf_dim_is_number(b) && a > b && group->to + group->to_count < to->rank)
            b = pf_dim_mul(dims, b, to->dim[group->to + group->to_count++]);
        else if (pf_dim_is_number(a) && pf_dim_is_number(b) && a < b && group->from + group->from_count < from->rank)
            a = pf_dim_mul(dims, a, from->dim[group->from + group->from_count++]);
        else
            return false;
    }
    return a != PF_DIM_INVALID;
}

int32_t pf_reshape_groups(pf_dims *dims, const pf_shape *from, const pf_shape *to, pf_reshape_group *out)
{
    int32_t i = 0, j = 0, count = 0;

    while (i < from->rank || j < to->rank) {
        pf_reshape_group group = { .from = i, .to = j };
        bool             one_from = i < from->rank && from->dim[i] == 1, one_to = j < to->rank && to->dim[j] == 1;

        if (one_from && !one_to)
            group.from_count = 1;
        else if (one_to && !one_from)
            group.to_count = 1;
        else if (i == from->rank || j == to->rank || !fill_group(dims, from, to, &group))
            return 0;
        i += group.from_count;
        j += group.to_count;
        out[count++] = group;
    }
    return count;
}

/* The dims of a group follow each other in front of the transpose. */
static bool stays_together(const pf_shape *moved, const pf_ints *perm, const pf_reshape_group *group)
{
    int64_t last = -1;

    for (int32_t d = group->from; d < group->from + group->from_count; d++) {
        if (moved->dim[d] == 1)
            continue;
        if (last >= 0 && perm->at[d] != last + 1)
            return false;
        last = perm->at[d];
    }
    return true;
}

/* Where the group lies in front of the transpose: at its first dim that is not 1. */
static int64_t place_of(const pf_shape *moved, const pf_ints *perm, const pf_reshape_group *group)
{
    for (int32_t d = group->from; d < group->from + group->from_count; d++)
        if (moved->dim[d] != 1)
            return perm->at[d];
    return group->from_count ? perm->at[group->from] : PF_MAX_RANK;
}

/* Orders groups by where they lie there, and says which dim of the reshaped input each dim of the result is. */
static void plan(const pf_shape *moved, const pf_ints *perm, const pf_shape *to, const pf_reshape_group *groups,
                 int32_t count, pf_shape *shape, pf_ints *new_perm)
{
    bool done[PF_RESHAPE_GROUPS] = { false };

    shape->rank = 0;
    new_perm->count = to->rank;
    for (int32_t n = 0; n < count; n++) {
        int32_t next = -1;

        for (int32_t g = 0; g < count; g++)
            if (!done[g] && (next < 0 || place_of(moved, perm, &groups[g]) < place_of(moved, perm, &groups[next])))
                next = g;
        done[next] = true;
        for (int32_t d = groups[next].to; d < groups[next].to + groups[next].to_count; d++) {
            new_perm->at[d] = shape->rank;
            shape->dim[shape->rank++] = to->dim[d];
        }
    }
}

bool pf_reshape_before_transpose(pf_dims *dims, const pf_shape *moved, const pf_ints *perm, const pf_shape *to,
                                 pf_shape *shape, pf_ints *new_perm)
{
    pf_reshape_group groups[PF_RESHAPE_GROUPS];
    int32_t          count = pf_reshape_groups(dims, moved, to, groups);

    for (int32_t g = 0; g < count; g++)
        if (!stays_together(moved, perm, &groups[g]))
            return false;
    plan(moved, perm, to, groups, count, shape, new_perm);
    return count > 0;
}
