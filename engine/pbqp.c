#include "engine/pbqp.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"

enum { NO_STATE = UINT32_MAX };

typedef struct node {
    double   *costs;            /* owned */
    uint32_t  state_count;
    uint32_t *edges;            /* owned; edges removed from the graph are taken out */
    uint32_t  degree, capacity;
    bool      removed;
    uint32_t  fixed;            /* the state that the heuristic gave it, or NO_STATE */
    uint32_t  kept[2];          /* the edges it had when it was removed: degree 2 at most, unless fixed */
    uint32_t  kept_count;
} node;

typedef struct edge {
    uint32_t a, b;
    double  *costs;             /* owned; a's states by b's */
} edge;

struct pf_pbqp {
    node    *nodes;
    edge    *edges;
    uint32_t node_count, node_capacity, edge_count, edge_capacity;
};

pf_pbqp *pf_pbqp_new(void)
{
    return pf_calloc(1, sizeof(pf_pbqp));
}

void pf_pbqp_free(pf_pbqp *problem)
{
    if (!problem)
        return;
    for (uint32_t i = 0; i < problem->node_count; i++) {
        pf_free(problem->nodes[i].costs);
        pf_free(problem->nodes[i].edges);
    }
    for (uint32_t i = 0; i < problem->edge_count; i++)
        pf_free(problem->edges[i].costs);
    pf_free(problem->nodes);
    pf_free(problem->edges);
    pf_free(problem);
}

static double *copy_costs(const double *costs, size_t count)
{
    double *copy = pf_calloc(count, sizeof *copy);

    if (copy)
        memcpy(copy, costs, count * sizeof *copy);
    return copy;
}

pf_status pf_pbqp_add_node(pf_pbqp *problem, const double *costs, uint32_t state_count, uint32_t *index, pf_err *err)
{
    node *added = NULL;

    *index = 0;
    if (!state_count)
        return PF_FAIL(err, PF_INTERNAL, "a node without states cannot be assigned");
    if (pf_grow((void **)&problem->nodes, &problem->node_capacity, problem->node_count + 1, sizeof *problem->nodes))
        return PF_FAIL_MEMORY(err, (problem->node_count + 1) * sizeof *problem->nodes);
    added = &problem->nodes[problem->node_count];
    *added = (node){ .state_count = state_count, .fixed = NO_STATE };
    added->costs = copy_costs(costs, state_count);
    if (!added->costs)
        return PF_FAIL_MEMORY(err, state_count * sizeof *costs);
    *index = problem->node_count++;
    return PF_OK;
}

static uint32_t edge_between(const pf_pbqp *p, uint32_t a, uint32_t b)
{
    const node *n = &p->nodes[a];

    for (uint32_t i = 0; i < n->degree; i++) {
        const edge *e = &p->edges[n->edges[i]];

        if ((e->a == a && e->b == b) || (e->a == b && e->b == a))
            return n->edges[i];
    }
    return UINT32_MAX;
}

/* Cost of edge e when node n is in state i and the other end in state j. */
static double *cell(const pf_pbqp *p, const edge *e, uint32_t n, uint32_t i, uint32_t j)
{
    uint32_t width = p->nodes[e->b].state_count;

    return e->a == n ? &e->costs[(size_t)i * width + j] : &e->costs[(size_t)j * width + i];
}

static uint32_t other_end(const edge *e, uint32_t n)
{
    return e->a == n ? e->b : e->a;
}

static bool attach(node *n, uint32_t e)
{
    if (pf_grow((void **)&n->edges, &n->capacity, n->degree + 1, sizeof *n->edges))
        return false;
    n->edges[n->degree++] = e;
    return true;
}

static void detach(node *n, uint32_t e)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < n->degree; i++)
        if (n->edges[i] != e)
            n->edges[kept++] = n->edges[i];
    n->degree = kept;
}

static void add_costs(pf_pbqp *p, uint32_t existing, uint32_t a, const double *costs)
{
    edge    *e = &p->edges[existing];
    uint32_t other = other_end(e, a);
    uint32_t width = p->nodes[other].state_count;

    for (uint32_t i = 0; i < p->nodes[a].state_count; i++)
        for (uint32_t j = 0; j < width; j++)
            *cell(p, e, a, i, j) += costs[(size_t)i * width + j];
}

