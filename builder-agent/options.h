/* The agent's command line.  One row of options.def per option.
   Thread   any. */
#ifndef PF_BUILDER_AGENT_OPTIONS_H
#define PF_BUILDER_AGENT_OPTIONS_H

#include <stdbool.h>

#include "base/buf.h"
#include "builder-agent/agent.h"

/* "--name value" or "--name=value"; argv[0] is passed over.  *help: --help was given, and nothing else counts.
   Errors   USAGE. */
pf_status pf_agent_options_parse(int argc, char **argv, pf_agent_options *out, bool *help, pf_err *err);
/* The text of --help. */
void      pf_agent_options_help(pf_buf *out);

#endif
