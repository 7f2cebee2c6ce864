/* Regular expressions in RE2's syntax, as ONNX asks for, by the ones of libc. */
#ifndef PF_ENGINE_OPS_REGEX_H
#define PF_ENGINE_OPS_REGEX_H

#include <regex.h>

#include "base/status.h"

/* Compiles pattern so that it matches whole strings only. regfree it.
   Errors   UNSUPPORTED: something that POSIX regular expressions cannot say; INVALID: not a regular expression. */
pf_status pf_regex_compile(const char *pattern, regex_t *out, pf_err *err);

#endif
