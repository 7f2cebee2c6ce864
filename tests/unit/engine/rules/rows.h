/* The table of graphs before and after a rule, a file for each subject. */
#ifndef PF_TESTS_UNIT_ENGINE_RULES_ROWS_H
#define PF_TESTS_UNIT_ENGINE_RULES_ROWS_H

#include <stddef.h>

/* The rules that run alone, comma-separated, and texts of graphs without their first line. */
typedef struct rule_row { const char *only, *before, *after; } rule_row;

#define STAYS NULL              /* after: the graph is left as it is */

typedef struct rule_rows { const rule_row *at; size_t count; } rule_rows;

extern const rule_rows rule_rows_known, rule_rows_weights, rule_rows_ops, rule_rows_arithmetic, rule_rows_moves;

#endif
