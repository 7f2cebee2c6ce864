/* Division of polynomials, and minimum and maximum.
   With one divisor b the rest r of a = q*b + r is unique once a monomial order is fixed (Cox, Little, O'Shea: Ideals,
   Varieties and Algorithms, section 2.3); over the integers its coefficients at multiples of b's leading monomial are
   taken in [0, leading coefficient).  Then floor(a/b) = q + floor(r/b), because q has integer values.  Of numbers b the
   coefficients in r then come to lie in (-b/2, b/2], the leading one above 0: unique, too. */
#include "base/divisor.h"
#include "engine/dim_private.h"

static int64_t floor_number(int64_t a, int64_t b)
{
    int64_t quotient = a / b;

    return a % b && (a < 0) != (b < 0) ? quotient - 1 : quotient;
}

/* Takes the leading term of *rest: as a multiple of b into q, what is left of it into r. */
static void divide_step(pf_dims *dims, const dim_work *b, dim_work *rest, dim_work *q, dim_work *r)
{
    dim_term lead = rest->at[0];
    uint32_t monomial = dim_monomial_divide(dims, lead.monomial, b->at[0].monomial);
    int64_t  factor = monomial == UINT32_MAX ? 0 : floor_number(lead.coefficient, b->at[0].coefficient);
    dim_work product, next;

    if (factor) {
        dim_work_scale(dims, b, (dim_term){ -factor, monomial }, &product);
        dim_work_add(dims, rest, &product, &next);
        *rest = next;
        q->bad |= q->count == DIM_TERM_LIMIT;
        if (!q->bad)
            q->at[q->count++] = (dim_term){ factor, monomial };
    }
    if (rest->count && rest->at[0].monomial == lead.monomial) {
        r->at[r->count++] = rest->at[0];             /* fits: r never has more terms than rest had */
        product = (dim_work){ .count = 1, .at = { { -rest->at[0].coefficient, lead.monomial } } };
        dim_work_add(dims, rest, &product, &next);
        *rest = next;
    }
}

static void divide(pf_dims *dims, const dim_work *a, const dim_work *b, dim_work *q, dim_work *r)
{
    dim_work rest = *a;

    q->count = r->count = 0;
    q->bad = r->bad = rest.bad;
    while (rest.count && !rest.bad && !q->bad && r->count < DIM_TERM_LIMIT)
        divide_step(dims, b, &rest, q, r);
    q->bad |= rest.bad || rest.count;
}

/* What divides every term of both: numbers first, then powers of atoms. */
static int64_t common_number(const dim_work *a, const dim_work *b)
{
    int64_t common = 0;

    for (uint32_t i = 0; i < a->count; i++)
        common = pf_common_divisor(common, a->at[i].coefficient);
    for (uint32_t i = 0; i < b->count; i++)
        common = pf_common_divisor(common, b->at[i].coefficient);
    return common;
}

static uint32_t power_in(const pf_dims *dims, uint32_t monomial, uint32_t atom)
{
    const dim_monomial *m = &dims->monomials[monomial];

    for (uint32_t i = 0; i < m->count; i++)
        if (dims->factors[m->first + i].atom == atom)
            return dims->factors[m->first + i].power;
    return 0;
}

static void lower_power(const pf_dims *dims, const dim_work *work, dim_factor *factor)
{
    for (uint32_t i = 0; i < work->count; i++) {
        uint32_t power = power_in(dims, work->at[i].monomial, factor->atom);

        factor->power = power < factor->power ? power : factor->power;
    }
}

static uint32_t common_monomial(pf_dims *dims, const dim_work *a, const dim_work *b)
{
    const dim_monomial *first = &dims->monomials[b->at[0].monomial];
    dim_factor          common[DIM_FACTOR_LIMIT];
    uint32_t            count = 0;

    for (uint32_t i = 0; i < first->count; i++) {
        common[count] = dims->factors[first->first + i];
        lower_power(dims, a, &common[count]);
        lower_power(dims, b, &common[count]);
        count += common[count].power > 0;
    }
    return dim_intern_monomial(dims, common, count);
}

static void divide_terms(pf_dims *dims, dim_work *work, int64_t number, uint32_t monomial)
{
    for (uint32_t i = 0; i < work->count; i++) {
        work->at[i].coefficient /= number;
        work->at[i].monomial = dim_monomial_divide(dims, work->at[i].monomial, monomial);
        work->bad |= work->at[i].monomial == UINT32_MAX;
    }
}

static void cancel_common(pf_dims *dims, dim_work *a, dim_work *b)
{
    int64_t  number = common_number(a, b);
    uint32_t monomial = common_monomial(dims, a, b);

    if (monomial == UINT32_MAX) {
        a->bad = true;
        return;
    }
    divide_terms(dims, a, number, monomial);
    divide_terms(dims, b, number, monomial);
}

