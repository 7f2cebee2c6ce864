/* A farm that does not tell the truth: a socket that answers as a coordinator does, with what a test puts into its
   mouth. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include "base/file.h"
#include "proto/manifest.h"
#include "proto/wire.h"
#include "tests/farm/live/live.h"

typedef struct liar {
    void           *context, *socket;
    pthread_t       thread;
    volatile bool   stop;
    pf_signing_key  key;
    char            manifest[PF_MANIFEST_BYTES];    /* that it answers with */
    char            endpoint[128];
} liar;

static liar it;

static void reply(const zmq_msg_t *peer, const pf_message *to, pf_msg_type type, const ProtobufCMessage *body)
{
    pf_wire_header header = {.msg_id = 1, .correlation_id = to->header.msg_id};
    pf_buf         frame = {0};

    pf_buf_init(&frame, PF_WIRE_FRAME_BYTES);
    assert_int_equal(pf_wire_pack(type, &header, body, &frame, NULL), PF_OK);
    zmq_send(it.socket, zmq_msg_data((zmq_msg_t *)(uintptr_t)peer), zmq_msg_size(peer), ZMQ_SNDMORE);
    zmq_send(it.socket, frame.data, frame.size, 0);
    pf_buf_clear(&frame);
}

static void answer(const zmq_msg_t *peer, const pf_message *message)
{
    Pf__InfoReply        info = PF__INFO_REPLY__INIT;
    Pf__PlanLookupReply  lookup = PF__PLAN_LOOKUP_REPLY__INIT;
    Pf__SigningKey       key = PF__SIGNING_KEY__INIT, *keys[] = {&key};
    Pf__Plan             plan = PF__PLAN__INIT, *plans[] = {&plan};

    key.name = it.key.public_key.name;
    key.public_key = (ProtobufCBinaryData){PF_PUBLIC_KEY_BYTES, it.key.public_key.byte};
    info.key = keys;
    info.n_key = 1;
    info.http_port = 1;
    plan.manifest = it.manifest;
    lookup.plan = plans;
    lookup.n_plan = 1;
    if (message->info->type == PF_MSG_INFO)
        reply(peer, message, PF_MSG_INFO_REPLY, &info.base);
    if (message->info->type == PF_MSG_PLAN_LOOKUP)
        reply(peer, message, PF_MSG_PLAN_LOOKUP_REPLY, &lookup.base);
}

static void *speak(void *user)
{
    (void)user;
    while (!it.stop) {
        zmq_pollitem_t item = {.socket = it.socket, .events = ZMQ_POLLIN};
        zmq_msg_t      peer, frame;
        pf_message     message = {0};

        if (zmq_poll(&item, 1, 50) <= 0)
            continue;
        zmq_msg_init(&peer);
        zmq_msg_init(&frame);
        zmq_msg_recv(&peer, it.socket, 0);
        zmq_msg_recv(&frame, it.socket, 0);
        if (pf_wire_unpack(zmq_msg_data(&frame), zmq_msg_size(&frame), PF_ROLE_CLIENT, PF_ROLE_COORD, &message, NULL) ==
            PF_OK)
            answer(&peer, &message);
        pf_message_clear(&message);
        zmq_msg_close(&peer);
        zmq_msg_close(&frame);
    }
    return NULL;
}

static int set_up(void **state)
{
    size_t bytes = sizeof it.endpoint;

    (void)state;
    mkdir(test_path("work"), 0777);
    setenv("XDG_CONFIG_HOME", test_path("config"), 1);
    assert_int_equal(pf_signing_key_new("farm-1", &it.key, NULL), PF_OK);
    it.context = zmq_ctx_new();
    it.socket = zmq_socket(it.context, ZMQ_ROUTER);
    assert_int_equal(zmq_bind(it.socket, "tcp://127.0.0.1:*"), 0);
    assert_int_equal(zmq_getsockopt(it.socket, ZMQ_LAST_ENDPOINT, it.endpoint, &bytes), 0);
    setenv("PLANFARM_FARM", it.endpoint, 1);
    return pthread_create(&it.thread, NULL, speak, NULL);
}

