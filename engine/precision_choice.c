#include "engine/precision_choice.h"

#include <math.h>

#include "base/alloc.h"
#include "base/log.h"
#include "engine/go_on.h"
#include "engine/op.h"
#include "engine/oracle.h"
#include "engine/picks.h"
#include "engine/precision_round.h"
#include "engine/precision_work.h"
#include "engine/side_by_side.h"

enum { DRAWS = 6, FEW_DRAWS = 3, TRIES_MOST = 6 };

/* Other inputs fare worse than those tried, the more so the fewer were: of 30 sets for resnet50, the largest error is
   1.8 times the largest of the first three, and 1.4 times that of the first six; 29 are within 1.35 times that of the
   first three.  So of what is allowed the references may see so much less. */
#define MARGIN(draws) (2 - 0.1 * (draws))
#define NEAR       2            /* times what is allowed: further off, raising would only take time */
#define HOPELESS   0.5          /* of the range: the check takes 0.25 for rounding, and a plan may be half as far off */
#define CLOSE      0.6          /* of the limit: raising less is not worth another run */
#define DECAY      4.5          /* where nothing is known: with the share x raised, exp(-4.5 x) of the error is left */
#define LIKELY     1.4          /* draws are alike in how much raising helps them, within that */
#define FEW_STEPS  4            /* a share of all: raising that many, answers are exact at hardly any cost */
#define WORK_MOST  4.5e11       /* operations of a run for each draw: seconds on a server's cores */
#define ELEMS_MOST 2e9          /* of all values of the runs that are made at once: a few of them are alive at a time */

/* The inputs tried, with the references' outputs; made when they are first needed. */
typedef struct choosing {
    const pf_graph          *original, *rewritten;
    const int64_t           *bindings;
    const pf_precision_wish *wish;
    pf_oracle                oracles[DRAWS];
    pf_picks                 picks[DRAWS];  /* of the network itself */
    bool                     follows;       /* what is tried picks the same */
    double                   usual[DRAWS];  /* errors with nothing raised */
    uint32_t                 known;         /* how many of these are known */
    uint32_t                 count, worst;  /* draws, and which has the largest of them */
    pf_precision_size        size;
    double                   elems;         /* of all values of a run */
    double                   limit;         /* of the error */
    pf_precision_care        finer;         /* 0, or PF_CARE_EXACT while three parts are tried */
    pf_err                  *err;
} choosing;

static uint32_t draws_for(const choosing *c)
{
    double affordable = WORK_MOST / fmax(pf_precision_work(c->original, c->bindings), 1);

    if (affordable >= DRAWS)
        return DRAWS;
    return affordable >= 1 ? (uint32_t)affordable : c->wish->must ? 1 : 0;
}

/* ---- How far off a lowered network is */

/* Of the float outputs; what is not finite in one alone is as far off as can be. */
static double error_of(const pf_tensor *test, const pf_tensor *reference)
{
    pf_difference difference = { 0 };

    if (reference->rank < 0 || !pf_dtype_is_float(reference->dtype))
        return 0;
    if (pf_tensor_compare(test, reference, &difference, NULL))
        return 0;
    return difference.nan_count || difference.inf_count ? INFINITY : difference.max_rel_range;
}

/* A run of the rounded network, and what makes it pick what the network itself does. */
typedef struct trial { pf_rounded *rounded; pf_picks picks; pf_following following; } trial;

static void watch_trial(void *user, pf_value_id value, pf_tensor *tensor)
{
    trial *t = user;

    pf_rounded_watch(t->rounded, value, tensor);
    if (t->following.given)
        pf_picks_follow(&t->following, value, tensor);
}

/* What a run of the rounded network gave. */
typedef struct outcome { pf_tensor *outputs; uint32_t count; double loss; } outcome;

static void clear_outcome(outcome *o)
{
    for (uint32_t i = 0; o->outputs && i < o->count; i++)
        pf_tensor_clear(&o->outputs[i]);
    pf_free(o->outputs);
    *o = (outcome){ 0 };
}