static bool is_number(const dim_work *work) { return work->count == 1 && work->at[0].monomial == 0; }

/* floor((g*x + c) / (g*n)) = floor((x + floor(c/g)) / n) for a number n. */
static void cancel_constant(dim_work *a, dim_work *b)
{
    int64_t common = 0;
    bool    has_constant = a->count && a->at[a->count - 1].monomial == 0;
    uint32_t count = a->count - has_constant;

    if (!is_number(b) || !has_constant || !count)
        return;
    common = b->at[0].coefficient;
    for (uint32_t i = 0; i < count; i++)
        common = pf_common_divisor(common, a->at[i].coefficient);
    for (uint32_t i = 0; i < count; i++)
        a->at[i].coefficient /= common;
    a->at[count].coefficient = floor_number(a->at[count].coefficient, common);
    a->count -= a->at[count].coefficient == 0;
    b->at[0].coefficient /= common;
}

/* floor((floor(x/m) + c) / n) = floor((x + c*m) / (m*n)) for numbers m, n > 0. INVALID when a is not of that form. */
static pf_dim merge_nested(pf_dims *dims, const dim_work *a, const dim_work *b)
{
    const dim_monomial *m = a->count ? &dims->monomials[a->at[0].monomial] : NULL;
    const dim_atom     *atom = NULL;
    int64_t             shift = 0;
    pf_dim              inner = 0, divisor = 0;

    if (!is_number(b) || !m || m->count != 1 || m->degree != 1 || a->at[0].coefficient != 1 || a->count > 2)
        return PF_DIM_INVALID;
    atom = &dims->atoms[dims->factors[m->first].atom];
    if (atom->kind != ATOM_FLOOR || !pf_dim_is_number(atom->b) || atom->b <= 0 ||
        (a->count == 2 && a->at[1].monomial != 0))
        return PF_DIM_INVALID;
    shift = a->count == 2 ? a->at[1].coefficient : 0;
    inner = atom->a;
    divisor = atom->b;
    return pf_dim_floor_div(dims, pf_dim_add(dims, inner, pf_dim_mul(dims, shift, divisor)),
                            pf_dim_mul(dims, divisor, b->at[0].coefficient));
}

/* 0 or -1 when the bounds of the symbols say that r lies in [0, b) or in [-b, 0). */
static bool known_quotient(pf_dims *dims, pf_dim r, pf_dim b, pf_dim *out)
{
    int64_t least = 0, greatest = 0, unused = 0, least_b = 0, edge = 0;

    if (!dim_own_range(dims, r, &least, &greatest) || !dim_own_range(dims, b, &least_b, &unused) || least_b < 0)
        return false;
    if (least >= 0 && dim_own_range(dims, pf_dim_sub(dims, r, b), &unused, &edge) && edge < 0)
        return *out = 0, true;
    if (greatest < 0 && dim_own_range(dims, pf_dim_add(dims, r, b), &edge, &unused) && edge >= 0)
        return *out = -1, true;
    return false;
}

static pf_dim dim_of(pf_dims *dims, int64_t coefficient, uint32_t monomial)
{
    const dim_work term = { .count = 1, .at = { { coefficient, monomial } } };

    return dim_work_store(dims, &term);
}

/* Coefficients in [0, n) come to lie in (-n/2, n/2], and what that takes from r/n is added to *whole. */
static void balance(pf_dims *dims, dim_work *r, int64_t n, pf_dim *whole)
{
    for (uint32_t i = 0; i < r->count && r->at[i].monomial; i++) {
        int64_t taken = r->at[i].coefficient > n / 2 ? 1 : 2 * r->at[i].coefficient == -n ? -1 : 0;

        r->at[i].coefficient -= taken * n;
        *whole = pf_dim_add(dims, *whole, taken ? dim_of(dims, taken, r->at[i].monomial) : 0);
    }
}

/* floor(r/n) = -floor((-r + n - 1)/n), with a constant in [0, n) on either side. */
static void negate(dim_work *r, int64_t n)
{
    if (r->at[r->count - 1].monomial) {
        r->bad |= r->count == DIM_TERM_LIMIT;
        if (r->bad)
            return;
        r->at[r->count++] = (dim_term){ 0, 0 };
    }
    for (uint32_t i = 0; i < r->count; i++)
        r->at[i].coefficient = -r->at[i].coefficient;
    r->at[r->count - 1].coefficient += n - 1;
    r->count -= r->at[r->count - 1].coefficient == 0;
}

