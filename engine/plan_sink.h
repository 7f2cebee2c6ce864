/* The weights of a plan on their way into its file, while the caller packs the next ones into buffers that are used
   again and again: one thread hashes them, and another copies them to where a third writes from.  So each byte is
   hashed once, while it is still in the processor's cache, the disk is busy from the start, and no weights are held
   in memory.
   Thread   one caller. */
#ifndef PF_ENGINE_PLAN_SINK_H
#define PF_ENGINE_PLAN_SINK_H

#include "base/hash.h"
#include "engine/plan.h"

typedef struct pf_plan_sink pf_plan_sink;

/* The file is an unnamed one (base/file.h) in folder; NULL: in memory. around_cache: the disk takes the bytes
   straight from here where it can, which is faster where they must reach it anyway, but leaves none of them in
   memory for who runs the plan next. */
pf_status pf_plan_sink_open(const char *folder, bool around_cache, pf_plan_sink **out, pf_err *err);
void      pf_plan_sink_close(pf_plan_sink *sink);      /* drops the file too, unless it was finished */
/* Memory for weights, aligned to PF_PLAN_ALIGNMENT; borrowed until it is added or the next call.  zeroed: else it holds
   anything.  Waits while all buffers are on their way. */
pf_status pf_plan_sink_buffer(pf_plan_sink *sink, size_t bytes, bool zeroed, void **out, pf_err *err);
/* Puts bytes at the next aligned place and answers its offset: what pf_plan_sink_buffer gave, or other memory, which
   must stay as it is until the sink is finished or closed. */
uint64_t  pf_plan_sink_add(pf_plan_sink *sink, const void *data, size_t bytes);
/* Were the same bytes added there?  Waits until they are written. */
bool      pf_plan_sink_holds(pf_plan_sink *sink, uint64_t offset, const void *data, size_t bytes);
/* Waits until all is written, and answers the file: its descriptor is the caller's then. */
pf_status pf_plan_sink_finish(pf_plan_sink *sink, pf_plan_file *out, pf_err *err);

#endif
