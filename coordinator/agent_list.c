#include "coordinator/agent_list.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "coordinator/agents.h"
#include "coordinator/classes.h"

/* So that the reply fits. */
enum { PAGE_MAX = 512, AGENT_JOBS_MAX = 16, AGENT_CLASSES_SHOWN = 8, CLASS_TEXTS_BYTES = 256 << 10 };

typedef struct agent_view {
    Pf__AgentStatus status;
    char           *class_name[AGENT_CLASSES_SHOWN];
    uint64_t        job_id[AGENT_JOBS_MAX];
} agent_view;

typedef struct class_view {
    Pf__ClassStatus status;
    char           *alias[PF_CLASS_ALIASES_MAX];
} class_view;

static void fill_agent(const pf_core *core, const pf_agent *agent, agent_view *view)
{
    Pf__AgentStatus *s = &view->status;

    pf__agent_status__init(s);
    s->name = (char *)agent->name;
    s->host = (char *)agent->host;
    s->software = (char *)agent->software;
    s->builder_abi = (char *)pf_text_of(agent->builder_abi);
    s->alive = pf_agents_alive(core, agent);
    s->draining = agent->drain_asked || agent->draining;
    s->sick = agent->sick || agent->sick_told;
    s->health = (char *)agent->health;
    s->leases = agent->leases_count;
    s->crashes = agent->crashed_jobs_count;
    s->seen_ns = agent->seen_ns;
    s->class_name = view->class_name;
    for (uint32_t i = 0; i < agent->slots_count; i++) {
        if (i < AGENT_CLASSES_SHOWN)
            view->class_name[s->n_class_name++] = agent->slot[i]->device_class->name;
        s->free += s->alive ? agent->slot[i]->credit : 0;
    }
    s->job_id = view->job_id;
    for (const pf_job *job = agent->leases; job && s->n_job_id < AGENT_JOBS_MAX; job = job->run->agent_next)
        view->job_id[s->n_job_id++] = job->id;
}

static void fill_class(const pf_core *core, const pf_class *device_class, class_view *view)
{
    Pf__ClassStatus *s = &view->status;

    pf__class_status__init(s);
    s->class_name = (char *)device_class->name;
    s->class_digest = pf_wire_bytes(&device_class->digest);
    s->builder_abi = (char *)pf_text_of(device_class->builder_abi);
    s->queued = device_class->queue.count;
    s->running = device_class->running;
    s->alias = view->alias;
    for (uint32_t i = 0; i < device_class->aliases_count; i++)
        view->alias[s->n_alias++] = (char *)device_class->alias[i];
    for (const pf_slot *slot = device_class->slots; slot; slot = slot->next_of_class)
        s->agents_alive += pf_agents_alive(core, slot->agent);
}

/* ---- what stands behind a cursor, in order */

static int agent_order(const void *a, const void *b)
{
    return strcmp((*(const pf_agent *const *)a)->name, (*(const pf_agent *const *)b)->name);
}

static int class_order(const void *a, const void *b)
{
    const pf_class *one = *(const pf_class *const *)a, *two = *(const pf_class *const *)b;
    int             order = strcmp(one->name, two->name);

    return order ? order : memcmp(&one->digest, &two->digest, sizeof one->digest);
}

/* NULL after pf_core_fail. */
static const pf_agent **agents_behind(pf_core *core, const char *name, uint32_t *count)
{
    const pf_agent **list = pf_core_alloc(core, (core->agents.count + 1) * sizeof *list);

    *count = 0;
    for (uint32_t i = 0; list && i < core->agents.capacity; i++) {
        const pf_agent *agent = core->agents.item[i];
        if (agent && strcmp(agent->name, name) > 0)
            list[(*count)++] = agent;
    }
    if (*count)
        qsort(list, *count, sizeof *list, agent_order);
    return list;
}

/* The same; from the first when there is no cursor. */
static const pf_class **classes_behind(pf_core *core, const pf_class *cursor, uint32_t *count)
{
    const pf_class **list = pf_core_alloc(core, (core->classes_count + 1) * sizeof *list);

    *count = 0;
    for (uint32_t i = 0; list && i < core->classes_count; i++) {
        const pf_class *one = core->class_list[i];
        if (!cursor || class_order(&one, &cursor) > 0)
            list[(*count)++] = one;
    }
    if (*count)
        qsort(list, *count, sizeof *list, class_order);
    return list;
}

/* ---- pages */

typedef struct page {
    const pf_agent  **agents;           /* all that stand behind the cursor */
    const pf_class  **classes;
    agent_view       *agent_views;      /* of those that are listed */
    class_view       *class_views;
    Pf__AgentStatus **agent;
    Pf__ClassStatus **device_class;
    uint32_t          agents_count, classes_count;
} page;

