/* Rows: the stored form of what the core holds.  Internal to the core.

   Every value is   u16 version, fields, 8 bytes of checksum
   with little-endian fields; the checksum is pf_checksum of version and fields, with the one of the key, with the
   table's number, as its seed.  Until version 2 it was the beginning of the SHA-256 of (table as a byte, key, version
   and fields).  Keys: META "core"; TEXTS, CLASSES, PLANS 32 bytes of digest; AGENTS the name; JOBS the id and SUBMITS a
   serial number, u64 big endian: new rows then lie beside each other, and a commit writes few pages.

   Versions of rows: 1; 2 (a plan's used_ns); 3 (the checksum; no digest of a job's spec that stands in its row; the
   first 12 bytes of a submit's body hash, not 32).

   To change a row's form: 1. raise VERSION in rows.c and write the new field at the end; 2. read it only when the row's
   version has it, with a value for older rows; 3. raise the version of the state folder with an upgrade step
   (state_format.h), and let the test of upgrades (tests/farm/test_upgrade.c) make a state of the version before. */
#ifndef PF_COORDINATOR_ROWS_H
#define PF_COORDINATOR_ROWS_H

#include "coordinator/state.h"

void pf_rows_put_meta(pf_core *core);
void pf_rows_put_text(pf_core *core, const pf_text *text);
void pf_rows_put_class(pf_core *core, const pf_class *device_class);
void pf_rows_put_agent(pf_core *core, const pf_agent *agent);
void pf_rows_put_plan(pf_core *core, const pf_plan *plan);
/* Whether a spec has a row of its own among TEXTS; a shorter one stands in its job's row. */
bool pf_rows_spec_is_apart(const pf_text *spec);
void pf_rows_put_job(pf_core *core, const pf_job *job);
void pf_rows_put_submit(pf_core *core, const pf_submit *submit);
void pf_rows_remove_submit(pf_core *core, const pf_submit *submit);
void pf_rows_remove_job(pf_core *core, const pf_job *job);

/* Errors   CORRUPT, STALE, NO_SPACE. */
pf_status pf_rows_load(pf_core *core, pf_table table, const void *key, size_t key_bytes, const void *value,
                       size_t value_bytes, bool check, pf_err *err);
void      pf_rows_prefetch(const pf_core *core, pf_table table, const void *value, size_t value_bytes);
/* Checksum and version alone, for whoever looks at a row without the core.  *fields lies within value. */
pf_status pf_rows_check(pf_table table, const void *key, size_t key_bytes, const void *value, size_t value_bytes,
                        const uint8_t **fields, size_t *fields_bytes, pf_err *err);

const char *pf_table_name(pf_table table);

#endif
