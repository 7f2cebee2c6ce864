/* Options as users of other tools write them: --minShapes is --min-shapes, --saveEngine is --output. */
#ifndef PF_CLIENT_OPTIONS_SPELLING_H
#define PF_CLIENT_OPTIONS_SPELLING_H

#include "base/arena.h"
#include "client/options.h"

/* words: argc and a NULL, those of argv up to "--" as the tables of a verb spell them; what changed is the arena's.
   A word that stands for no option of the verb stays as it is.
   Errors   MEMORY. */
pf_status   pf_options_respell(const pf_option *const tables[2], int argc, char **argv, pf_arena *arena,
                               char **words, int *word_count, pf_err *err);
/* What an option of another tool is called here, with '_' for '-'; "" for an operand, NULL when it is not known. */
const char *pf_options_ours(const char *name, size_t length);
/* What to do instead of an option of another tool, whose name is length bytes; NULL when it is not known. */
const char *pf_options_elsewhere(const char *name, size_t length);

#endif
