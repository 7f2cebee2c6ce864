/* Element types, their sizes, and conversion of single elements to and from double. */
#ifndef PF_ENGINE_DTYPE_H
#define PF_ENGINE_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum pf_dtype {
    PF_DTYPE_NONE,
#define PF_DTYPE(name, text, onnx, bits, kind) PF_##name,
#include "engine/dtypes.def"
#undef PF_DTYPE
    PF_DTYPE_COUNT
} pf_dtype;

typedef enum pf_dtype_kind { PF_KIND_NONE, PF_KIND_FLOAT, PF_KIND_INT, PF_KIND_UINT, PF_KIND_BOOL, PF_KIND_COMPLEX,
                             PF_KIND_STRING } pf_dtype_kind;

const char   *pf_dtype_name(pf_dtype dtype);               /* "f32" */
pf_dtype      pf_dtype_from_name(const char *name);        /* PF_DTYPE_NONE when unknown */
pf_dtype      pf_dtype_from_onnx(int32_t data_type);       /* PF_DTYPE_NONE when unknown */
int32_t       pf_dtype_to_onnx(pf_dtype dtype);
pf_dtype_kind pf_dtype_kind_of(pf_dtype dtype);
uint32_t      pf_dtype_bits(pf_dtype dtype);
bool          pf_dtype_is_float(pf_dtype dtype);
bool          pf_dtype_is_integer(pf_dtype dtype);         /* signed or unsigned, not bool */
bool          pf_dtype_is_whole(pf_dtype dtype);           /* the same, or bool */
/* Bytes of count packed elements; types under 8 bits pack from the low bits, as in ONNX. */
size_t        pf_dtype_bytes(pf_dtype dtype, uint64_t count);

/* Element i of packed data as a double (complex and string types give 0). Conversion to a narrower float rounds to
   nearest even (types of 8 bits and fewer saturate at their largest finite value, the others overflow to infinity); to
   an integer it truncates towards zero and saturates, NaN gives 0; to bool it tests against zero. */
double  pf_dtype_get(pf_dtype dtype, const void *data, uint64_t i);
void    pf_dtype_set(pf_dtype dtype, void *data, uint64_t i, double value);
/* The same for integer types and bool without going through double; what does not fit keeps its low bits, as ONNX's
   Cast says. */
int64_t pf_dtype_get_i64(pf_dtype dtype, const void *data, uint64_t i);
void    pf_dtype_set_i64(pf_dtype dtype, void *data, uint64_t i, int64_t value);
/* Whole arrays, with fast paths for the pairs that occur often. */
void    pf_dtype_convert(pf_dtype from, const void *in, pf_dtype to, void *out, uint64_t count);

float    pf_f16_to_f32(uint16_t half);
uint16_t pf_f16_from_f32(float value);
float    pf_bf16_to_f32(uint16_t brain);
uint16_t pf_bf16_from_f32(float value);

#endif