pf_status pf_pbqp_add_edge(pf_pbqp *p, uint32_t a, uint32_t b, const double *costs, pf_err *err)
{
    uint32_t existing = edge_between(p, a, b);
    size_t   count = (size_t)p->nodes[a].state_count * p->nodes[b].state_count;
    double  *copy = NULL;

    if (a == b)
        return PF_FAIL(err, PF_INTERNAL, "node %u has an edge to itself", a);
    if (existing != UINT32_MAX) {
        add_costs(p, existing, a, costs);
        return PF_OK;
    }
    if (pf_grow((void **)&p->edges, &p->edge_capacity, p->edge_count + 1, sizeof *p->edges))
        return PF_FAIL_MEMORY(err, (p->edge_count + 1) * sizeof *p->edges);
    copy = copy_costs(costs, count);
    if (!copy || !attach(&p->nodes[a], p->edge_count) || !attach(&p->nodes[b], p->edge_count)) {
        pf_free(copy);
        detach(&p->nodes[a], p->edge_count);
        return PF_FAIL_MEMORY(err, count * sizeof *costs);
    }
    p->edges[p->edge_count++] = (edge){ a, b, copy };
    return PF_OK;
}

/* What node n in state i costs at least with whatever the other end of e then does. */
static double cheapest_over(const pf_pbqp *p, const edge *e, uint32_t n, uint32_t i)
{
    const node *other = &p->nodes[other_end(e, n)];
    double      best = INFINITY;

    for (uint32_t j = 0; j < other->state_count; j++)
        best = fmin(best, *cell(p, e, n, i, j) + other->costs[j]);
    return best;
}

static void take_out(pf_pbqp *p, uint32_t n)
{
    node *gone = &p->nodes[n];

    for (uint32_t i = 0; i < gone->degree; i++)
        detach(&p->nodes[other_end(&p->edges[gone->edges[i]], n)], gone->edges[i]);
    gone->kept_count = gone->degree < 2 ? gone->degree : 2;
    for (uint32_t i = 0; i < gone->kept_count; i++)
        gone->kept[i] = gone->edges[i];
    gone->degree = 0;
    gone->removed = true;
}

/* Degree 1: the neighbour's states take over what n adds at best. */
static void remove_leaf(pf_pbqp *p, uint32_t n)
{
    const edge *e = &p->edges[p->nodes[n].edges[0]];
    uint32_t    m = other_end(e, n);

    for (uint32_t j = 0; j < p->nodes[m].state_count; j++) {
        double best = INFINITY;

        for (uint32_t i = 0; i < p->nodes[n].state_count; i++)
            best = fmin(best, p->nodes[n].costs[i] + *cell(p, e, n, i, j));
        p->nodes[m].costs[j] += best;
    }
    take_out(p, n);
}

/* Degree 2: an edge between the two neighbours takes over. */
static pf_status remove_between(pf_pbqp *p, uint32_t n, pf_err *err)
{
    const edge *to_a = &p->edges[p->nodes[n].edges[0]], *to_b = &p->edges[p->nodes[n].edges[1]];
    uint32_t    a = other_end(to_a, n), b = other_end(to_b, n);
    uint32_t    width = p->nodes[b].state_count;
    double     *costs = pf_calloc((size_t)p->nodes[a].state_count * width, sizeof *costs);
    pf_status   st = PF_OK;

    if (!costs)
        return PF_FAIL_MEMORY(err, (size_t)p->nodes[a].state_count * width * sizeof *costs);
    for (uint32_t i = 0; i < p->nodes[a].state_count; i++)
        for (uint32_t j = 0; j < width; j++) {
            double best = INFINITY;

            for (uint32_t s = 0; s < p->nodes[n].state_count; s++)
                best = fmin(best, p->nodes[n].costs[s] + *cell(p, to_a, n, s, i) + *cell(p, to_b, n, s, j));
            costs[(size_t)i * width + j] = best;
        }
    take_out(p, n);
    st = pf_pbqp_add_edge(p, a, b, costs, err);
    pf_free(costs);
    return st;
}

/* Degree 3 and more: the state that looks cheapest from here; the neighbours pay their edges to it. */
static void fix_state(pf_pbqp *p, uint32_t n)
{
    node  *fixed = &p->nodes[n];
    double best = INFINITY;

    fixed->fixed = 0;
    for (uint32_t i = 0; i < fixed->state_count; i++) {
        double cost = fixed->costs[i];

        for (uint32_t k = 0; k < fixed->degree; k++)
            cost += cheapest_over(p, &p->edges[fixed->edges[k]], n, i);
        if (cost < best) {
            best = cost;
            fixed->fixed = i;
        }
    }
    for (uint32_t k = 0; k < fixed->degree; k++) {
        const edge *e = &p->edges[fixed->edges[k]];
        node       *other = &p->nodes[other_end(e, n)];

        for (uint32_t j = 0; j < other->state_count; j++)
            other->costs[j] += *cell(p, e, n, fixed->fixed, j);
    }
    take_out(p, n);
}

