#include "client/progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"

enum { TEXT_BYTES = 256, WIDTH_DEFAULT = 80, BAR_CELLS = 20, SECONDS_PER_MINUTE = 60 };

#define DRAW_EVERY_NS  (100 * PF_NS_PER_MS)
#define PRINT_EVERY_NS (5 * PF_NS_PER_S)

void pf_progress_begin(pf_progress_bar *bar, const pf_call *call)
{
    *bar = (pf_progress_bar){.on_terminal = isatty(STDERR_FILENO), .verbose = call->verbose};
}

static void put_left(int64_t remaining_ns, char *out, size_t capacity)
{
    int64_t seconds = remaining_ns / PF_NS_PER_S;

    out[0] = 0;
    if (remaining_ns < 0)
        return;
    if (seconds < SECONDS_PER_MINUTE)
        snprintf(out, capacity, "  about %llds left", (long long)seconds + 1);
    else
        snprintf(out, capacity, "  about %lldm%02llds left", (long long)(seconds / SECONDS_PER_MINUTE),
                 (long long)(seconds % SECONDS_PER_MINUTE));
}

static void put_bar(const pf_progress *progress, char out[BAR_CELLS + 3])
{
    uint32_t total = progress->problems_total ? progress->problems_total : 1;
    uint32_t full = (uint32_t)((uint64_t)progress->problems_done * BAR_CELLS / total);

    out[0] = '[';
    for (uint32_t i = 0; i < BAR_CELLS; i++)
        out[i + 1] = i < full ? '#' : '.';
    out[BAR_CELLS + 1] = ']';
    out[BAR_CELLS + 2] = 0;
}

void pf_progress_text(const pf_progress *progress, char *out, size_t capacity)
{
    char bar[BAR_CELLS + 3], left[48];

    put_bar(progress, bar);
    put_left(progress->remaining_ns, left, sizeof left);
    snprintf(out, capacity, "%-8s %s %u/%u problems  %u candidates  %u hits%s%s%s", pf_phase_name(progress->phase), bar,
             progress->problems_done, progress->problems_total, progress->candidates_timed, progress->cache_hits, left,
             progress->layer && progress->layer[0] ? "  " : "", progress->layer ? progress->layer : "");
    for (char *at = out; *at; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            *at = '?';
}

static void draw(const char *text)
{
    struct winsize size = {0};
    int            width = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col - 1
                                                                                           : WIDTH_DEFAULT;

    fprintf(stderr, "\r\033[K%.*s", width, text);
    fflush(stderr);
}

void pf_progress_show(pf_progress_bar *bar, const pf_progress *progress)
{
    int64_t now = pf_clock_ns();
    bool    new_phase = !bar->begun || bar->phase != progress->phase;
    char    text[TEXT_BYTES];

    if (!bar->on_terminal && !bar->verbose)
        return;
    if (!new_phase && now - bar->last_ns < (bar->on_terminal ? DRAW_EVERY_NS : PRINT_EVERY_NS))
        return;
    pf_progress_text(progress, text, sizeof text);
    if (bar->on_terminal)
        draw(text);
    else
        fprintf(stderr, "%s\n", text);
    bar->begun = true;
    bar->drawn = bar->on_terminal;
    bar->phase = progress->phase;
    bar->last_ns = now;
}

void pf_progress_end(pf_progress_bar *bar)
{
    if (bar->drawn)
        fprintf(stderr, "\r\033[K");
    bar->drawn = false;
}
