#include "engine/onnx_import.h"

#include <stdio.h>
#include <string.h>

#include "engine/onnx.h"
#include "engine/onnx_scope.h"

static const pf_onnx_op rows[] = {
#define PF_ONNX(name, first, last, in_min, in_max, out_max, import)                                                    \
    { name, first, last, in_min, in_max, out_max, pf_onnx_##import },
#include "engine/onnx_ops.def"
#undef PF_ONNX
};

enum { ROW_COUNT = sizeof rows / sizeof *rows };

uint32_t pf_onnx_op_count(void)
{
    return ROW_COUNT;
}

const pf_onnx_op *pf_onnx_op_at(uint32_t index)
{
    return index < ROW_COUNT ? &rows[index] : NULL;
}

const pf_onnx_op *pf_onnx_op_find(const char *domain, const char *op_type, int64_t opset)
{
    char full[256];

    snprintf(full, sizeof full, "%s%s%s", pf_onnx_domain_is_default(domain) ? "" : domain,
             pf_onnx_domain_is_default(domain) ? "" : ":", op_type ? op_type : "");
    if (pf_onnx_domain_is_default(domain) && opset > PF_ONNX_NEWEST_OPSET)
        return NULL;
    for (uint32_t i = 0; i < ROW_COUNT; i++)
        if (opset >= rows[i].first && opset <= rows[i].last && !strcmp(rows[i].name, full))
            return &rows[i];
    return NULL;
}