static int tear_down(void **state)
{
    int no_linger = 0;

    (void)state;
    it.stop = true;
    pthread_join(it.thread, NULL);
    zmq_setsockopt(it.socket, ZMQ_LINGER, &no_linger, sizeof no_linger);
    zmq_close(it.socket);
    zmq_ctx_term(it.context);
    return 0;
}

static void fill_digest(pf_digest *digest, uint8_t with)
{
    memset(digest->byte, with, sizeof digest->byte);
}

/* A manifest of plan key 11.., signed with the key. */
static void say_manifest(const pf_signing_key *key)
{
    static pf_manifest m;
    pf_buf             text = {0};

    memset(&m, 0, sizeof m);
    fill_digest(&m.plan_key, 0x11);
    fill_digest(&m.plan, 0x22);
    fill_digest(&m.model, 0x33);
    fill_digest(&m.spec, 0x44);
    fill_digest(&m.device_class, 0x55);
    m.plan_bytes = 5000;
    m.created_s = 1;
    snprintf(m.model_name, sizeof m.model_name, "model");
    snprintf(m.class_name, sizeof m.class_name, "cpu");
    snprintf(m.builder_abi, sizeof m.builder_abi, "planfarm-1");
    snprintf(m.summary_json, sizeof m.summary_json, "{}");
    pf_buf_init(&text, PF_MANIFEST_BYTES);
    assert_int_equal(pf_manifest_write(&m, &text, NULL), PF_OK);
    assert_int_equal(pf_manifest_sign(&text, key, NULL), PF_OK);
    snprintf(it.manifest, sizeof it.manifest, "%s", (const char *)text.data);
    pf_buf_clear(&text);
}

static const char KEY_11[] = "1111111111111111111111111111111111111111111111111111111111111111";
static const char KEY_12[] = "1212121212121212121212121212121212121212121212121212121212121212";

static void refused(int code, const char *plan_key, const char *word)
{
    json_t *said = LIVE_JSON(NULL, code, "fetch", plan_key, "-o", "forged.plan");

    if (!strstr(live_text(json_object_get(said, "error"), "message"), word))
        fail_msg("\"%s\" does not say %s", live_text(json_object_get(said, "error"), "message"), word);
    json_decref(said);
    assert_int_equal(program_files(), 0);
}

/* Signed well, so the only thing wrong is that there are no bytes at that port. */
static void an_honest_manifest_is_believed(void **state)
{
    (void)state;
    say_manifest(&it.key);
    refused(69, KEY_11, "does not answer");
}

static void a_changed_manifest_is_refused(void **state)
{
    char *at = NULL;

    (void)state;
    say_manifest(&it.key);
    at = strstr(it.manifest, " 5000");
    assert_non_null(at);
    at[1] = '6';
    refused(77, KEY_11, "signature");
}

static void a_manifest_of_another_key_is_refused(void **state)
{
    pf_signing_key other = {0};

    (void)state;
    assert_int_equal(pf_signing_key_new("farm-1", &other, NULL), PF_OK);
    say_manifest(&other);
    refused(77, KEY_11, "signature");
}

static void a_manifest_of_another_plan_is_refused(void **state)
{
    (void)state;
    say_manifest(&it.key);
    refused(67, KEY_12, "another plan");
}

static void an_unsigned_manifest_is_refused(void **state)
{
    char *at = NULL;

    (void)state;
    say_manifest(&it.key);
    at = strstr(it.manifest, "\nsig ");
    assert_non_null(at);
    at[1] = 0;
    refused(77, KEY_11, "sign");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_honest_manifest_is_believed),      cmocka_unit_test(a_changed_manifest_is_refused),
        cmocka_unit_test(a_manifest_of_another_key_is_refused), cmocka_unit_test(a_manifest_of_another_plan_is_refused),
        cmocka_unit_test(an_unsigned_manifest_is_refused),
    };

    return cmocka_run_group_tests_name("farm forged", tests, set_up, tear_down);
}
