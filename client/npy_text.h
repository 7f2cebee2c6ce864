/* Strings in .npy files: U<n> is n UCS-4 characters each, S<n> n bytes, both padded with zeros. */
#ifndef PF_CLIENT_NPY_TEXT_H
#define PF_CLIENT_NPY_TEXT_H

#include "base/buf.h"
#include "client/npy_header.h"

/* Bytes of one element when descr names a string type; 0 otherwise, also for strings of no length. */
uint64_t  pf_npy_text_width(const char *descr);
pf_status pf_npy_text_parse(const pf_npy_header *header, const uint8_t *data, size_t bytes, pf_tensor *out,
                            pf_err *err);
pf_status pf_npy_text_print(const pf_tensor *tensor,
                            void (*put_header)(const char *descr, const pf_tensor *tensor, pf_buf *out), pf_buf *out,
                            pf_err *err);

#endif
