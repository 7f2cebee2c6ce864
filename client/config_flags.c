#include "client/config_flags.h"

static const char *const keys[] = {
#define PF_CONFIG(key, type, default_, in_key, text) #key,
#include "engine/config.def"
#undef PF_CONFIG
};

pf_status pf_config_from_args(const pf_args *args, pf_config **out, pf_err *err)
{
    pf_status status = pf_config_new(out, err);

    for (size_t i = 0; i < sizeof keys / sizeof *keys && !status; i++) {
        const char *value = pf_args_text(args, keys[i]);

        if (pf_args_given(args, keys[i]))
            status = pf_config_set(*out, keys[i], value ? value : "1", err);
    }
    return status;
}
