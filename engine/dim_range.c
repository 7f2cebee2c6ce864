/* Bounds of dims. */
#include "base/divisor.h"
#include "engine/dim_private.h"

/* Intervals whose ends saturate at the ends of int64. */
typedef struct interval { int64_t least, greatest; } interval;
typedef struct bounds { const pf_dims *dims; const int64_t *low, *high; } bounds;

static int64_t saturate(__int128 value)
{
    return value > INT64_MAX ? INT64_MAX : value < INT64_MIN ? INT64_MIN : (int64_t)value;
}

static interval interval_of(const int64_t *corner, int count)
{
    interval out = { corner[0], corner[0] };

    for (int i = 1; i < count; i++) {
        out.least = corner[i] < out.least ? corner[i] : out.least;
        out.greatest = corner[i] > out.greatest ? corner[i] : out.greatest;
    }
    return out;
}

static interval multiply(interval a, interval b)
{
    int64_t corner[4] = { saturate((__int128)a.least * b.least), saturate((__int128)a.least * b.greatest),
                          saturate((__int128)a.greatest * b.least), saturate((__int128)a.greatest * b.greatest) };

    return interval_of(corner, 4);
}

static interval add(interval a, interval b)
{
    return (interval){ saturate((__int128)a.least + b.least), saturate((__int128)a.greatest + b.greatest) };
}

/* b is above 0; an end that saturated stands for everything beyond it. */
static int64_t divide_down(int64_t a, int64_t b)
{
    return a == INT64_MIN || a == INT64_MAX ? a : a / b - (a % b < 0);
}

static int64_t divide_up(int64_t a, int64_t b)
{
    return a == INT64_MIN || a == INT64_MAX ? a : a / b + (a % b > 0);
}

static interval floor_interval(interval a, interval b)
{
    if (b.least == 0)
        b.least = 1;            /* dividing by zero has no value */
    if (b.least < 1 || b.greatest < b.least) {
        int64_t reach = saturate((__int128)(a.greatest > -(__int128)a.least ? a.greatest : -(__int128)a.least));

        return (interval){ saturate(-(__int128)reach - 1), reach };
    }
    int64_t corner[4] = { divide_down(a.least, b.least), divide_down(a.least, b.greatest),
                          divide_down(a.greatest, b.least), divide_down(a.greatest, b.greatest) };
    return interval_of(corner, 4);
}

static bool range_dim(const bounds *from, pf_dim dim, interval *out);

static bool range_atom(const bounds *from, uint32_t index, interval *out)
{
    const dim_atom   *atom = &from->dims->atoms[index];
    const dim_symbol *symbol = &from->dims->symbols[atom->symbol];
    interval          a = { 0 }, b = { 0 };

    if (atom->kind == ATOM_SYMBOL) {
        *out = (interval){ from->low ? from->low[atom->symbol] : symbol->low,
                           from->high ? from->high[atom->symbol] : symbol->high };
        return true;
    }
    if (!range_dim(from, atom->a, &a) || !range_dim(from, atom->b, &b))
        return false;
    if (atom->kind == ATOM_FLOOR)
        *out = floor_interval(a, b);
    else if (atom->kind == ATOM_MIN)
        *out = (interval){ a.least < b.least ? a.least : b.least, a.greatest < b.greatest ? a.greatest : b.greatest };
    else
        *out = (interval){ a.least > b.least ? a.least : b.least, a.greatest > b.greatest ? a.greatest : b.greatest };
    return true;
}

static bool range_term(const bounds *from, const dim_term *term, interval *out)
{
    const dim_monomial *monomial = &from->dims->monomials[term->monomial];
    interval            product = { term->coefficient, term->coefficient };

    for (uint32_t i = 0; i < monomial->count; i++) {
        const dim_factor *factor = &from->dims->factors[monomial->first + i];
        interval          value = { 0 };

        if (!range_atom(from, factor->atom, &value))
            return false;
        for (uint32_t p = 0; p < factor->power; p++)
            product = multiply(product, value);
    }
    *out = product;
    return true;
}

/* The ends moved in to where k + n*g lies for a whole number n: a sum whose coefficients have the divisor g is nowhere
   else. */
