#include "tests/bench/farm_figures.h"

#include <stdio.h>
#include <stdlib.h>

enum { ROUNDS_MAX = 32 };

static const struct row { const char *text, *unit; char sign; double target; } rows[FARM_FIGURES] = {
#define FIGURE(NAME, text, unit, sign, target) { text, unit, sign, target },
#include "tests/bench/farm_figures.def"
#undef FIGURE
};

static struct samples { double value[ROUNDS_MAX]; int count; } noted[FARM_FIGURES];

void farm_note(farm_figure figure, double value)
{
    if (noted[figure].count < ROUNDS_MAX)
        noted[figure].value[noted[figure].count++] = value;
    printf("%-52s %12.5g %s\n", rows[figure].text, value, rows[figure].unit);
    fflush(stdout);
}

int farm_by_value(const void *a, const void *b)
{
    double one = *(const double *)a, two = *(const double *)b;

    return one < two ? -1 : one > two;
}

double farm_median(farm_figure figure)
{
    struct samples *s = &noted[figure];

    qsort(s->value, (size_t)s->count, sizeof s->value[0], farm_by_value);
    if (s->count == 0)
        return 0;
    return (s->value[(s->count - 1) / 2] + s->value[s->count / 2]) / 2;
}

static void print_row(farm_figure figure)
{
    const struct row     *row = &rows[figure];
    const struct samples *s = &noted[figure];
    double                median = farm_median(figure);
    char                  target[32] = "";

    if (row->sign != ' ')
        snprintf(target, sizeof target, "%s %g | %s", row->sign == '>' ? "at least" : "at most", row->target,
                 (row->sign == '>' ? median >= row->target : median <= row->target) ? "met" : "missed");
    else
        snprintf(target, sizeof target, " | ");
    printf("| %s | %.4g | %.4g-%.4g | %s | %s |\n", row->text, median, s->value[0], s->value[s->count - 1], row->unit,
           target);
}

void farm_print_table(void)
{
    printf("\n| figure | median | spread | unit | target | |\n| --- | --- | --- | --- | --- | --- |\n");
    for (int i = 0; i < FARM_FIGURES; i++)
        if (noted[i].count)
            print_row((farm_figure)i);
}
