/* What writing and opening a plan must agree on; the same numbers stand in PLAN_FORMAT.md.  Weights come first and the
   tables last, so that the file can be written and hashed in one pass while the weights are packed. */
#ifndef PF_ENGINE_PLAN_SECTIONS_H
#define PF_ENGINE_PLAN_SECTIONS_H

#include "engine/plan.h"

#define PF_PLAN_MAGIC "PFPLAN\x1a\n"    /* 8 bytes; the line end and the byte before it catch transfers as text */

typedef enum pf_plan_section {
    PF_SECTION_HEAD, PF_SECTION_SYMBOLS, PF_SECTION_VALUES, PF_SECTION_STEPS, PF_SECTION_IO, PF_SECTION_BLOBS,
    PF_SECTION_TAIL, PF_SECTION_CHECK,
    PF_SECTION_WEIGHTS, PF_SECTION_COUNT
} pf_plan_section;

enum {
    PF_PLAN_HEADER_BYTES = 256,         /* magic 8, version u32, zeros; weights follow */
    /* the end of the file: section count u32, zero u32, file bytes u64, digest of the table 32, zero 8, magic 8 */
    PF_PLAN_FOOTER_BYTES = 64,
    PF_PLAN_DIGEST_AT = 16,             /* where the digest of the table stands in it */
    PF_PLAN_MAGIC_AT = 56,
    PF_PLAN_ROW_BYTES = 56,             /* section u32, zero u32, offset u64, bytes u64, digest 32 */
    PF_PLAN_TABLE_BYTES = PF_SECTION_COUNT * PF_PLAN_ROW_BYTES,     /* just before the footer */
    PF_PLAN_END_BYTES = PF_PLAN_TABLE_BYTES + PF_PLAN_FOOTER_BYTES,
    PF_PLAN_CHECK_BYTES = 32,
    PF_PLAN_TEXT_LIMIT = 16 * 1024 * 1024,
    PF_PLAN_TABLE_LIMIT = 1 << 24,      /* rows of any table */
};

#endif