static interval round_to_multiples(const dim_term *term, uint32_t count, interval in)
{
    int64_t  step = 0, offset = count && term[count - 1].monomial == 0 ? term[count - 1].coefficient : 0;
    __int128 least = (__int128)in.least - offset, greatest = (__int128)in.greatest - offset;

    for (uint32_t i = 0; i < count; i++)
        step = term[i].monomial == 0 ? step : pf_common_divisor(step, term[i].coefficient);
    if (step < 2)
        return in;
    if (in.least != INT64_MIN)
        in.least = saturate(offset + least + (step - least % step) % step);
    if (in.greatest != INT64_MAX)
        in.greatest = saturate(offset + greatest - (step + greatest % step) % step);
    return in;
}

static bool range_terms(const bounds *from, const dim_term *term, uint32_t count, interval *out)
{
    interval sum = { 0, 0 }, value = { 0 };

    for (uint32_t i = 0; i < count; i++) {
        if (!range_term(from, &term[i], &value))
            return false;
        sum = add(sum, value);
    }
    *out = round_to_multiples(term, count, sum);
    return true;
}

static bool range_dim(const bounds *from, pf_dim dim, interval *out)
{
    const dim_poly *poly = dim_is_poly(from->dims, dim) ? &from->dims->polys[dim_index(dim)] : NULL;

    if (pf_dim_is_number(dim)) {
        *out = (interval){ dim, dim };
        return true;
    }
    return poly && range_terms(from, &from->dims->terms[poly->first], poly->count, out);
}

/* ---- Sums of which one part takes back what another adds

   The ends of each term for itself say nothing of x - floor(x/2), since x is not the same at both.  But
   (e - d + 1)/d <= floor(e/d) <= e/d, and with that in its place d times the sum is at least x. */

/* A term that is a number times floor(e/d), d a number; else NULL. */
static const dim_atom *floor_of(const bounds *from, const dim_term *term)
{
    const dim_monomial *m = &from->dims->monomials[term->monomial];
    const dim_atom     *atom = m->degree == 1 ? &from->dims->atoms[from->dims->factors[m->first].atom] : NULL;

    return atom && atom->kind == ATOM_FLOOR && pf_dim_is_number(atom->b) && atom->b > 1 ? atom : NULL;
}

static bool have_common_term(const dim_work *a, const dim_work *b)
{
    for (uint32_t i = 0; i < a->count; i++)
        for (uint32_t j = 0; j < b->count; j++)
            if (a->at[i].monomial == b->at[j].monomial && a->at[i].monomial)
                return true;
    return false;
}

static void scale_by(dim_work *work, int64_t number)
{
    for (uint32_t i = 0; i < work->count; i++)
        work->bad |= __builtin_mul_overflow(work->at[i].coefficient, number, &work->at[i].coefficient);
}

/* d times the sum with e, and for one of the two bounds d - 1 less, in the place of term `at`'s d*floor(e/d).  0: it is
   no better than the sum itself; else d. */
static int64_t without_floor(const bounds *from, const dim_work *sum, uint32_t at, bool for_least, dim_work *out)
{
    const dim_atom *atom = floor_of(from, &sum->at[at]);
    dim_work        rest = *sum, inner, shift = { .count = 1 }, whole;
    int64_t         coefficient = sum->at[at].coefficient;

    if (!atom)
        return 0;
    rest.count--;
    for (uint32_t i = at; i < rest.count; i++)
        rest.at[i] = rest.at[i + 1];
    dim_work_load(from->dims, atom->a, &inner);
    if (!have_common_term(&rest, &inner))
        return 0;
    shift.at[0] = (dim_term){ 1 - atom->b, 0 };
    if ((coefficient > 0) == for_least) {
        dim_work_add(from->dims, &inner, &shift, &whole);
        inner = whole;
    }
    scale_by(&inner, coefficient);
    scale_by(&rest, atom->b);
    dim_work_add(from->dims, &rest, &inner, out);
    return out->bad ? 0 : atom->b;
}

/* *out: what is known of the sum before. */
static void narrow(const bounds *from, const dim_work *sum, int depth, interval *out)
{
    dim_work whole;

    for (uint32_t i = 0; i < 2 * sum->count && depth; i++) {
        bool     for_least = i % 2;
        interval found = { 0 };
        int64_t  d = without_floor(from, sum, i / 2, for_least, &whole);

        if (!d || !range_terms(from, whole.at, whole.count, &found))
            continue;
        narrow(from, &whole, depth - 1, &found);
        if (for_least && divide_up(found.least, d) > out->least)
            out->least = divide_up(found.least, d);
        if (!for_least && divide_down(found.greatest, d) < out->greatest)
            out->greatest = divide_down(found.greatest, d);
    }
    *out = round_to_multiples(sum->at, sum->count, *out);
}