static pf_status run_rounded(const choosing *c, pf_rounded *rounded, uint32_t draw, const pf_tensor *in, outcome *out,
                             pf_err *err)
{
    trial     t = { .rounded = rounded, .following = { .own = &t.picks } };
    pf_status st = PF_OK;

    *out = (outcome){ .count = rounded->graph->output_count };
    out->outputs = pf_calloc(out->count + 1, sizeof *out->outputs);
    if (!out->outputs)
        return PF_FAIL_MEMORY(err, out->count * sizeof *out->outputs);
    t.following.given = c->follows ? &c->picks[draw] : NULL;
    if (c->follows)
        st = pf_picks_open(rounded->graph, &t.picks, err);
    if (!st)
        st = pf_interpret(rounded->graph, in, out->outputs, watch_trial, &t, err);
    out->loss = t.following.loss;
    pf_picks_close(&t.picks);
    if (st)
        clear_outcome(out);
    return st;
}

/* A pick that is worse counts as an output that is off. */
static double judge(const choosing *c, uint32_t draw, const outcome *o)
{
    double error = o->loss;

    for (uint32_t i = 0; i < o->count; i++)
        if (!c->follows || !c->picks[draw].is_behind[i])
            error = fmax(error, error_of(&o->outputs[i], &c->oracles[draw].out[i]));
    return error;
}

static pf_status make_draw(choosing *c, uint32_t draw, pf_err *err)
{
    pf_status st = PF_OK;

    if (c->oracles[draw].in)
        return PF_OK;
    st = pf_picks_open(c->original, &c->picks[draw], err);
    if (!st)
        st = pf_oracle_of_draw(c->original, c->bindings, draw, pf_picks_note, &c->picks[draw], &c->oracles[draw], err);
    return !st && c->picks[draw].failed ? PF_FAIL_MEMORY(err, 0) : st;
}

/* The network as a device would compute it with that care. */
static pf_status make_rounded(const choosing *c, pf_precision_care care, pf_rounded *out)
{
    bool      lowers = c->wish->narrow != PF_DTYPE_NONE;
    pf_graph *low = pf_graph_copy(c->rewritten, c->err);
    pf_status st = low ? PF_OK : PF_NO_SPACE;

    if (!st && lowers)
        st = pf_precision_lower(low, c->wish->narrow, care, c->err);
    if (!st && !lowers)
        st = pf_precision_refuse_tf32(low, care, c->err);
    if (st) {
        pf_graph_free(low);
        return st;
    }
    return pf_rounded_new(low, !lowers && !(care & PF_CARE_ALL), !(care & PF_CARE_EXACT), out, c->err);
}

/* One run: of the network itself, or rounded, on the inputs of a draw; ahead: beside the reference that answers for
   them. */
typedef enum run_kind { REFERENCE, ROUNDED, AHEAD } run_kind;
typedef struct piece { run_kind kind; uint32_t draw; } piece;

/* One care on some draws. */
typedef struct attempt {
    choosing  *c;
    pf_rounded rounded;
    uint32_t   draws[DRAWS], count;     /* those that are made now */
    piece      pieces[2 * DRAWS];
    uint32_t   piece_count;
    bool       done[DRAWS];             /* by draw, and its error */
    double     error[DRAWS];
    outcome    outcome[DRAWS];
    bool       ahead[DRAWS];            /* and what became of that run */
    pf_status  failed[DRAWS];
} attempt;

/* Without the reference's answer: its inputs are those that it tries first, mostly. */
static pf_status run_ahead(attempt *a, uint32_t draw, pf_err *err)
{
    const choosing *c = a->c;
    pf_oracle       inputs = { 0 };
    pf_err          why = { 0 };
    pf_status       st = pf_oracle_inputs_of_draw(c->original, c->bindings, draw, &inputs, err);

    if (st)
        return st;
    st = a->failed[draw] = run_rounded(c, &a->rounded, draw, inputs.in, &a->outcome[draw], &why);
    pf_oracle_clear(&inputs);
    return pf_go_on_ended(st) ? pf_err_pass(err, st, &why) : PF_OK;
}