/* floor(r/b) where nothing cancels any more. */
static pf_dim floor_atom(pf_dims *dims, const dim_work *r, const dim_work *b)
{
    pf_dim numerator = dim_work_store(dims, r), divisor = dim_work_store(dims, b), known = 0;

    if (numerator == PF_DIM_INVALID || divisor == PF_DIM_INVALID)
        return PF_DIM_INVALID;
    if (known_quotient(dims, numerator, divisor, &known))
        return known;
    if (divisor == 1)
        return numerator;
    known = merge_nested(dims, r, b);
    return known != PF_DIM_INVALID ? known : dim_intern_atom(dims, ATOM_FLOOR, numerator, divisor);
}

/* floor(r/b) of a reduced rest that is not 0.  With a number n below, 6*x/7 is x - (x + 6)/7: what is rounded up to a
   multiple of 7 is one term, 7*floor((x + 6)/7), instead of 7*x - 7*floor(6*x/7). */
static pf_dim floor_rest(pf_dims *dims, dim_work *r, dim_work *b)
{
    pf_dim  whole = 0;
    int64_t n = 0;

    cancel_common(dims, r, b);
    cancel_constant(r, b);
    n = is_number(b) ? b->at[0].coefficient : 1;
    if (r->bad || n < 2 || !r->count || !r->at[0].monomial)
        return floor_atom(dims, r, b);
    balance(dims, r, n, &whole);
    if (r->at[0].coefficient > 0)
        return pf_dim_add(dims, whole, floor_atom(dims, r, b));
    negate(r, n);
    whole = pf_dim_mul(dims, whole, -1);
    balance(dims, r, n, &whole);
    return pf_dim_mul(dims, pf_dim_add(dims, whole, floor_atom(dims, r, b)), -1);
}

/* a = q*b + r, both negated where b's leading coefficient is below 0; *y: the divisor then. */
static bool divide_dims(pf_dims *dims, pf_dim a, pf_dim b, dim_work *y, dim_work *q, dim_work *r)
{
    dim_work x;

    dim_work_load(dims, a, &x);
    dim_work_load(dims, b, y);
    if (x.bad || y->bad || y->count == 0)
        return false;
    if (y->at[0].coefficient < 0)
        return divide_dims(dims, pf_dim_mul(dims, a, -1), pf_dim_mul(dims, b, -1), y, q, r);
    divide(dims, &x, y, q, r);
    return !q->bad && !r->bad;
}

pf_dim pf_dim_exact_div(pf_dims *dims, pf_dim a, pf_dim b)
{
    dim_work y, q, r;

    return divide_dims(dims, a, b, &y, &q, &r) && r.count == 0 ? dim_work_store(dims, &q) : PF_DIM_INVALID;
}

pf_dim pf_dim_floor_div(pf_dims *dims, pf_dim a, pf_dim b)
{
    dim_work y, q, r;

    if (!divide_dims(dims, a, b, &y, &q, &r))
        return PF_DIM_INVALID;
    if (r.count == 0)
        return dim_work_store(dims, &q);
    return pf_dim_add(dims, dim_work_store(dims, &q), floor_rest(dims, &r, &y));
}

pf_dim pf_dim_ceil_div(pf_dims *dims, pf_dim a, pf_dim b)
{
    int64_t least = 0, greatest = 0;

    /* the form that other exporters write: equal dims stay equal */
    if (dim_own_range(dims, b, &least, &greatest) && least >= 0)
        return pf_dim_floor_div(dims, pf_dim_sub(dims, pf_dim_add(dims, a, b), 1), b);
    return pf_dim_mul(dims, pf_dim_floor_div(dims, pf_dim_mul(dims, a, -1), b), -1);
}

/* An odd number is made even more often than a rest of 2 is taken off: then it is one term, 2*floor((a + 1)/2). */
pf_dim pf_dim_mod(pf_dims *dims, pf_dim a, pf_dim b)
{
    if (b == 2)
        return pf_dim_sub(dims, pf_dim_mul(dims, 2, pf_dim_ceil_div(dims, a, 2)), a);
    return pf_dim_sub(dims, a, pf_dim_mul(dims, b, pf_dim_floor_div(dims, a, b)));
}

static pf_dim choose(pf_dims *dims, atom_kind kind, pf_dim a, pf_dim b)
{
    int64_t least = 0, greatest = 0;
    pf_dim  smaller = a < b ? a : b, larger = a < b ? b : a;

    if (!dim_own_range(dims, pf_dim_sub(dims, a, b), &least, &greatest))
        return PF_DIM_INVALID;
    if (least >= 0)
        return kind == ATOM_MAX ? a : b;
    if (greatest <= 0)
        return kind == ATOM_MAX ? b : a;
    return dim_intern_atom(dims, kind, smaller, larger);
}

pf_dim pf_dim_min(pf_dims *dims, pf_dim a, pf_dim b) { return choose(dims, ATOM_MIN, a, b); }
pf_dim pf_dim_max(pf_dims *dims, pf_dim a, pf_dim b) { return choose(dims, ATOM_MAX, a, b); }