/* The node to remove next: the lowest of degree 0, 1 or 2 or without a choice, else the one with most edges. */
static uint32_t next_node(const pf_pbqp *p)
{
    uint32_t best = UINT32_MAX;

    for (uint32_t n = 0; n < p->node_count; n++) {
        if (p->nodes[n].removed)
            continue;
        if (p->nodes[n].degree <= 2 || p->nodes[n].state_count == 1)
            return n;
        if (best == UINT32_MAX || p->nodes[n].degree > p->nodes[best].degree)
            best = n;
    }
    return best;
}

static pf_status reduce(pf_pbqp *p, uint32_t *removed, bool *exact, pf_err *err)
{
    pf_status st = PF_OK;

    for (uint32_t i = 0; i < p->node_count && !st; i++) {
        uint32_t n = next_node(p);

        removed[i] = n;
        if (p->nodes[n].degree == 0)
            take_out(p, n);
        else if (p->nodes[n].degree == 1)
            remove_leaf(p, n);
        else if (p->nodes[n].degree == 2)
            st = remove_between(p, n, err);
        else {
            *exact &= p->nodes[n].state_count == 1;
            fix_state(p, n);
        }
    }
    return st;
}

static uint32_t best_state(const pf_pbqp *p, uint32_t n, const uint32_t *states)
{
    const node *self = &p->nodes[n];
    double      best = INFINITY;
    uint32_t    chosen = 0;

    if (self->fixed != NO_STATE)
        return self->fixed;
    for (uint32_t i = 0; i < self->state_count; i++) {
        double cost = self->costs[i];

        for (uint32_t k = 0; k < self->kept_count; k++) {
            const edge *e = &p->edges[self->kept[k]];

            cost += *cell(p, e, n, i, states[other_end(e, n)]);
        }
        if (cost < best) {
            best = cost;
            chosen = i;
        }
    }
    return chosen;
}

static pf_status clone(const pf_pbqp *from, pf_pbqp **out, pf_err *err)
{
    pf_pbqp  *copy = pf_pbqp_new();
    pf_status st = copy ? PF_OK : PF_FAIL_MEMORY(err, sizeof *copy);
    uint32_t  index = 0;

    for (uint32_t i = 0; i < from->node_count && !st; i++)
        st = pf_pbqp_add_node(copy, from->nodes[i].costs, from->nodes[i].state_count, &index, err);
    for (uint32_t i = 0; i < from->edge_count && !st; i++)
        st = pf_pbqp_add_edge(copy, from->edges[i].a, from->edges[i].b, from->edges[i].costs, err);
    *out = copy;
    return st;
}

pf_status pf_pbqp_solve(const pf_pbqp *problem, uint32_t *states, bool *exact, pf_err *err)
{
    pf_pbqp  *work = NULL;
    uint32_t *removed = pf_calloc(problem->node_count + 1, sizeof *removed);
    bool      is_exact = true;
    pf_status st = removed ? clone(problem, &work, err)
                           : PF_FAIL_MEMORY(err, (problem->node_count + 1) * sizeof *removed);

    if (!st)
        st = reduce(work, removed, &is_exact, err);
    if (st)
        goto out;
    for (uint32_t i = problem->node_count; i-- > 0;)
        states[removed[i]] = best_state(work, removed[i], states);
    if (isinf(pf_pbqp_cost(problem, states)))
        st = PF_FAIL(err, PF_INVALID, "no allowed assignment was found among %u nodes", problem->node_count);
    if (exact)
        *exact = is_exact;
out:
    pf_free(removed);
    pf_pbqp_free(work);
    return st;
}

double pf_pbqp_cost(const pf_pbqp *p, const uint32_t *states)
{
    double cost = 0;

    for (uint32_t i = 0; i < p->node_count; i++)
        cost += p->nodes[i].costs[states[i]];
    for (uint32_t i = 0; i < p->edge_count; i++)
        cost += *cell(p, &p->edges[i], p->edges[i].a, states[p->edges[i].a], states[p->edges[i].b]);
    return cost;
}
