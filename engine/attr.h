/* Attributes of ops are plain structs; a table of fields describes each, so that printing, parsing, hashing, comparing
   and storing them is written once. */
#ifndef PF_ENGINE_ATTR_H
#define PF_ENGINE_ATTR_H

#include <stdint.h>

#include "engine/dim.h"

typedef enum pf_attr_kind {
    PF_ATTR_INT,        /* int64_t */
    PF_ATTR_FLOAT,      /* double */
    PF_ATTR_ENUM,       /* int32_t, one of field->names */
    PF_ATTR_DTYPE,      /* pf_dtype as int32_t */
    PF_ATTR_INTS,       /* pf_ints */
    PF_ATTR_DIMS,       /* pf_dim_list: numbers or expressions */
    PF_ATTR_FLOATS,     /* pf_floats */
    PF_ATTR_STRING,     /* const char *, arena */
    PF_ATTR_GRAPH,      /* struct pf_graph *, owned by the outer graph: bodies of If, Loop, Scan */
} pf_attr_kind;

enum { PF_ATTR_LIST = 16 };
typedef struct pf_ints     { int32_t count; int64_t at[PF_ATTR_LIST]; } pf_ints;
typedef struct pf_dim_list { int32_t count; pf_dim  at[PF_ATTR_LIST]; } pf_dim_list;
typedef struct pf_floats   { int32_t count; double  at[PF_ATTR_LIST]; } pf_floats;

static inline bool pf_ints_have(const pf_ints *ints, int64_t value)
{
    for (int32_t i = 0; i < ints->count; i++)
        if (ints->at[i] == value)
            return true;
    return false;
}

/* True of none. */
static inline bool pf_ints_are_all(const pf_ints *ints, int64_t value)
{
    for (int32_t i = 0; i < ints->count; i++)
        if (ints->at[i] != value)
            return false;
    return true;
}

typedef struct pf_attr_field {
    const char        *name;    /* in texts; never renamed */
    pf_attr_kind       kind;
    uint32_t           offset;  /* in the attribute struct */
    const char *const *names;   /* ENUM: NULL-terminated */
} pf_attr_field;

/* A table ends with { NULL }.  Zero is every field's default and is not printed. */
#define PF_ATTR_FIELD(type, member, kind) { #member, PF_ATTR_##kind, offsetof(type, member), NULL }
#define PF_ATTR_ENUM_FIELD(type, member, names) { #member, PF_ATTR_ENUM, offsetof(type, member), names }

#endif