static pf_status try_piece(void *user, uint32_t number, pf_err *err)
{
    attempt *a = user;
    piece    p = a->pieces[number];

    if (p.kind == REFERENCE)
        return make_draw(a->c, p.draw, err);
    return p.kind == AHEAD ? run_ahead(a, p.draw, err)
                           : run_rounded(a->c, &a->rounded, p.draw, a->c->oracles[p.draw].in, &a->outcome[p.draw], err);
}

static void add_pieces(attempt *a, uint32_t draw)
{
    a->ahead[draw] = !a->c->oracles[draw].in;
    if (a->ahead[draw])
        a->pieces[a->piece_count++] = (piece){ REFERENCE, draw };
    a->pieces[a->piece_count++] = (piece){ a->ahead[draw] ? AHEAD : ROUNDED, draw };
}

/* Once more where the reference did not take those inputs. */
static pf_status finish_draw(attempt *a, uint32_t draw)
{
    const choosing *c = a->c;
    pf_status       st = PF_OK;

    if (a->ahead[draw] && (a->failed[draw] || c->oracles[draw].restrained)) {
        clear_outcome(&a->outcome[draw]);
        st = run_rounded(c, &a->rounded, draw, c->oracles[draw].in, &a->outcome[draw], c->err);
    }
    if (!st)
        a->error[draw] = judge(c, draw, &a->outcome[draw]);
    a->done[draw] = true;
    return st;
}

/* Side by side: of one run at a time, most is done by one core. */
static pf_status try_noted(attempt *a)
{
    uint32_t  at_once = (uint32_t)fmin(fmax(ELEMS_MOST / fmax(a->c->elems, 1), 1), 2 * DRAWS);
    pf_status st = PF_OK;

    a->piece_count = 0;
    for (uint32_t i = 0; i < a->count; i++)
        add_pieces(a, a->draws[i]);
    st = pf_side_by_side(a->piece_count, at_once, try_piece, a, a->c->err);
    for (uint32_t i = 0; i < a->count; i++) {
        if (!st)
            st = finish_draw(a, a->draws[i]);
        clear_outcome(&a->outcome[a->draws[i]]);
    }
    a->count = 0;
    return st;
}

/* What the draw is likely to have, where the worst one has *error, would be no news. */
static bool is_harmless(const choosing *c, uint32_t draw, double error)
{
    return draw != c->worst && LIKELY * error * c->usual[draw] < c->limit * c->usual[c->worst];
}

/* All draws, which says which is the worst. */
static pf_status try_usual(attempt *a, double *error)
{
    choosing *c = a->c;
    pf_status st = PF_OK;

    for (uint32_t draw = c->known; draw < c->count; draw++)
        a->draws[a->count++] = draw;
    st = try_noted(a);
    for (uint32_t draw = c->known; draw < c->count; draw++)
        c->usual[draw] = a->error[draw];
    for (uint32_t draw = 0; draw < c->count; draw++) {
        if (c->usual[draw] > *error)
            c->worst = draw;
        *error = fmax(*error, c->usual[draw]);
    }
    return st;
}

/* The largest error of all draws that matter: the worst by itself, and where it is within the limit the others.  The
   first of these that is not becomes the worst. */
static pf_status try_worst_first(attempt *a, double *error)
{
    choosing      *c = a->c;
    const uint32_t first = c->worst;
    pf_status      st = PF_OK;

    a->draws[a->count++] = first;
    while (a->count && !st) {
        st = try_noted(a);
        for (uint32_t i = c->count; i-- > 0;) {
            uint32_t draw = (first + i) % c->count;

            if (a->done[draw] && a->error[draw] > c->limit)
                c->worst = draw;
            *error = fmax(*error, a->done[draw] ? a->error[draw] : 0);
        }
        for (uint32_t i = 0; i < c->count && *error <= c->limit; i++)
            if (!a->done[i] && !is_harmless(c, i, *error))
                a->draws[a->count++] = i;
    }
    return st;
}

