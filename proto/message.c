#include "proto/message.h"

#include <string.h>

#include "proto/farm.pb-c.h"

static const pf_msg_info rows[] = {
#define PF_MSG(id, name, body, from, to, since, max_bytes, grant) \
    { PF_MSG_##name, #name, &pf__##body##__descriptor, PF_ROLE_##from, PF_ROLE_##to, since, max_bytes, \
      PF_GRANT_##grant },
#include "proto/messages.def"
#undef PF_MSG
};

enum { ROWS = sizeof rows / sizeof rows[0] };

const pf_msg_info *pf_msg_table(uint32_t *count)
{
    *count = ROWS;
    return rows;
}

/* The rows stand in the order of their ids; the unit test checks that. */
const pf_msg_info *pf_msg_find(uint32_t type)
{
    uint32_t low = 0, high = ROWS;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if ((uint32_t)rows[middle].type == type)
            return &rows[middle];
        if ((uint32_t)rows[middle].type < type)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

const pf_msg_info *pf_msg_find_name(const char *name)
{
    for (uint32_t i = 0; i < ROWS; i++)
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    return NULL;
}
