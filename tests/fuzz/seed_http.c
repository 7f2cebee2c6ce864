/* Writes a request of each kind into a folder: where the fuzzer starts. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"

#define ID "00000000000000000000000000000001"
#define SHA "00000000000000000000000000000000000000000000000000000000000000aa"
#define SUBMIT_HEAD \
    "POST /jobs\n{\"submit_id\": \"" ID "\", \"model\": \"net\", \"classes\": [\"cpu\", \"h100\"], " \
    "\"wait_for_class\": true, "

static const char *const requests[] = {
    SUBMIT_HEAD "\"model_sha256\": \"" SHA
                "\", \"spec\": \"fp16=1\\n\", \"priority\": -5, \"user\": \"ann\", \"queue_timeout_s\": 60}",
    SUBMIT_HEAD "\"files\": [{\"name\": \"model.onnx\", \"sha256\": \"" SHA
                "\", \"bytes\": 7}, {\"name\": \"data/w.bin\", \"sha256\": \"" SHA "\", \"bytes\": 99}]}",
    SUBMIT_HEAD "\"source\": {\"url\": \"https://host/m.onnx?x=1\", \"sha256\": \"" SHA
                "\", \"max_bytes\": 1000}, \"build_timeout_s\": 3}",
    "GET /jobs?state=queued,done&user=ann&model=net&before=9&limit=3\n",
    "GET /jobs/1\n",
    "DELETE /jobs/1?reason=enough\n",
    "POST /jobs/1/kick\n",
    "GET /jobs/1/events?after=77\n",
    "GET /submits/01000000000000000000000000000000\n",
    "DELETE /submits/01000000000000000000000000000000\n",
    "GET /submits/01000000000000000000000000000000/events\n",
    "GET /plans?model=net&class=cpu&model_sha256=" SHA "&spec=fp16%3D1&limit=2\n",
    "GET /agents\n",
    "HEAD /agents\n",
    "PATCH /agents\n",
};

int main(int argc, char **argv)
{
    pf_err err = {0};

    if (argc != 2 || pf_dir_make(argv[1], &err))
        return 1;
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        char path[4096];

        snprintf(path, sizeof path, "%s/request_%zu", argv[1], i);
        if (pf_file_write(path, requests[i], strlen(requests[i]), &err)) {
            fprintf(stderr, "%s\n", err.msg);
            return 1;
        }
    }
    return 0;
}