static pf_status try_care(choosing *c, pf_precision_care care, double *error)
{
    attempt   a = { .c = c };
    char      text[PF_CARE_TEXT_BYTES] = "";
    pf_status st = make_rounded(c, care, &a.rounded);

    *error = 0;
    if (!st)
        st = (care == PF_CARE_USUAL ? try_usual : try_worst_first)(&a, error);
    pf_rounded_clear(&a.rounded);
    pf_precision_care_text(care, text, sizeof text);
    if (!st)
        pf_log(PF_LOG_DEBUG, "builder", "tried fp32=\"%s\" picks=%s of_draws=%u error=%.2g", text,
               c->follows ? "given" : "own", c->count, *error);
    return st;
}

/* ---- The choice: the fewest of the first products for which the error is within the limit */

/* Steps in front of the products. */
static uint32_t extra_steps(const choosing *c) { return (c->size.decided > 0) + c->size.has_gates; }
static uint32_t most_steps(const choosing *c) { return c->size.slices + extra_steps(c); }

/* The first steps are what decides and the gates, where there are any; the next ones are the products, one by one. */
static pf_precision_care care_of_step(const choosing *c, uint32_t step)
{
    pf_precision_care care = c->finer;

    if (step && c->size.decided)
        care |= PF_CARE_DECISIONS;
    if (step > (c->size.decided > 0) && c->size.has_gates)
        care |= PF_CARE_GATES;
    return step > extra_steps(c) ? care | pf_precision_care_first(step - extra_steps(c)) : care;
}

static uint32_t clamped(double step, uint32_t least, uint32_t most)
{
    return step < least ? least : step > most ? most : (uint32_t)step;
}

/* Steps `low` and `high` are known to be too little and enough; a high beyond `most` is not known. */
typedef struct bracket {
    uint32_t low, high, most;
    double   low_error, high_error;
    bool     fell_short;            /* the last guess between the two did */
} bracket;

/* Errors shrink about exponentially with the products raised, faster at the front: at a constant rate between what is
   known on either side.  Where that fell short, a few products make most of the error, and halves find them sooner.
   What is no number says nothing of a rate. */
static uint32_t next_step(const choosing *c, const bracket *b)
{
    double   rate = DECAY / (c->size.slices + 1);
    uint32_t high = b->high <= b->most ? b->high : b->most;

    if (isinf(b->low_error) || b->fell_short)
        return clamped((b->low + high) / 2.0, b->low + 1, b->high <= b->most ? b->high - 1 : b->most);
    if (b->high <= b->most && b->high_error > 0 && b->low_error > b->high_error)
        rate = log(b->low_error / b->high_error) / (b->high - b->low);
    return clamped(b->low + ceil(log(b->low_error / c->limit) / rate), b->low + 1,
                   b->high <= b->most ? b->high - 1 : b->most);
}

/* In three parts, of which the first products need so many, a few more or less make little of a difference. */
static bool is_close(const choosing *c, const bracket *b)
{
    uint32_t apart = c->finer ? 1 + c->size.slices / 6 : 1;

    return b->high <= b->most && (b->high <= b->low + apart || b->high_error >= CLOSE * c->limit);
}

/* A decision that a rounding turns is an error that does not shrink with roundings: the few products that make
   decisions are tried by themselves first, as nothing of the error says that they would do. */
static pf_status try_decisions(choosing *c, bracket *b)
{
    double    error = 0;
    pf_status st = c->size.decided ? try_care(c, care_of_step(c, 1), &error) : PF_OK;

    if (!c->size.decided || st)
        return st;
    if (error <= c->limit) {
        b->high = b->most = 1;
        b->high_error = error;
    } else {
        b->low = 1;
        b->low_error = error;
    }
    return PF_OK;
}

