/* planfarm-compile: compiles kernels for a device in a process of its own, asked by its parent through its standard
   input and output. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/device_module.h"

int main(int argc, char **argv)
{
    const pf_device_module *module = NULL;
    pf_err                  err = {0};
    int                     out = dup(STDOUT_FILENO);
    pf_status               st = argc == 2
                                     ? PF_OK
                                     : PF_FAIL(&err, PF_USAGE,
                                               "planfarm-compile is started by planfarm with the number of a device");

    signal(SIGPIPE, SIG_IGN);
    dup2(STDERR_FILENO, STDOUT_FILENO);         /* what libraries print must not come between the answers */
    if (!st) st = pf_device_module_load("libplanfarm_cuda.so", &module, &err);
    if (!st) st = module->serve(STDIN_FILENO, out, atoi(argv[1]), &err);
    if (st) fprintf(stderr, "planfarm-compile: %s\n", err.msg);
    return pf_status_exit_code(st);
}
