/* What went wrong on the way, one by one: each node of a model that is not supported, each candidate that failed, each
   choice that a device refused. A pf_err whose list points here collects it; the failure itself is in the pf_err, and
   pf_error_list_add puts it here as well.
   Thread   one at a time. */
#ifndef PF_BASE_ERROR_LIST_H
#define PF_BASE_ERROR_LIST_H

#include <stdint.h>

#include "base/status.h"

enum { PF_ERRORS_KEPT = 1000 };

typedef struct pf_error {
    pf_status   status;
    const char *node;                   /* layer, or node of the model; "" when there is none */
    const char *message;
} pf_error;

pf_status pf_error_list_new(pf_error_list **out, pf_err *err);
void      pf_error_list_free(pf_error_list *list);
void      pf_error_list_clear(pf_error_list *list);
/* Copies.  Beyond PF_ERRORS_KEPT, and when memory is short, it is only counted. */
void      pf_error_list_add(pf_error_list *list, pf_status status, const char *node, const char *message);
uint32_t  pf_error_list_count(const pf_error_list *list);
uint32_t  pf_error_list_dropped(const pf_error_list *list);
/* Borrowed until the list is cleared.  Zeros when there is no such one. */
void      pf_error_list_at(const pf_error_list *list, uint32_t index, pf_error *out);

#endif
