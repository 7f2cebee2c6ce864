/* What a build tries for the first time, noted where it outlives the process.  What crashes inside a vendor's library
   takes the whole process with it, and the next build has to know which candidate that was.
   A process that builds has a file of its own in the folder "trials" of its timing cache, locked while it lives and
   mapped, so that a note costs a copy of some hundred bytes.  Who is killed or interrupted leaves a note as well, which
   blames nobody: that it was a crash is added by the signal handler of pf_trial_watch, and that it stood still by who
   ended it for that. */
#ifndef PF_CACHE_TRIAL_H
#define PF_CACHE_TRIAL_H

#include <sys/types.h>

#include "base/timing_record.h"

typedef struct pf_trial pf_trial;

/* folder: of the timing cache.
   Errors   NO_SPACE, DENIED, IO; BUSY: a process of another container has this one's number.
   Thread   one at a time. */
pf_status pf_trial_open(const char *folder, pf_trial **out, pf_err *err);
void      pf_trial_close(pf_trial *trial);              /* takes the file away; NULL is fine */
/* From now on candidate (tactic, tuning, rev) is tried; texts that are too long for the file leave nothing noted.  Its
   reason is what a user is told in place of a tuning that says nothing to him. */
void      pf_trial_begin(pf_trial *trial, const char *class_text, const char *problem_text,
                         const pf_timing_entry *candidate);
void      pf_trial_end(pf_trial *trial);

/* For programs, not for libraries: from now on a crash while something is tried is noted, before it takes its course.
   say: called in the signal handler with one sentence, so that it may do no more than write; NULL: nothing is said.
   One trial of a process is watched, the first that was opened.  The second call and later ones only replace say. */
void      pf_trial_watch(void (*say)(const char *sentence));
/* For threads that work at something else meanwhile: what crashes in the calling one is never what is tried. */
void      pf_trial_stand_aside(void);

/* Blames what process pid, which was ended, had been trying for so long or longer.  Was there such a thing? */
bool      pf_trial_blame(const char *folder, pid_t pid, int64_t least_ns);
/* Did a process that is gone crash while it tried something, and is that not settled yet?  pid 0: any process.
   What was blamed counts, too. */
bool      pf_trial_crashed(const char *folder, pid_t pid);
/* Who crashed becomes a failed candidate of its problem in store, and files of processes that are gone are removed.
   What cannot be read is left out.
   Errors   those of the store's merge. */
pf_status pf_trial_settle(const char *folder, pf_timing_store *store, pf_err *err);

#endif