/* Where much has to be raised, whether all of it is enough is asked first. */
static uint32_t first_step(const choosing *c, const bracket *b)
{
    uint32_t step = next_step(c, b);

    return !c->finer && step > b->most / 2 ? b->most : step;
}

static pf_status find_steps(choosing *c, bracket *b)
{
    uint32_t  most = most_steps(c);
    pf_status st = PF_OK;

    *b = (bracket){ .high = most + 1, .most = most, .low_error = c->usual[c->worst] };
    st = c->finer ? PF_OK : try_decisions(c, b);
    for (uint32_t tries = 0; b->low < b->most && !is_close(c, b) && !st; tries++) {
        bool     between = b->high <= b->most;
        uint32_t now = tries == 0 ? first_step(c, b) : tries == 1 && !between ? b->most : next_step(c, b);
        double   one = 0;

        if (tries >= TRIES_MOST && between)
            break;
        st = try_care(c, care_of_step(c, now), &one);
        b->fell_short = between && one > c->limit;
        if (one <= c->limit) {
            b->high = now;
            b->high_error = one;
        } else {
            b->low = now;
            b->low_error = one;
        }
    }
    return st;
}

/* Where most products were needed it may be the last of them that were: without those in front, which were not enough,
   or half of these. */
static pf_status without_front(choosing *c, const bracket *b, pf_precision_choice *out)
{
    uint32_t          extra = extra_steps(c);
    pf_precision_care high = care_of_step(c, b->high);
    const uint32_t    lows[] = { b->low, b->low / 2 };
    bool              found = b->high <= extra + c->size.slices / 2;
    pf_status         st = PF_OK;

    for (int i = 0; i < 2 && !found && lows[i] > extra && !st; i++) {
        pf_precision_care care = c->finer | (high & ~care_of_step(c, lows[i]));
        double            error = 0;

        st = try_care(c, care, &error);
        found = !st && error <= c->limit;
        if (found)
            *out = (pf_precision_choice){ care, error, out->lowered_error };
    }
    return st;
}

/* *error: what is left of it, with all of them where no steps are enough, which *found says. */
static pf_status find_care(choosing *c, pf_precision_choice *out, bool *found, double *error)
{
    bracket   b = { 0 };
    pf_status st = find_steps(c, &b);

    *found = !st && b.high <= b.most;
    *error = *found ? b.high_error : b.low_error;
    if (!*found)
        return st;
    *out = (pf_precision_choice){ care_of_step(c, b.high), b.high_error, out->lowered_error };
    return without_front(c, &b, out);
}

/* A plan that is further off on the first inputs, which it is checked with, would be refused, and built again with more
   and more raised.  One that gives no numbers for any of the others is no use either. */
static bool must_agree(const choosing *c)
{
    return c->wish->must || (c->wish->narrow != PF_DTYPE_NONE && (c->usual[0] > HOPELESS || isinf(c->usual[c->worst])));
}

/* Care that does not help is not taken: errors of such networks come from where no precision helps, as decisions that a
   last bit turns.  Nor is care that leaves outputs far off: it would only take time. */
static bool is_worth_it(const choosing *c, double error)
{
    return error <= c->usual[c->worst] / 2 && error <= NEAR * c->wish->most_error;
}

/* The best that there is where nothing is enough, with what is left of the error in two parts and in three, which are
   slower. */
static pf_precision_choice settle(const choosing *c, double in_two, double in_three)
{
    pf_precision_care care = must_agree(c) ? PF_CARE_ALL : care_of_step(c, most_steps(c)) & ~PF_CARE_EXACT;

    if (!must_agree(c) && !is_worth_it(c, fmin(in_two, in_three)))
        return (pf_precision_choice){ PF_CARE_USUAL, c->usual[c->worst] };
    if (c->wish->must || in_three <= in_two / 2)
        return (pf_precision_choice){ care | PF_CARE_EXACT, in_three };
    return (pf_precision_choice){ care, in_two };
}

/* Where the first draw by itself seems to need more than half of the products, what is found leaves much less than is
   allowed, mostly: fewer others are asked, and less is allowed for it. */
