#include "base/plan_key.h"

/* Every field goes in with its label, so that a field added later cannot make two keys run into one. */
void pf_plan_key(const pf_digest *model, const char *spec_text, const char *class_text, const char *builder_abi,
                 pf_digest *out)
{
    char    hex[PF_DIGEST_HEX_BYTES] = "";
    pf_hash hash;

    pf_digest_to_hex(model, hex);
    pf_hash_init(&hash);
    pf_hash_add_string(&hash, "planfarm-plan-key 1");
    pf_hash_add_string(&hash, "model");
    pf_hash_add_string(&hash, hex);
    pf_hash_add_string(&hash, "spec");
    pf_hash_add_string(&hash, spec_text);
    pf_hash_add_string(&hash, "class");
    pf_hash_add_string(&hash, class_text);
    pf_hash_add_string(&hash, "builder_abi");
    pf_hash_add_string(&hash, builder_abi);
    pf_hash_end(&hash, out);
}
