#include "client/own_class.h"

#include <stdio.h>
#include <string.h>

#include "client/device_choice.h"
#include "proto/farm.pb-c.h"

pf_status pf_own_class_find(const pf_call *call, pf_own_class *out, pf_err *err)
{
    pf_device_options gpu = {.share_percent = (int32_t)pf_args_int(call->args, "share")};
    pf_device        *device = NULL;
    pf_status         status = PF_NOT_FOUND;

    if (!pf_args_given(call->args, "device"))
        status = pf_device_open("cuda:0", &gpu, &device, NULL);
    if (status)
        status = pf_device_choose(call, gpu.share_percent, &device, err);
    if (status)
        return status;
    pf_digest_to_hex(&device->class_digest, out->hex);
    snprintf(out->name, sizeof out->name, "%s", device->class_name);
    snprintf(out->text, sizeof out->text, "%s", device->class_text);
    pf_device_close(device);
    return PF_OK;
}

static bool declares(const Pf__AgentsReply *reply, const pf_own_class *own)
{
    bool found = false;

    for (size_t i = 0; i < reply->n_device_class; i++)
        found = found || strcmp(reply->device_class[i]->class_text, own->text) == 0;
    return found;
}

/* One that has this device's name is told with what is another there. */
static void put_class(const Pf__ClassStatus *c, const pf_own_class *own, pf_buf *out)
{
    char difference[256] = "";

    if (strcmp(c->class_name, own->name) == 0)
        pf_device_class_difference(c->class_text, own->text, difference, sizeof difference);
    pf_buf_printf(out, " %s", c->class_name);
    if (difference[0])
        pf_buf_printf(out, " (%s)", difference);
}

static void put_sentence(const Pf__AgentsReply *reply, const pf_own_class *own, pf_buf *out)
{
    pf_class_device device = {0};

    pf_class_device_read(own->text, &device);
    pf_buf_printf(out, "this machine's device is %s (%s), and no agent ever declared such a one; known are:", own->name,
                  device.product);
    for (size_t i = 0; i < reply->n_device_class; i++) {
        pf_buf_printf(out, "%s", i ? "," : "");
        put_class(reply->device_class[i], own, out);
    }
    if (reply->n_device_class == 0)
        pf_buf_printf(out, " none");
    if (reply->more_classes)
        pf_buf_printf(out, " and %u more", reply->more_classes);
}

void pf_own_class_explain(pf_farm *farm, const pf_own_class *own, char *out, size_t capacity)
{
    Pf__Agents             body = PF__AGENTS__INIT;
    const Pf__AgentsReply *reply = NULL;
    pf_message             answer = {0};
    pf_buf                 text = {0};

    out[0] = 0;
    pf_buf_init(&text, 65536);
    if (pf_farm_call(farm, PF_MSG_AGENTS, &body.base, PF_MSG_AGENTS_REPLY, &answer, NULL) == PF_OK) {
        reply = (const Pf__AgentsReply *)answer.body;
        if (!declares(reply, own))
            put_sentence(reply, own, &text);
        if (text.size && !text.failed)
            snprintf(out, capacity, "%s", (const char *)text.data);
    }
    pf_buf_clear(&text);
    pf_message_clear(&answer);
}
