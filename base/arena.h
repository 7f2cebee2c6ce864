/* Memory that dies at once.  Graphs and all that hangs on them live in one arena. */
#ifndef PF_BASE_ARENA_H
#define PF_BASE_ARENA_H

#include <stddef.h>

typedef struct pf_arena pf_arena;

pf_arena *pf_arena_new(void);                          /* NULL when out of memory */
void      pf_arena_free(pf_arena *arena);              /* NULL is fine */
/* Zeroed, 16-byte aligned, borrowed until pf_arena_free; NULL when out of memory. */
void     *pf_arena_alloc(pf_arena *arena, size_t bytes);
char     *pf_arena_strdup(pf_arena *arena, const char *text);
char     *pf_arena_strndup(pf_arena *arena, const char *text, size_t bytes);
void     *pf_arena_copy(pf_arena *arena, const void *from, size_t bytes);

#endif
