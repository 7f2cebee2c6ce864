/* A measurement as text, in the lines of trtexec's summary that parsers look for, and as members of the result. */
#ifndef PF_CLIENT_BENCH_REPORT_H
#define PF_CLIENT_BENCH_REPORT_H

#include "client/bench.h"
#include "client/ready_plan.h"

/* bench has at least one query.  Warns of what makes the figures doubtful.  Errors  NO_SPACE. */
pf_status pf_bench_report(pf_call *call, const pf_ready_plan *ready, const pf_bench *bench, pf_err *err);

#endif
