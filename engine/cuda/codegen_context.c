/* The state of an evaluation: what is known already, and the guards and inner loops that are open. */
#include <string.h>

#include "base/alloc.h"
#include "engine/cuda/codegen_expr.h"

void cg_context_init(cg_context *cg, const pf_problem *problem, pf_buf *body, int vector, pf_err *err)
{
    memset(cg, 0, sizeof *cg);
    cg->problem = problem;
    cg->body = body;
    cg->vector = vector;
    cg->err = err;
}

void cg_context_clear(cg_context *cg)
{
    pf_free(cg->memo);
    cg->memo = NULL;
    cg->memo_count = cg->memo_capacity = 0;
}

void cg_forget(cg_context *cg) { cg->memo_count = 0; }

static bool index_equal(const cg_index *a, const cg_index *b)
{
    return a->constant == b->constant && a->opaque == b->opaque && !memcmp(a->coef, b->coef, sizeof a->coef);
}

static bool point_equal(const cg_point *a, const cg_point *b)
{
    if (a->rank != b->rank || a->guard != b->guard) return false;
    for (int d = 0; d < a->rank; d++)
        if (!index_equal(&a->at[d], &b->at[d])) return false;
    return true;
}

int32_t cg_known(const cg_context *cg, pf_value_id value, const cg_point *point)
{
    for (uint32_t i = 0; i < cg->memo_count; i++)
        if (cg->memo[i].value == value && point_equal(&cg->memo[i].point, point)) return cg->memo[i].id;
    return 0;
}

bool cg_bind(cg_context *cg, pf_value_id value, const cg_point *point, int32_t id)
{
    if (pf_grow((void **)&cg->memo, &cg->memo_capacity, cg->memo_count + 1, sizeof *cg->memo)) return false;
    cg->memo[cg->memo_count++] = (cg_memo){ value, *point, id };
    return true;
}

/* Every lane of a thread is on the same side of `bound` when the index moves with the lanes in whole vectors, or not at
   all. */
static bool uniform_at(const cg_context *cg, const cg_index *index, int64_t bound)
{
    if (index->opaque) return false;
    if (!index->coef[cg->lane_var] || cg->vector == 1) return true;
    return cg_contiguous(cg, index) && bound % cg->vector == 0;
}

cg_point cg_guarded(cg_context *cg, const cg_point *point, const cg_index *index, int64_t low, int64_t high)
{
    cg_point at = *point;

    at.guard = ++cg->next_id;
    at.guard_uniform = (!point->guard || point->guard_uniform) && uniform_at(cg, index, low) &&
                       uniform_at(cg, index, high);
    pf_buf_printf(cg->body, "  bool g%d[V]; LANES { idx a = ", at.guard);
    cg_index_print(cg, index, "l", cg->body);
    pf_buf_printf(cg->body, "; g%d[l] = a >= %lld && a < %lld", at.guard, (long long)low, (long long)high);
    if (point->guard) pf_buf_printf(cg->body, " && g%d[l]", point->guard);
    pf_buf_printf(cg->body, "; }\n");
    return at;
}

bool cg_open_loop(cg_context *cg, int64_t count, cg_inner_loop *loop)
{
    if (cg->var_count == CG_VARS) return false;
    *loop = (cg_inner_loop){ cg->var_count++, cg->memo_count };
    cg->var_extent[loop->var] = count;
    pf_buf_printf(cg->body, "  for (idx i%d = 0; i%d < %lld; ++i%d) {\n", loop->var, loop->var, (long long)count,
                  loop->var);
    return true;
}

void cg_close_loop(cg_context *cg, const cg_inner_loop *loop)
{
    pf_buf_printf(cg->body, "  }\n");
    cg->memo_count = loop->known;
    cg->var_count--;
}