static void clear_page(page *p)
{
    pf_free(p->agents);
    pf_free(p->classes);
    pf_free(p->agent_views);
    pf_free(p->class_views);
    pf_free(p->agent);
    pf_free(p->device_class);
}

static uint32_t at_most(uint32_t count, uint32_t limit)
{
    return count < limit ? count : limit;
}

static void make_page(pf_core *core, const char *agent, const pf_class *device_class, uint32_t limit, page *p)
{
    p->agents = agents_behind(core, agent, &p->agents_count);
    p->classes = classes_behind(core, device_class, &p->classes_count);
    p->agent_views = pf_core_alloc(core, (at_most(p->agents_count, limit) + 1) * sizeof *p->agent_views);
    p->class_views = pf_core_alloc(core, (at_most(p->classes_count, limit) + 1) * sizeof *p->class_views);
    p->agent = pf_core_alloc(core, (at_most(p->agents_count, limit) + 1) * sizeof *p->agent);
    p->device_class = pf_core_alloc(core, (at_most(p->classes_count, limit) + 1) * sizeof *p->device_class);
}

static void put_agents(const pf_core *core, page *p, uint32_t limit, Pf__AgentsReply *reply)
{
    reply->agent = p->agent;
    reply->n_agent = at_most(p->agents_count, limit);
    reply->more_agents = p->agents_count - (uint32_t)reply->n_agent;
    for (size_t i = 0; i < reply->n_agent; i++) {
        fill_agent(core, p->agents[i], &p->agent_views[i]);
        p->agent[i] = &p->agent_views[i].status;
        reply->next_agent = p->agent_views[i].status.name;
    }
}

/* Texts are left out when they would take too much of the reply. */
static void put_classes(const pf_core *core, page *p, uint32_t limit, Pf__AgentsReply *reply)
{
    size_t texts_bytes = 0;

    reply->device_class = p->device_class;
    reply->n_device_class = at_most(p->classes_count, limit);
    reply->more_classes = p->classes_count - (uint32_t)reply->n_device_class;
    for (size_t i = 0; i < reply->n_device_class; i++) {
        fill_class(core, p->classes[i], &p->class_views[i]);
        texts_bytes += p->classes[i]->text->bytes;
        if (texts_bytes <= CLASS_TEXTS_BYTES)
            p->class_views[i].status.class_text = (char *)p->classes[i]->text->data;
        p->device_class[i] = &p->class_views[i].status;
        reply->next_class = p->class_views[i].status.class_digest;
    }
}

/* Refuses and returns false when it is unknown; NULL for the first page. */
static bool find_cursor(pf_core *core, const pf_event *event, const Pf__Agents *asked, const pf_class **out)
{
    pf_digest digest = { 0 };

    *out = NULL;
    if (asked->after_class.len == 0)
        return true;
    if (asked->after_class.len == sizeof digest) {
        memcpy(&digest, asked->after_class.data, sizeof digest);
        *out = pf_classes_find(core, &digest);
    }
    if (!*out)
        pf_core_refuse(core, event, PF_NOT_FOUND,
                       "the device class to go on from is not known; begin with the first again");
    return *out != NULL;
}

void pf_agent_list_answer(pf_core *core, const pf_event *event)
{
    const Pf__Agents *asked = (const Pf__Agents *)event->message->body;
    Pf__AgentsReply   reply = PF__AGENTS_REPLY__INIT;
    uint32_t          limit = asked->limit ? at_most(asked->limit, PAGE_MAX) : PAGE_MAX;
    const pf_class   *cursor = NULL;
    page              p = { 0 };

    if (!find_cursor(core, event, asked, &cursor))
        return;
    make_page(core, asked->after_agent, cursor, limit, &p);
    if (!core->failed) {
        reply.next_agent = asked->after_agent;
        reply.next_class = asked->after_class;
        put_agents(core, &p, limit, &reply);
        put_classes(core, &p, limit, &reply);
        if (!reply.more_agents && !reply.more_classes) {
            reply.next_agent = (char *)"";
            reply.next_class = (ProtobufCBinaryData){ 0 };
        }
        pf_core_reply(core, event, PF_MSG_AGENTS_REPLY, &reply.base);
    }
    clear_page(&p);
}

void pf_agent_list_drain(pf_core *core, const pf_event *event)
{
    const Pf__Drain *asked = (const Pf__Drain *)event->message->body;
    Pf__DrainReply   reply = PF__DRAIN_REPLY__INIT;
    pf_agent        *agent = pf_agents_find(core, asked->agent);
    agent_view       view;

    if (!agent) {
        pf_core_refuse(core, event, PF_NOT_FOUND, "no agent \"%.100s\" is known; planfarm agents lists them",
                       asked->agent);
        return;
    }
    pf_agents_drain(core, agent, asked->resume);
    fill_agent(core, agent, &view);
    reply.agent = &view.status;
    pf_core_reply(core, event, PF_MSG_DRAIN_REPLY, &reply.base);
}
