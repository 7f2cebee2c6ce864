/* This machine's device as a device class, and what a farm has when it lacks that class.
   Thread   one. */
#ifndef PF_CLIENT_OWN_CLASS_H
#define PF_CLIENT_OWN_CLASS_H

#include "client/farm.h"
#include "engine/device.h"

typedef struct pf_own_class {       /* open */
    char hex[PF_DIGEST_HEX_BYTES];  /* of its digest, which selects it and no other */
    char name[PF_DEVICE_CLASS_NAME_BYTES], text[PF_DEVICE_CLASS_TEXT_BYTES];
} pf_own_class;

/* The device that the options name, else a GPU when there is one, else the CPU. */
pf_status pf_own_class_find(const pf_call *call, pf_own_class *out, pf_err *err);
/* When no agent of the farm ever declared the class: which device this is, and which classes there are.  Else, or when
   the farm does not tell, "". */
void      pf_own_class_explain(pf_farm *farm, const pf_own_class *own, char *out, size_t capacity);

#endif
