/* Compiled kernels on the disk: a file each, named by a digest of device class and key, holding the digest of its code
   and the code. A file that is damaged counts as absent. */
#ifndef PF_ENGINE_CUDA_PROGRAM_FOLDER_H
#define PF_ENGINE_CUDA_PROGRAM_FOLDER_H

#include <limits.h>

#include "base/hash.h"
#include "base/status.h"

enum { PF_PROGRAM_FILE_BYTES = 64 << 20 };
#define PF_PROGRAM_FOLDER_BYTES (UINT64_C(1) << 30)

/* Path empty: there is none. */
typedef struct pf_program_folder { char path[PATH_MAX]; pf_digest device_class; } pf_program_folder;

/* Makes the folder when absent, and removes the files least recently used while it holds more than
   PF_PROGRAM_FOLDER_BYTES. */
pf_status pf_program_folder_open(pf_program_folder *folder, const char *path, const pf_digest *device_class,
                                 pf_err *err);
/* From pf_alloc; NULL: not there. */
uint8_t  *pf_program_folder_read(const pf_program_folder *folder, const pf_digest *key, size_t *bytes);
/* Silent when it fails: the kernel is compiled again another time. */
void      pf_program_folder_write(const pf_program_folder *folder, const pf_digest *key, const void *code,
                                  size_t bytes);

#endif
