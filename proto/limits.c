#include "proto/limits.h"

#include <ctype.h>
#include <string.h>

bool pf_text_is_line(const char *text, size_t min_bytes, size_t capacity)
{
    size_t bytes = 0;

    for (; text[bytes]; bytes++)
        if ((unsigned char)text[bytes] < 0x20 || text[bytes] == 0x7f)
            return false;
    return bytes >= min_bytes && bytes < capacity;
}

bool pf_text_is_name(const char *text, size_t capacity)
{
    size_t bytes = 0;

    for (; text[bytes]; bytes++)
        if (!isalnum((unsigned char)text[bytes]) && !strchr("._-:/@+", text[bytes]))
            return false;
    return bytes > 0 && bytes < capacity;
}
