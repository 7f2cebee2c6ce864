/* What the tests of the HTTP API share: a real coordinator, requests to it and their JSON answers. */
#ifndef PF_TESTS_FARM_HTTP_RIG_H
#define PF_TESTS_FARM_HTTP_RIG_H

#include <jansson.h>

#include "tests/farm/scripted_agent.h"

enum { API_WAIT_S = 60 };

/* Of no blob. */
#define API_NO_DIGEST "00000000000000000000000000000000000000000000000000000000000000ff"

extern daemon_process api_daemon;
extern const char *const api_arguments[];       /* that it was started with */

/* Once, before a program's tests. */
int api_begin(void **state);
/* A coordinator on a fresh state for each test; its clean end. */
int api_set_up(void **state);
int api_tear_down(void **state);

/* One request and its JSON answer, which must come with this code; json_decref. */
json_t *api_ask(const char *method, const char *path, const char *body, long code);
/* A request that must be refused with this code and error, and a sentence. */
void api_refused(const char *method, const char *path, const char *body, long code, const char *error);
const char *api_text(const json_t *object, const char *name);   /* "" when it has no such text */
json_t *api_first_job(const json_t *answer);    /* borrowed */
/* The body of a submit of a model of one file; borrowed until the next call. */
const char *api_submit_body(int id, const char *onnx, const char *classes, const char *more);
/* Puts the file and submits it; the number of the first job. */
long long api_submit(int id, const char *onnx);
const char *api_job_path(long long job, const char *rest);      /* borrowed, for the next 4 calls */
void api_await(long long job, const char *state);

#endif
