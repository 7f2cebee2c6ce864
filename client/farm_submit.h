/* Handing a model to the farm: its files go up where they are missing, the build is asked for under one random id, so
   that asking again never builds twice.
   Thread   one. */
#ifndef PF_CLIENT_FARM_SUBMIT_H
#define PF_CLIENT_FARM_SUBMIT_H

#include "client/farm.h"
#include "client/farm_names.h"
#include "engine/planfarm.h"

/* Rows of an option table, besides those of the build spec. */
#define PF_SUBMIT_OPTIONS \
    {.name = "gpu", .kind = PF_OPTION_TEXT, .value = "CLASS,..", \
     .help = "device classes to build for: names, aliases, 8 hex digits of their digest; auto: of this machine"}, \
    {.name = "name", .kind = PF_OPTION_TEXT, .value = "NAME", \
     .help = "what the farm calls the model; its file's name otherwise"}, \
    {.name = "sha256", .kind = PF_OPTION_TEXT, .value = "HEX", \
     .help = "of a model by URL: what its bytes must be; plans are found again only with it"}, \
    {.name = "data_sha256", .kind = PF_OPTION_TEXT, .value = "FILE=HEX", \
     .help = "with --sha256, for each weights file beside the model: what its bytes must be"}, \
    {.name = "max_bytes", .kind = PF_OPTION_INT, .value = "N", .least = 1, .greatest = 9e15, \
     .help = "of a model by URL: most that it may have, with its weights"}, \
    {.name = "priority", .kind = PF_OPTION_INT, .value = "N", .least = -100, .greatest = 100, \
     .help = "-100 to 100: each step is worth a minute of waiting in the queue; 0 otherwise"}, \
    {.name = "user", .kind = PF_OPTION_TEXT, .value = "NAME", .help = "who asks; $USER otherwise"}, \
    {.name = "queue_timeout", .kind = PF_OPTION_INT, .value = "SECONDS", .least = 1, .greatest = 31536000, \
     .help = "give up when no agent of the class was there for so long"}, \
    {.name = "build_timeout", .kind = PF_OPTION_INT, .value = "SECONDS", .least = 1, .greatest = 31536000, \
     .help = "most time for one attempt"}, \
    {.name = "wait_for_class", .kind = PF_OPTION_FLAG, .help = "accept a class that no agent has declared yet"}

typedef struct pf_farm_submission {     /* open; zero it before use */
    uint8_t    submit_id[PF_SUBMIT_ID_BYTES];
    pf_digest  model;
    char       model_name[PF_MODEL_NAME_BYTES];     /* as asked; the farm may have the same model by an earlier name */
    uint64_t   uploaded_bytes;
    pf_message answer;                  /* owned: Pf__SubmitReply with the jobs */
} pf_farm_submission;

/* model: a file, or the URL that an agent fetches it from.  gpu: NULL takes --gpu.  The other options come from the
   call, those that its table has.
   Errors   those of the model, of the farm, NOT_FOUND: a class that nobody declared. */
pf_status pf_farm_submit(pf_farm *farm, pf_call *call, const char *model, const char *gpu, const pf_config *config,
                         pf_farm_submission *out, pf_err *err);
void      pf_farm_submission_clear(pf_farm_submission *submission);

#endif