static pf_status try_first(choosing *c)
{
    uint32_t  count = c->count;
    double    error = 0;
    pf_status st = PF_OK;

    c->count = count < FEW_DRAWS ? count : FEW_DRAWS;
    st = try_care(c, PF_CARE_USUAL, &error);
    c->known = st ? 0 : c->count;
    c->count = c->usual[0] * exp(-DECAY / 2) <= c->limit ? count : c->count;
    c->limit = c->wish->most_error / MARGIN(c->count);
    return st;
}

static bool picks_any(const choosing *c) { return c->picks[0].count + c->picks[0].crossing_count > 0; }

/* A few products that stay wide may keep all that the network picks: routers of experts. */
static pf_status try_few(choosing *c, pf_precision_choice *out, bool *found)
{
    uint32_t  few[] = { c->size.decided ? 1 : 0, most_steps(c) / FEW_STEPS };
    pf_status st = PF_OK;

    for (int i = 0; i < 2 && !*found && !st; i++) {
        double error = INFINITY;

        if (few[i])
            st = try_care(c, care_of_step(c, few[i]), &error);
        *found = !st && error <= c->limit;
        if (*found)
            *out = (pf_precision_choice){ care_of_step(c, few[i]), error, out->lowered_error };
    }
    return st;
}

/* Where they do not, scores are nearly equal, and no precision helps: the least difference turns what is picked. */
static pf_status follow_picks(choosing *c, double *usual)
{
    c->follows = true;
    c->known = c->worst = 0;
    return try_care(c, PF_CARE_USUAL, usual);
}

static pf_status choose(choosing *c, pf_precision_choice *out)
{
    static const pf_precision_care finer[] = { 0, PF_CARE_EXACT };
    double                         left[2] = { 0 }, usual = 0;
    bool                           found = false;
    pf_status                      st = try_first(c);

    if (!st)
        st = try_care(c, PF_CARE_USUAL, &usual);
    if (!st && usual > c->limit && picks_any(c)) {
        out->lowered_error = usual;
        st = try_few(c, out, &found);
        if (found || st)
            return st;
        st = follow_picks(c, &usual);
    }
    out->error = out->lowered_error = usual;
    for (int i = 0; i < 2 && usual > c->limit && !found && !st; i++) {
        c->finer = finer[i];
        st = find_care(c, out, &found, &left[i]);
    }
    if (!st && usual > c->limit && !found)
        *out = settle(c, left[0], left[1]);
    out->lowered_error = usual;
    return st;
}

pf_status pf_precision_choose(const pf_graph *original, const pf_graph *rewritten, const int64_t *bindings,
                              const pf_precision_wish *wish, pf_precision_choice *out, pf_oracle *first, pf_err *err)
{
    static const pf_precision_choice nothing = { PF_CARE_USUAL, -1, -1 };
    pf_err                           why = { 0 };
    choosing                         c = { original, rewritten, bindings, wish, .err = &why };
    pf_status                        st = PF_OK;

    *out = nothing;
    c.count = draws_for(&c);
    c.elems = pf_precision_elems(original, bindings);
    c.limit = wish->most_error / MARGIN(c.count);
    if (c.count)
        st = pf_precision_measure(rewritten, &c.size, &why);
    if (c.count && !st)
        st = choose(&c, out);
    if (first) {
        *first = c.oracles[0];
        c.oracles[0] = (pf_oracle){ 0 };
    }
    for (uint32_t i = 0; i < DRAWS; i++) {
        pf_oracle_clear(&c.oracles[i]);
        pf_picks_close(&c.picks[i]);
    }
    if (pf_go_on_ended(st))
        return pf_err_pass(err, st, &why);
    if (st) {       /* inputs that have to mean something: the check at the end says so as well */
        pf_log(PF_LOG_INFO, "builder", "precision-not-tried reason=\"%s\"", why.msg);
        *out = nothing;
    }
    return PF_OK;
}
