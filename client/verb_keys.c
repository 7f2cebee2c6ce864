#include "client/verb.h"

const pf_verb_body pf_verb_keys = {
    .details = "  A farm with keys knows each user and agent, and may listen beyond this machine.  The verbs new,\n"
               "  list, grant and revoke work on the coordinator's state folder (--state DIR); a running coordinator\n"
               "  takes changes up within a second.  The first `keys new` also makes the farm's own key; restart the\n"
               "  coordinator then.\n"
               "\n"
               "  planfarm keys new ci --grant submit,fetch --state /var/lib/planfarm -o ci.key\n"
               "  PLANFARM_KEY=ci.key planfarm submit model.onnx --gpu h100 --farm http://farm:7780\n"
               "\n"
               "  Grants: submit, fetch, agent, agent:CLASS (for agents of that class), cache-write, peer, admin.\n",
    .verbs = pf_keys_verbs,
};
