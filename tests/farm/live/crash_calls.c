/* Loaded into an agent and its builds by LD_PRELOAD: a library that crashes.  The file named by CRASH_BUDGET has a byte
   for each time that a convolution of oneDNN is to crash when it is run; it loses one each time. */
#include <dlfcn.h>
#include <oneapi/dnnl/dnnl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int is_convolution(const_dnnl_primitive_t primitive)
{
    const_dnnl_primitive_desc_t desc = NULL;
    dnnl_primitive_kind_t       kind = dnnl_undefined_primitive;

    return dnnl_primitive_get_primitive_desc(primitive, &desc) == dnnl_success &&
           dnnl_primitive_desc_query(desc, dnnl_query_primitive_kind, 0, &kind) == dnnl_success &&
           kind == dnnl_convolution;
}

static int spend(void)
{
    const char *path = getenv("CRASH_BUDGET");
    struct stat info = { 0 };

    return path && stat(path, &info) == 0 && info.st_size > 0 && truncate(path, info.st_size - 1) == 0;
}

dnnl_status_t dnnl_primitive_execute(const_dnnl_primitive_t primitive, dnnl_stream_t stream, int count,
                                     const dnnl_exec_arg_t *arguments)
{
    static dnnl_status_t (*real)(const_dnnl_primitive_t, dnnl_stream_t, int, const dnnl_exec_arg_t *);

    if (is_convolution(primitive) && spend())
        raise(SIGSEGV);
    if (!real)
        real = (dnnl_status_t (*)(const_dnnl_primitive_t, dnnl_stream_t, int, const dnnl_exec_arg_t *))
            dlsym(RTLD_NEXT, "dnnl_primitive_execute");
    return real(primitive, stream, count, arguments);
}
