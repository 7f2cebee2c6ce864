/* Log lines of the form "component event key=value ...".  Libraries log through here and never print; nothing
   comes out until a program sets a sink.
   Thread   any; a line is written with one write. */
#ifndef PF_BASE_LOG_H
#define PF_BASE_LOG_H

#include <stdbool.h>

typedef enum pf_log_level { PF_LOG_ERROR, PF_LOG_WARN, PF_LOG_INFO, PF_LOG_DEBUG } pf_log_level;
typedef void pf_log_sink(void *user, pf_log_level level, const char *line);   /* line without a newline */

void pf_log_set_sink(pf_log_sink *sink, void *user);
void pf_log_to_stderr(void);        /* "2026-11-21T07:31:00.123Z info search timed problem=.. tactic=.. ns=.." */
/* "search:debug,wire:info" or "info" for all; NULL reads PF_LOG from the environment. Default is warn.  What it does
   not understand is logged. */
void pf_log_set_filter(const char *filter);
bool pf_log_wanted(pf_log_level level, const char *component);
/* Values that may have blanks stand in quotes, which the format has: quotes inside of values become apostrophes. */
void pf_log(pf_log_level level, const char *component, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Text from outside must not be able to forge a second line or steer a terminal: control characters become blanks. */
void pf_log_flatten(char *line);

#endif
