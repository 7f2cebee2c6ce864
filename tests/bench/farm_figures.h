/* The figures of a run: each by its name, with all its rounds, printed as a table when all is done. */
#ifndef PF_TESTS_BENCH_FARM_FIGURES_H
#define PF_TESTS_BENCH_FARM_FIGURES_H

typedef enum farm_figure {
#define FIGURE(NAME, text, unit, sign, target) FARM_##NAME,
#include "tests/bench/farm_figures.def"
#undef FIGURE
    FARM_FIGURES
} farm_figure;

/* For qsort: doubles, the least first. */
int    farm_by_value(const void *a, const void *b);
/* Adds one measurement, and prints it. */
void farm_note(farm_figure figure, double value);
/* Median of what was noted; 0 when nothing was. */
double farm_median(farm_figure figure);
/* The table, in the form of docs/MEASURING.md. */
void farm_print_table(void);

#endif
