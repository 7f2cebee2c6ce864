/* What a build printed: of a build that ended the stored log, whole; of one that runs what the farm remembers of it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client/farm_act.h"
#include "client/farm_follow.h"
#include "client/farm_job.h"
#include "client/output.h"

enum { LOG_BYTES_MAX = 128 << 20, PATH_BYTES = 128 };

static const pf_option options[] = {
    PF_FARM_OPTION,
    {.name = "follow", .letter = 'f', .kind = PF_OPTION_FLAG, .help = "go on until the job has ended"},
    {.name = NULL},
};

typedef struct printing {
    pf_call *call;
    pf_buf   text;              /* what was printed of this attempt */
    uint32_t attempt;
    bool     lost;              /* lines before it or in it */
} printing;

static void print_bytes(printing *p, const void *bytes, size_t count)
{
    pf_buf text;

    pf_buf_init(&text, LOG_BYTES_MAX);
    pf_buf_put(&p->text, bytes, count);
    pf_buf_put(&text, bytes, count);
    for (size_t i = 0; i < text.size; i++)
        if (!text.data[i])
            text.data[i] = '?';
    pf_say_buf(p->call, &text);
    pf_buf_clear(&text);
    fflush(stdout);
}

/* The farm keeps the newest events of each job: there may be a gap before them. */
static void print_event(void *user, const Pf__Event *event)
{
    printing *p = user;

    if (event->kind == PF__EVENT_KIND__EVENT_LOG && event->attempt != p->attempt) {
        p->attempt = event->attempt;
        pf_buf_reset(&p->text);
    }
    p->lost = p->lost || event->kind == PF__EVENT_KIND__EVENT_GAP || event->dropped;
    if (event->kind == PF__EVENT_KIND__EVENT_LOG)
        print_bytes(p, event->text, strlen(event->text));
}

static void warn_of_lost(const printing *p, uint64_t job_id)
{
    pf_warn(p->call, "lines were left out; planfarm logs %" PRIu64 " prints all of them when the build has ended",
            job_id);
}

/* What was not printed yet of the stored log. */
static void print_rest(printing *p, const pf_buf *stored, uint64_t job_id)
{
    size_t done = p->text.size;

    if (done > stored->size || (done && memcmp(stored->data, p->text.data, done) != 0))
        warn_of_lost(p, job_id);
    else if (stored->size > done)
        print_bytes(p, stored->data + done, stored->size - done);
}

static pf_status print_stored(pf_farm *farm, printing *p, const Pf__JobStatus *job, pf_err *err)
{
    pf_transfer *transfer = NULL;
    pf_buf       text = {0};
    pf_digest    wanted = {0}, found = {0};
    char         hex[PF_DIGEST_HEX_BYTES], path[PATH_BYTES];
    pf_status    status = pf_farm_transfer(farm, NULL, NULL, &transfer, err);

    memcpy(wanted.byte, job->log_digest.data, sizeof wanted.byte);
    pf_digest_to_hex(&wanted, hex);
    snprintf(path, sizeof path, "/blobs/sha256/%s", hex);
    if (!status)
        status = pf_transfer_get(transfer, path, LOG_BYTES_MAX, &text, err);
    if (!status) {
        pf_digest_of(text.data, text.size, &found);
        if (!pf_digest_equal(&found, &wanted))
            status = PF_FAIL(err, PF_CORRUPT, "the farm gave other bytes than those of its log");
    }
    if (!status)
        print_rest(p, &text, job->job_id);
    pf_buf_clear(&text);
    pf_transfer_free(transfer);
    return status ? pf_err_add(err, status, "job %" PRIu64, job->job_id) : PF_OK;
}

/* The last lines of a build may have come with its end: they are taken from the stored log. */
static pf_status print_remembered(pf_farm *farm, printing *p, const pf_farm_names *names, pf_err *err)
{
    pf_farm_follow       how = {.sink = print_event, .user = p, .known = !pf_args_flag(p->call->args, "follow")};
    pf_message           jobs = {0};
    const Pf__JobStatus *job = NULL;
    pf_status            status = pf_farm_follow_jobs(farm, p->call, names, &how, &jobs, err);

    if (!status && ((const Pf__StatusReply *)jobs.body)->n_job == 1)
        job = ((const Pf__StatusReply *)jobs.body)->job[0];
    if (job && pf_farm_state_is_final(job->state) && job->log_digest.len == PF_DIGEST_BYTES)
        status = print_stored(farm, p, job, err);
    else if (job && p->lost)
        warn_of_lost(p, job->job_id);
    pf_message_clear(&jobs);
    return status;
}

static pf_status no_log(const Pf__JobStatus *job, pf_err *err)
{
    if (pf_farm_state_is_final(job->state))
        return PF_FAIL(err, PF_NOT_FOUND, "job %" PRIu64 " has no log: it is %s, and no build of it ended", job->job_id,
                       pf_job_view_state(job->state));
    return PF_FAIL(err, PF_NOT_FOUND,
                   "job %" PRIu64 " has printed nothing yet: it is %s; planfarm logs %" PRIu64 " -f waits", job->job_id,
                   pf_job_view_state(job->state), job->job_id);
}

static pf_status print_job(pf_farm *farm, printing *p, const pf_farm_names *names, const Pf__JobStatus *job,
                           pf_err *err)
{
    bool final = pf_farm_state_is_final(job->state), follow = pf_args_flag(p->call->args, "follow");

    if (job->log_digest.len == PF_DIGEST_BYTES && (final || (!follow && job->state != PF__JOB_STATE__STATE_LEASED)))
        return print_stored(farm, p, job, err);
    if (final || (!follow && job->attempt == 0))
        return no_log(job, err);
    return print_remembered(farm, p, names, err);
}

static pf_status show(pf_farm *farm, pf_call *call, const pf_farm_names *names, pf_err *err)
{
    printing               p = {.call = call};
    pf_message             answer = {0};
    const Pf__StatusReply *reply = NULL;
    pf_status              status = pf_farm_ask_status(farm, names, &answer, err);

    pf_buf_init(&p.text, LOG_BYTES_MAX);
    reply = status ? NULL : (const Pf__StatusReply *)answer.body;
    if (!status && reply->n_job != 1)
        status = PF_FAIL(err, PF_USAGE, "these are %zu jobs; name one of them (planfarm status shows their numbers)",
                         reply->n_job);
    if (!status)
        status = print_job(farm, &p, names, reply->job[0], err);
    if (!status && p.text.failed)
        status = PF_FAIL_MEMORY(err, LOG_BYTES_MAX);
    if (!status) {
        json_object_set_new(call->result, "job_id", pf_json_count(reply->job[0]->job_id));
        json_object_set_new(call->result, "log", pf_json_text(p.text.size ? (const char *)p.text.data : ""));
    }
    pf_buf_clear(&p.text);
    pf_message_clear(&answer);
    return status;
}

static pf_status run(pf_call *call, pf_err *err) { return pf_farm_act_run(call, show, err); }

const pf_verb_body pf_verb_logs = {
    .options = options,
    .details = "  Prints the whole log of a job whose build has ended, with its last attempt's lines; of one that\n"
               "  runs, what the farm remembers of its newest lines.  With -f the lines of a running build come as\n"
               "  it prints them, until the job has ended.  Ends with 0 whatever became of the job.  --json: job_id\n"
               "  log\n",
    .run = run,
};
