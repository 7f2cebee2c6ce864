/* Build specs from the inside: rows of config.def by number, values with their types.
   Invariants
   1. Every value held is well-formed for its kind and canonical: equal meanings have equal texts.
   2. The canonical text lists, in the order of config.def, the rows that are not at their default. */
#ifndef PF_ENGINE_CONFIG_H
#define PF_ENGINE_CONFIG_H

#include "base/buf.h"
#include "engine/planfarm.h"

typedef enum pf_config_key {
#define PF_CONFIG(key, kind, fallback, in_key, help) PF_CONFIG_##key,
#include "engine/config.def"
#undef PF_CONFIG
    PF_CONFIG_COUNT
} pf_config_key;

enum { PF_CONFIG_NAME_BYTES = 256 };

typedef struct pf_named_shape {
    char    name[PF_CONFIG_NAME_BYTES];
    int32_t rank;
    int64_t dim[PF_MAX_RANK];
} pf_named_shape;
/* Sorted by name. */
typedef struct pf_named_shapes { pf_named_shape *items; uint32_t count, capacity; } pf_named_shapes;

typedef struct pf_named_value { char name[PF_CONFIG_NAME_BYTES]; double value; } pf_named_value;
/* Sorted by name. */
typedef struct pf_named_values { pf_named_value *items; uint32_t count, capacity; } pf_named_values;

bool        pf_config_bool(const pf_config *config, pf_config_key key);
int64_t     pf_config_int(const pf_config *config, pf_config_key key);      /* INT, and BYTES in bytes */
const char *pf_config_value(const pf_config *config, pf_config_key key);    /* canonical text */
/* Shapes of a SHAPES row; pf_named_shapes_clear. Errors NO_SPACE. */
pf_status   pf_config_shapes(const pf_config *config, pf_config_key key, pf_named_shapes *out, pf_err *err);
void        pf_named_shapes_clear(pf_named_shapes *shapes);
const pf_named_shape *pf_named_shapes_find(const pf_named_shapes *shapes, const char *name);    /* NULL when absent */
/* The same of a VALUES row; pf_named_values_clear. */
pf_status   pf_config_values(const pf_config *config, pf_config_key key, pf_named_values *out, pf_err *err);
void        pf_named_values_clear(pf_named_values *values);
/* Is the tactic of that name allowed by the row `tactics`? */
bool        pf_config_allows_tactic(const pf_config *config, const char *tactic);
/* The canonical text of the rows that are part of plan keys; what plans store. From pf_alloc. */
pf_status   pf_config_key_text(const pf_config *config, char **text, pf_err *err);

/* config_values.c: of a text without blanks, the canonical one behind what out has. */
pf_status   pf_config_canonical_values(const char *key, const char *value, pf_buf *out, pf_err *err);
/* Where in "name:rest", which ends at end, the rest begins: behind the last colon, since names may hold colons; NULL
   where there is no name, or one that is too long. */
const char *pf_config_behind_name(const char *text, const char *end, char name[PF_CONFIG_NAME_BYTES]);

#endif
