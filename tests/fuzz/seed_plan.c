/* Writes plans of small networks into a folder: one of fixed shapes, one whose batch varies, one with a tail for the
   host. */
#include <stdio.h>

#include "base/file.h"
#include "tests/unit/engine/networks.h"

static pf_network *tail_network(void)
{
    pf_network  *net = NULL;
    pf_tensor_id x = PF_NONE;
    pf_err       err = { 0 };

    test_ok(pf_network_new("tail", &net, &err), &err);
    test_ok(pf_network_input(net, "x", PF_F32, "[n,4]", &x, &err), &err);
    x = layer(net, "relu", "relu", "", 1, (pf_tensor_id[]){ x });
    test_ok(pf_network_output(net, layer(net, "non_zero", "where", "", 1, (pf_tensor_id[]){ x }), "where", &err), &err);
    return net;
}

static void write_plan(const char *folder, const char *name, pf_network *net, const char *spec)
{
    char       path[4096] = "";
    pf_config *config = config_of(spec);
    pf_device *device = cpu();
    pf_plan   *plan = NULL;
    pf_err     err = { 0 };

    snprintf(path, sizeof path, "%s/%s.plan", folder, name);
    test_ok(pf_build(net, config, device, NULL, &plan, NULL, &err), &err);
    test_ok(pf_plan_save(plan, path, &err), &err);
    pf_plan_free(plan);
    pf_device_close(device);
    pf_config_free(config);
    pf_network_free(net);
}

static char *folder;

static void write_seeds(void **state)
{
    (void)state;
    write_plan(folder, "fixed", residual_network("[1,3,8,8]"), "effort=0\n");
    write_plan(folder, "batch", residual_network("[n,3,8,8]"), "effort=0\nmax_shapes=input:4x3x8x8\n");
    write_plan(folder, "tail", tail_network(), "effort=0\n");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(write_seeds) };
    pf_err                  err = { 0 };

    if (argc != 2 || pf_dir_make(argv[1], &err))
        return 1;
    folder = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
