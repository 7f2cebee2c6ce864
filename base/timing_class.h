/* What of a device class its timings hang on: all but the version of the driver, which launches kernels and makes none.
   So where the driver alone was changed a plan is refused, as it may need what that driver lacks, but building it again
   times nothing: records are kept under this text. */
#ifndef PF_BASE_TIMING_CLASS_H
#define PF_BASE_TIMING_CLASS_H

#include <stdbool.h>

#include "base/hash.h"

/* Its lines; out has room for as many bytes as class_text, and may be it. */
void pf_timing_class_text(const char *class_text, char *out);
void pf_timing_class_digest(const char *class_text, pf_digest *out);    /* of that text */
bool pf_timing_class_equal(const char *class_text, const char *other);

#endif
