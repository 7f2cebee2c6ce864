/* An HTTP server on loopback that answers what a test wrote down: to see how the other end takes what real servers,
   dying disks and broken proxies do. */
#ifndef PF_TESTS_FARM_AGENT_HTTP_SCRIPT_H
#define PF_TESTS_FARM_AGENT_HTTP_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct http_reply {
    int         status;                 /* 0: close without a word */
    const void *body;
    size_t      bytes;
    size_t      sent_bytes;             /* the body breaks off after so many; 0: it does not */
    bool        ranges;                 /* a Range is honoured by 206 */
    bool        stalls;                 /* and then nothing comes, nor does the connection end */
    bool        unannounced;            /* the length is not told: the body lasts until the connection ends */
    const char *header;                 /* one more, with its line end; NULL: none */
} http_reply;

/* Starts it; replies are used one after the other, the last one again and again.  Answers its URL. */
const char *http_script_start(const http_reply *replies, int count);
/* Replaces the script. */
void        http_script_set(const http_reply *replies, int count);
#define HTTP_SCRIPT(...) \
    do { const http_reply s_[] = { __VA_ARGS__ }; http_script_set(s_, sizeof s_ / sizeof *s_); } while (0)
void        http_script_stop(void);
int         http_script_end(void **state);          /* the same, for cmocka */
int         http_script_requests(void);             /* since the script was set, HEAD not counted */
const char *http_script_last_range(void);           /* "" when the last GET had none */
/* The head of the last request, with line ends; valid until the next request is over. */
const char *http_script_last_head(void);
/* What the last PUT brought. */
const void *http_script_put(size_t *bytes);

#endif