/* Only of the dim itself: what is inside of others was made simpler when they were made. */
static bool narrow_range(const bounds *from, pf_dim dim, interval *out)
{
    enum { DEPTH = 2, TERMS = 8 };      /* bound the time */
    dim_work sum;

    if (!range_dim(from, dim, out))
        return false;
    dim_work_load(from->dims, dim, &sum);
    if (sum.count > 1 && sum.count <= TERMS)
        narrow(from, &sum, DEPTH, out);
    return true;
}

pf_status pf_dim_range(const pf_dims *dims, pf_dim dim, const int64_t *low, const int64_t *high, int64_t *least,
                       int64_t *greatest, pf_err *err)
{
    bounds   from = { dims, low, high };
    interval out = { 0 };

    *least = *greatest = 0;
    if (!narrow_range(&from, dim, &out))
        return PF_FAIL(err, PF_INVALID, "a dim is invalid: its expression overflowed or divided by zero");
    *least = out.least;
    *greatest = out.greatest;
    return PF_OK;
}

bool dim_own_range(const pf_dims *dims, pf_dim dim, int64_t *least, int64_t *greatest)
{
    return !pf_dim_range(dims, dim, NULL, NULL, least, greatest, NULL);
}

void pf_dims_symbol_range(pf_dims *dims, uint32_t symbol, int64_t *least, int64_t *greatest)
{
    pf_dim dim = pf_dims_symbol(dims, pf_dims_symbol_name(dims, symbol));

    if (pf_dim_range(dims, dim, NULL, NULL, least, greatest, NULL)) {
        *least = 1;
        *greatest = INT64_MAX;
    }
}

/* ---- Bounds of symbols */

static bool grows(const pf_dims *dims, pf_dim dim, uint32_t symbol);

static bool atom_grows(const pf_dims *dims, const dim_atom *atom, uint32_t symbol)
{
    if (atom->kind == ATOM_SYMBOL)
        return atom->symbol == symbol;
    if (atom->kind == ATOM_FLOOR)
        return pf_dim_is_number(atom->b) && atom->b > 0 && grows(dims, atom->a, symbol);
    return grows(dims, atom->a, symbol) && grows(dims, atom->b, symbol);
}

/* With the symbol alone, never falling. */
static bool grows(const pf_dims *dims, pf_dim dim, uint32_t symbol)
{
    const dim_poly *poly = dim_is_poly(dims, dim) ? &dims->polys[dim_index(dim)] : NULL;

    for (uint32_t i = 0; poly && i < poly->count; i++) {
        const dim_term     *term = &dims->terms[poly->first + i];
        const dim_monomial *m = &dims->monomials[term->monomial];

        if (m->degree && (m->degree > 1 || term->coefficient < 0 ||
                          !atom_grows(dims, &dims->atoms[dims->factors[m->first].atom], symbol)))
            return false;
    }
    return poly || pf_dim_is_number(dim);
}

static bool is_at_least(const pf_dims *dims, pf_dim dim, uint32_t symbol, int64_t value, int64_t least)
{
    int64_t bindings[PF_MAX_SYMBOLS] = { 0 }, found = 0;

    bindings[symbol] = value;
    return !pf_dim_eval(dims, dim, bindings, &found, NULL) && found >= least;
}

void pf_dims_need(pf_dims *dims, pf_dim dim, int64_t least)
{
    uint32_t symbol = 0;
    int64_t  low = 0, high = 0;

    while (symbol < dims->symbol_count && !pf_dim_uses(dims, dim, symbol))
        symbol++;
    if (symbol == dims->symbol_count || !grows(dims, dim, symbol))
        return;
    low = dims->symbols[symbol].low;
    high = dims->symbols[symbol].high < INT32_MAX ? dims->symbols[symbol].high : INT32_MAX;
    if (low < 1 || low > high || !is_at_least(dims, dim, symbol, high, least))
        return;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;

        if (is_at_least(dims, dim, symbol, middle, least))
            high = middle;
        else
            low = middle + 1;
    }
    dims->symbols[symbol].low = low;
}
