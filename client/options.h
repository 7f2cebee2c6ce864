/* Options of a verb as a table: parsing, help and completion are made from it. */
#ifndef PF_CLIENT_OPTIONS_H
#define PF_CLIENT_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"

typedef enum pf_option_kind { PF_OPTION_FLAG, PF_OPTION_TEXT, PF_OPTION_INT, PF_OPTION_REAL } pf_option_kind;

typedef struct pf_option {          /* a table ends with a row whose name is NULL */
    const char    *name;            /* without dashes; '_' and '-' are the same letter, shown as '-' */
    char           letter;          /* the short form; 0: none */
    pf_option_kind kind;
    const char    *value;           /* what its value is called in help: "FILE"; NULL for a flag */
    const char    *fallback;        /* the value when it is not given; NULL: none */
    const char    *help;
    double         least, greatest; /* of a number; both 0: any */
} pf_option;

/* What every verb takes. */
extern const pf_option pf_common_options[];

/* A parsed command line.  It borrows the table and argv. */
typedef struct pf_args pf_args;

/* argv[0] is the verb.  "--name value", "--name=value", "-n value", "-nvalue", operands anywhere, "--" ends options.
   Errors   USAGE: an unknown option (with the nearest known one), a missing or malformed value. */
pf_status   pf_args_parse(const pf_option *options, int argc, char **argv, pf_args **out, pf_err *err);
void        pf_args_free(pf_args *args);                                    /* NULL is fine */
/* name must be in the table.  The last one given counts. */
bool        pf_args_flag(const pf_args *args, const char *name);
const char *pf_args_text(const pf_args *args, const char *name);  /* the fallback when not given, perhaps NULL */
int64_t     pf_args_int(const pf_args *args, const char *name);             /* 0 without value and fallback */
double      pf_args_real(const pf_args *args, const char *name);
bool        pf_args_given(const pf_args *args, const char *name);
/* Each one given, in order. */
uint32_t    pf_args_count(const pf_args *args, const char *name);
const char *pf_args_nth(const pf_args *args, const char *name, uint32_t index);
uint32_t    pf_args_operand_count(const pf_args *args);
const char *pf_args_operand(const pf_args *args, uint32_t index);           /* NULL past the end */
/* Errors   USAGE unless there are least to most operands; what names them: "MODEL.onnx". */
pf_status   pf_args_expect(const pf_args *args, uint32_t least, uint32_t most, const char *what, pf_err *err);

/* A line for each option, for help. */
void        pf_options_print(const pf_option *options, pf_buf *out);
/* "--name" with '-' for '_'. */
void        pf_option_flag(const pf_option *option, char *out, size_t capacity);

#endif
