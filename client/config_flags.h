/* The flags of a build spec: one for each row of engine/config.def. */
#ifndef PF_CLIENT_CONFIG_FLAGS_H
#define PF_CLIENT_CONFIG_FLAGS_H

#include "client/verb.h"
#include "engine/planfarm.h"

/* What stands for a row's value in help, by its kind. */
#define PF_FLAG_VALUE_BOOL   NULL
#define PF_FLAG_VALUE_INT    "N"
#define PF_FLAG_VALUE_REAL   "X"
#define PF_FLAG_VALUE_BYTES  "BYTES"
#define PF_FLAG_VALUE_TEXT   "LIST"
#define PF_FLAG_VALUE_SHAPES "IN:1x3x..,.."
#define PF_FLAG_VALUE_VALUES "IN:1,.."
#define PF_FLAG_KIND_BOOL    PF_OPTION_FLAG
#define PF_FLAG_KIND_INT     PF_OPTION_TEXT
#define PF_FLAG_KIND_REAL    PF_OPTION_TEXT
#define PF_FLAG_KIND_BYTES   PF_OPTION_TEXT
#define PF_FLAG_KIND_TEXT    PF_OPTION_TEXT
#define PF_FLAG_KIND_SHAPES  PF_OPTION_TEXT
#define PF_FLAG_KIND_VALUES  PF_OPTION_TEXT
/* PF_CONFIG for use inside an option table, around #include "engine/config.def". */
#define PF_CONFIG_FLAG(key, type, default_, text) \
    {.name = #key, .kind = PF_FLAG_KIND_##type, .value = PF_FLAG_VALUE_##type, \
     .fallback = PF_FLAG_KIND_##type == PF_OPTION_FLAG ? NULL : default_, .help = text},

/* The spec that the command line asks for.  Errors   USAGE. */
pf_status pf_config_from_args(const pf_args *args, pf_config **out, pf_err *err);

#endif
