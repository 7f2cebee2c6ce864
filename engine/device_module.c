#include "engine/device_module.h"

#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/planfarm.h"

enum { MODULES_MAX = 4 };

static struct {
    pthread_mutex_t         lock;
    const pf_device_module *module[MODULES_MAX];
    char                    library[MODULES_MAX][64];
    uint32_t                count;
} modules = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void cut_name(char *path)
{
    char *slash = strrchr(path, '/');

    if (slash) *slash = 0;
    else path[0] = 0;
}

/* Folder of the running program, without a slash at the end; empty when unknown. */
static void program_folder(char out[PATH_MAX])
{
    ssize_t length = readlink("/proc/self/exe", out, PATH_MAX - 1);

    out[length > 0 ? length : 0] = 0;
    cut_name(out);
}

/* Folder of the library that holds this code, or of the program when it is linked in. */
static void library_folder(char out[PATH_MAX])
{
    Dl_info info = {0};

    out[0] = 0;
    if (!dladdr((const void *)library_folder, &info) || !info.dli_fname || !realpath(info.dli_fname, out)) out[0] = 0;
    cut_name(out);
}

static void *open_beside(const char *folder, const char *sub, const char *library)
{
    char path[PATH_MAX + 128] = {0};

    if (!folder || !folder[0]) return NULL;
    snprintf(path, sizeof path, "%s/%s%s", folder, sub, library);
    return access(path, R_OK) == 0 ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
}

static void *open_library(const char *library)
{
    char  program[PATH_MAX] = {0}, here[PATH_MAX] = {0};
    void *handle = open_beside(getenv("PLANFARM_MODULE_PATH"), "", library);

    program_folder(program);
    library_folder(here);
    if (!handle) handle = open_beside(here, "planfarm/", library);
    if (!handle) handle = open_beside(here, "cuda/", library);               /* in a build tree */
    if (!handle) handle = open_beside(program, "", library);
    /* in a build tree, of a program with the engine linked in */
    if (!handle) handle = open_beside(program, "engine/cuda/", library);
    return handle ? handle : dlopen(library, RTLD_NOW | RTLD_LOCAL);
}

static pf_status load_locked(const char *library, const pf_device_module **out, pf_err *err)
{
    const pf_device_module *module = NULL;
    void                   *handle = NULL;
    const char             *reason = NULL;

    for (uint32_t i = 0; i < modules.count; i++)
        if (!strcmp(modules.library[i], library)) {
            *out = modules.module[i];
            return PF_OK;
        }
    if (modules.count == MODULES_MAX) return PF_FAIL(err, PF_INTERNAL, "more than %d device modules", MODULES_MAX);
    handle = open_library(library);
    if (!handle) {
        reason = dlerror();
        return PF_FAIL(err, PF_NOT_FOUND, "the device module %s cannot be loaded (%s)", library,
                       reason ? reason : "no reason given");
    }
    module = dlsym(handle, PF_DEVICE_MODULE_SYMBOL);
    if (!module || strcmp(module->abi, PF_BUILDER_ABI) != 0) {
        dlclose(handle);
        return PF_FAIL(err, PF_STALE,
                       "the device module %s is of another planfarm version; install both from one build", library);
    }
    snprintf(modules.library[modules.count], sizeof modules.library[0], "%s", library);
    modules.module[modules.count++] = module;
    *out = module;
    return PF_OK;
}

pf_status pf_device_module_load(const char *library, const pf_device_module **out, pf_err *err)
{
    pf_status st = PF_OK;

    *out = NULL;
    pthread_mutex_lock(&modules.lock);
    st = load_locked(library, out, err);
    pthread_mutex_unlock(&modules.lock);
    return st;
}

const pf_tactic *pf_device_module_tactic(uint32_t index)
{
    const pf_tactic *found = NULL;

    pthread_mutex_lock(&modules.lock);
    for (uint32_t i = 0; i < modules.count && !found; i++)
        for (const pf_tactic *const *t = modules.module[i]->tactics; *t; t++)
            if (index-- == 0) {
                found = *t;
                break;
            }
    pthread_mutex_unlock(&modules.lock);
    return found;
}
