#include "client/farm_progress.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "client/farm_job.h"
#include "client/output.h"

enum { TEXT_BYTES = 512, WIDTH_DEFAULT = 80, CELLS = 20 };

#define DRAW_NS  (100 * PF_NS_PER_MS)
#define PRINT_NS (10 * PF_NS_PER_S)

void pf_farm_progress_begin(pf_farm_progress *bar, const pf_call *call)
{
    *bar = (pf_farm_progress){.on_terminal = isatty(STDERR_FILENO)};
    bar->quiet = call->json && !call->verbose && !bar->on_terminal;
}

/* Texts come from other machines: none may move the cursor. */
static void make_harmless(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            *text = '?';
}

static void draw(pf_farm_progress *bar, char *text)
{
    struct winsize size = {0};
    int            width = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col - 1
                                                                                           : WIDTH_DEFAULT;

    if (bar->drawn && pf_clock_ns() - bar->drawn_ns < DRAW_NS)
        return;
    make_harmless(text);
    fprintf(stderr, "\r\033[K%.*s", width, text);
    fflush(stderr);
    bar->drawn = true;
    bar->drawn_ns = pf_clock_ns();
}

/* On a terminal the line is drawn; elsewhere it is printed when the step is another than the last, and now and then. */
static void show(pf_farm_progress *bar, const char *step, char *text)
{
    if (bar->quiet)
        return;
    if (bar->on_terminal) {
        draw(bar, text);
    } else if (strcmp(step, bar->step) != 0 || pf_clock_ns() - bar->drawn_ns > PRINT_NS) {
        make_harmless(text);
        fprintf(stderr, "%s\n", text);
        bar->drawn_ns = pf_clock_ns();
        snprintf(bar->step, sizeof bar->step, "%s", step);
    }
}

static void put_bar(uint32_t permille, char out[CELLS + 3])
{
    uint32_t full = (permille > 1000 ? 1000 : permille) * CELLS / 1000;

    out[0] = '[';
    for (uint32_t i = 0; i < CELLS; i++)
        out[i + 1] = i < full ? '#' : '.';
    out[CELLS + 1] = ']';
    out[CELLS + 2] = 0;
}

void pf_farm_progress_bytes(pf_farm_progress *bar, const char *verb, const char *what, uint64_t done_bytes,
                            uint64_t total_bytes)
{
    char text[TEXT_BYTES], cells[CELLS + 3], done[PF_TEXT_BYTES], total[PF_TEXT_BYTES], step[64];

    if (!total_bytes && !bar->on_terminal)
        return;
    put_bar(total_bytes ? (uint32_t)(done_bytes * 1000 / total_bytes) : 0, cells);
    snprintf(step, sizeof step, "%s %.40s", verb, what);
    snprintf(text, sizeof text, "%-8s %s %s of %s  %.200s", verb, cells, pf_text_bytes(done_bytes, done),
             pf_text_bytes(total_bytes, total), what);
    show(bar, step, text);
}

static void put_left(double seconds, char *out, size_t capacity)
{
    out[0] = 0;
    if (seconds >= 60)
        snprintf(out, capacity, "  about %dm%02ds left", (int)seconds / 60, (int)seconds % 60);
    else if (seconds >= 0)
        snprintf(out, capacity, "  about %ds left", (int)seconds + 1);
}

static int count_of(const json_t *object, const char *name)
{
    return (int)json_integer_value(json_object_get(object, name));
}

/* What the engine counts, when the event brings it. */
static void put_counts(const Pf__Event *event, char *out, size_t capacity)
{
    json_t       *object = event->json[0] ? json_loads(event->json, 0, NULL) : NULL;
    const json_t *left = json_object_get(object, "remaining_seconds");
    char          left_text[48];

    put_left(left ? json_number_value(left) : -1, left_text, sizeof left_text);
    if (json_object_get(object, "problems_total"))
        snprintf(out, capacity, "  %d/%d problems  %d candidates  %d hits%s", count_of(object, "problems_done"),
                 count_of(object, "problems_total"), count_of(object, "candidates_timed"),
                 count_of(object, "cache_hits"), left_text);
    else
        out[0] = 0;
    json_decref(object);
}

void pf_farm_progress_event(pf_farm_progress *bar, const char *label, const Pf__Event *event)
{
    char text[TEXT_BYTES], cells[CELLS + 3], counts[128], step[64];

    put_bar(event->permille, cells);
    put_counts(event, counts, sizeof counts);
    snprintf(step, sizeof step, "%.24s %s %u", label, pf_job_view_phase(event->phase), event->attempt);
    snprintf(text, sizeof text, "%s: %-6s %s%s  %.200s", label, pf_job_view_phase(event->phase), cells, counts,
             event->text);
    show(bar, step, text);
}

void pf_farm_progress_line(pf_farm_progress *bar, const char *format, ...)
{
    char    text[PF_ERR_MSG_BYTES + TEXT_BYTES];
    va_list args;

    if (bar->quiet)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    make_harmless(text);
    pf_farm_progress_end(bar);
    fprintf(stderr, "%s\n", text);
    bar->step[0] = 0;
}

void pf_farm_progress_end(pf_farm_progress *bar)
{
    if (bar->drawn)
        fprintf(stderr, "\r\033[K");
    bar->drawn = false;
}
