/* Tensors in files: NumPy's .npy, and ONNX's TensorProto (.pb) for reading.  The form is told by the bytes, not by the
   name. */
#ifndef PF_CLIENT_TENSOR_FILE_H
#define PF_CLIENT_TENSOR_FILE_H

#include "engine/tensor.h"

/* wanted: the type that it should have, where the file leaves that open; PF_DTYPE_NONE: nothing is known.
   Owns     *out: pf_tensor_clear.
   Errors   NOT_FOUND, INVALID, UNSUPPORTED; the message names the file. */
pf_status pf_tensor_file_read(const char *path, pf_dtype wanted, pf_tensor *out, pf_err *err);
/* Writes .npy, replacing the file at once. */
pf_status pf_tensor_file_write(const char *path, const pf_tensor *tensor, pf_err *err);
/* Where the tensor of that name lies: FOLDER/NAME.npy.  A '/' in the name makes subfolders; ".." does not climb. */
pf_status pf_tensor_file_name(const char *folder, const char *name, char *out, size_t capacity, pf_err *err);
/* The same, for writing: its folders exist afterwards. */
pf_status pf_tensor_file_path(const char *folder, const char *name, char *out, size_t capacity, pf_err *err);

#endif
