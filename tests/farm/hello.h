/* What an agent of one device class says first, and then again and again; for tests, fuzz targets and benches. */
#ifndef PF_TESTS_FARM_HELLO_H
#define PF_TESTS_FARM_HELLO_H

#include <string.h>

#include "proto/wire.h"

typedef struct class_hello {            /* points into itself: it stays where it was begun */
    Pf__Hello        hello;             /* to be sent; borrows the texts */
    Pf__DeviceClass  device_class, *classes[1];
    char            *alias[1];
} class_hello;

/* Without aliases and slots. */
static inline void class_hello_begin(class_hello *h, const char *agent, uint64_t epoch, const char *builder_abi,
                                     const char *class_name, const char *class_text)
{
    pf__hello__init(&h->hello);
    pf__device_class__init(&h->device_class);
    h->classes[0] = &h->device_class;
    h->hello.name = (char *)agent;
    h->hello.agent_epoch = epoch;
    h->hello.builder_abi = (char *)builder_abi;
    h->hello.device_class = h->classes;
    h->hello.n_device_class = 1;
    h->device_class.class_name = (char *)class_name;
    h->device_class.class_text = (char *)class_text;
}

static inline void class_hello_alias(class_hello *h, const char *alias)
{
    h->alias[0] = (char *)alias;
    h->device_class.alias = h->alias;
    h->device_class.n_alias = 1;
}

typedef struct class_beat {             /* points into itself: it stays where it was begun */
    Pf__Heartbeat beat;                 /* to be sent; borrows the leases */
    Pf__Credit    credit, *credits[1];
    pf_digest     digest;
} class_beat;

static inline void class_beat_begin(class_beat *b, uint64_t epoch, const char *class_text, Pf__Lease **leases,
                                    size_t lease_count, uint32_t free_slots)
{
    pf__heartbeat__init(&b->beat);
    pf__credit__init(&b->credit);
    pf_digest_of(class_text, strlen(class_text), &b->digest);
    b->credits[0] = &b->credit;
    b->credit.class_digest = pf_wire_bytes(&b->digest);
    b->credit.free = free_slots;
    b->beat.agent_epoch = epoch;
    b->beat.lease = leases;
    b->beat.n_lease = lease_count;
    b->beat.credit = b->credits;
    b->beat.n_credit = 1;
}

#endif
