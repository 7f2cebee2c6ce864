/* Runs the planfarm program, which the environment variable PLANFARM names, in a folder of its own. */
#ifndef PF_TESTS_CLIENT_PROGRAM_H
#define PF_TESTS_CLIENT_PROGRAM_H

#include <jansson.h>
#include <sys/types.h>

#include "tests/test.h"

typedef struct run {
    int    code;            /* exit code; -N when it died of signal N */
    char  *out, *err;       /* all that it wrote; from malloc */
    size_t out_bytes;
} run;

/* Words up to NULL.  The program's current folder is test_folder()/work, its cache lies in test_folder()/cache. */
run  program_run(const char *const *words);
void program_clear(run *result);
/* The cache lies in another folder from now on; NULL: where it lay first.  Borrowed. */
void program_use_cache(const char *folder);
/* The same, started and left running; wait with program_end.  What the last one says of errors is in
   test_path("started.txt"). */
pid_t program_start(const char *const *words);
int   program_end(pid_t pid);

#define RUN(...) program_run((const char *const[]){__VA_ARGS__, NULL})

/* Fails the test, showing what came, unless the program ended with this code. */
#define ended_with(result, wanted) program_ended_with((result), (wanted), __FILE__, __LINE__)
void program_ended_with(const run *result, int wanted, const char *file, int line);
/* The sole JSON object on standard output; json_decref. Fails the test when it is something else. */
json_t *program_json(const run *result);
/* The same of a run that must succeed. */
json_t *program_json_of(const char *const *words);
#define JSON(...) program_json_of((const char *const[]){__VA_ARGS__, "--json", NULL})

/* tiny.onnx (tests/client/tiny_model.h) and its plan, tiny.plan. */
void        program_build_tiny(void);
/* Names in test_folder()/work, folders included; hidden ones count. */
unsigned    program_files(void);
const char *program_path(const char *name);     /* in the program's folder; valid for the next few calls */

#endif
