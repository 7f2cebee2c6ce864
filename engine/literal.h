/* Strings and numbers as they stand in the texts of graphs. */
#ifndef PF_ENGINE_LITERAL_H
#define PF_ENGINE_LITERAL_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/status.h"

/* "in double quotes", with \" \\ \n and \x1f escapes */
void      pf_literal_put_string(const char *text, pf_buf *out);
/* The fewest digits that read back as the same double; nan, inf and -inf. */
void      pf_literal_put_double(double value, pf_buf *out);
/* The fewest that read back as the same float. */
void      pf_literal_put_float(float value, pf_buf *out);
/* These read at *text and move it behind what they read. INVALID with what was found instead. */
pf_status pf_literal_read_string(pf_arena *arena, const char **text, char **out, pf_err *err);
pf_status pf_literal_read_double(const char **text, double *out, pf_err *err);
pf_status pf_literal_read_i64(const char **text, int64_t *out, pf_err *err);
pf_status pf_literal_read_u64(const char **text, uint64_t *out, pf_err *err);

#endif
