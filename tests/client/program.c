#include "tests/client/program.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/client/tiny_model.h"

enum { WORDS = 64 };

typedef struct text { char *data; size_t bytes; } text;

const char *program_path(const char *name)
{
    char path[PATH_MAX];

    snprintf(path, sizeof path, "work/%s", name);
    return test_path(path);
}

static const char *cache_home;

void program_use_cache(const char *folder)
{
    cache_home = folder;
}

/* In the child. */
static void become(const char *const *words, int out, int err)
{
    char       *argv[WORDS] = {getenv("PLANFARM")};
    const char *work = test_path("work");

    for (int i = 0; words[i] && i + 2 < WORDS; i++)
        argv[i + 1] = (char *)words[i];
    mkdir(work, 0777);
    if (chdir(work))
        _exit(120);
    setenv("XDG_CACHE_HOME", cache_home ? cache_home : test_path("cache"), 1);
    unsetenv("PF_LOG");
    if (out >= 0)
        dup2(out, STDOUT_FILENO);
    if (err >= 0)
        dup2(err, STDERR_FILENO);
    dup2(open("/dev/null", O_RDONLY), STDIN_FILENO);
    execv(argv[0] ? argv[0] : "", argv);
    _exit(121);
}

static bool take(int fd, text *into)
{
    char    part[4096];
    ssize_t got = read(fd, part, sizeof part);

    if (got <= 0)
        return got < 0 && errno == EINTR;
    into->data = realloc(into->data, into->bytes + (size_t)got + 1);
    assert_non_null(into->data);
    memcpy(into->data + into->bytes, part, (size_t)got);
    into->bytes += (size_t)got;
    into->data[into->bytes] = 0;
    return true;
}

static void take_both(int out, int err, text *from_out, text *from_err)
{
    struct pollfd wait[2] = {{.fd = out, .events = POLLIN}, {.fd = err, .events = POLLIN}};

    while (wait[0].fd >= 0 || wait[1].fd >= 0) {
        if (poll(wait, 2, -1) < 0)
            continue;
        if (wait[0].revents && !take(out, from_out))
            wait[0].fd = -1;
        if (wait[1].revents && !take(err, from_err))
            wait[1].fd = -1;
    }
}

int program_end(pid_t pid)
{
    int ended = 0;

    while (waitpid(pid, &ended, 0) < 0 && errno == EINTR)
        continue;
    return WIFEXITED(ended) ? WEXITSTATUS(ended) : -WTERMSIG(ended);
}

pid_t program_start(const char *const *words)
{
    int   nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    int   errors = open(test_path("started.txt"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    pid_t pid = 0;

    pid = fork();
    if (pid == 0)
        become(words, nowhere, errors);
    close(nowhere);
    close(errors);
    return pid;
}

run program_run(const char *const *words)
{
    int   out[2], err[2];
    text  from_out = {strdup(""), 0}, from_err = {strdup(""), 0};
    pid_t pid = 0;
    run   result = {0};

    if (!getenv("PLANFARM"))
        fail_msg("the environment variable PLANFARM must name the program");
    test_folder();
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    assert_int_equal(pipe2(err, O_CLOEXEC), 0);
    pid = fork();
    if (pid == 0)
        become(words, out[1], err[1]);
    close(out[1]);
    close(err[1]);
    take_both(out[0], err[0], &from_out, &from_err);
    close(out[0]);
    close(err[0]);
    result = (run){program_end(pid), from_out.data, from_err.data, from_out.bytes};
    return result;
}

void program_clear(run *result)
{
    free(result->out);
    free(result->err);
    *result = (run){0};
}

void program_ended_with(const run *result, int wanted, const char *file, int line)
{
    if (result->code == wanted)
        return;
    print_error("exit code %d came, %d was wanted\n--- output\n%.2000s\n--- errors\n%.2000s\n", result->code, wanted,
                result->out, result->err);
    _fail(file, line);
}

json_t *program_json(const run *result)
{
    json_error_t why;
    json_t      *value = json_loadb(result->out, result->out_bytes, 0, &why);

    if (!json_is_object(value))
        fail_msg("no JSON object: %s in\n%.2000s\n%.500s", why.text, result->out, result->err);
    return value;
}

json_t *program_json_of(const char *const *words)
{
    run     result = program_run(words);
    json_t *value = NULL;

    ended_with(&result, 0);
    value = program_json(&result);
    program_clear(&result);
    return value;
}

void program_build_tiny(void)
{
    run result = {0};

    mkdir(program_path(""), 0777);
    tiny_model(program_path("tiny.onnx"));
    result = RUN("build", "tiny.onnx", "--shapes", "x:2x3x16x16");
    ended_with(&result, 0);
    program_clear(&result);
}

unsigned program_files(void)
{
    DIR           *folder = opendir(test_path("work"));
    struct dirent *entry = NULL;
    unsigned       count = 0;

    while (folder && (entry = readdir(folder)) != NULL)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    if (folder)
        closedir(folder);
    return count;
}
