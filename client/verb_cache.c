#include "client/verb.h"

const pf_verb_body pf_verb_cache = {
    .details = "  A timing cache is a folder in which builds keep what they measured.  Each verb works on --cache\n"
               "  DIR, or on planfarm/timing in the user's cache folder ($XDG_CACHE_HOME or ~/.cache).\n",
    .verbs = pf_cache_verbs,
};
