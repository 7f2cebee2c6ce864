/* A hash map from text to a number: names to ids.  What is in it stays until it is freed. */
#ifndef PF_BASE_MAP_H
#define PF_BASE_MAP_H

#include <stdbool.h>
#include <stdint.h>

typedef struct pf_map pf_map;

pf_map  *pf_map_new(void);                             /* NULL when out of memory */
void     pf_map_free(pf_map *map);
/* Copies key. Replaces an older value. False when out of memory. */
bool     pf_map_set(pf_map *map, const char *key, uint64_t value);
bool     pf_map_get(const pf_map *map, const char *key, uint64_t *value);   /* false when absent */

#endif
