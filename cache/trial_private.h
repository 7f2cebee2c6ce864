/* The file of a trial, for cache/trial*.c alone: numbers in little endian.
     magic u32, version u32, active u32 (0: nothing is tried), signal u32 (0: no crash), since when u64 (pf_clock_ns),
     bytes u64 and checksum u64 of what follows: the class's and the problem's text, and a timing record of
     the one candidate, as a blob. */
#ifndef PF_CACHE_TRIAL_PRIVATE_H
#define PF_CACHE_TRIAL_PRIVATE_H

#define PF_TRIAL_FOLDER  "trials"
#define PF_TRIAL_MAGIC   UINT32_C(0x4c525450)           /* "PTRL" */

enum { PF_TRIAL_VERSION = 2, PF_TRIAL_ACTIVE_AT = 8, PF_TRIAL_SIGNAL_AT = 12, PF_TRIAL_SINCE_AT = 16,
       PF_TRIAL_HEAD_BYTES = 40, PF_TRIAL_FILE_BYTES = 1 << 16 };

/* In place of a signal: it did not crash, but stood still and was ended. */
#define PF_TRIAL_STOOD_STILL UINT32_C(0x10000)

#endif
