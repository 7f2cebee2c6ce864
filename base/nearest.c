#include "base/nearest.h"

#include <stdbool.h>
#include <string.h>

enum { LETTERS = 64 };

static bool same(char a, char b)
{
    return (a == '_' ? '-' : a) == (b == '_' ? '-' : b);
}

static uint32_t least(uint32_t a, uint32_t b, uint32_t c)
{
    uint32_t ab = a < b ? a : b;

    return ab < c ? ab : c;
}

/* Optimal string alignment: rows are prefixes of a, three of them kept. */
uint32_t pf_edit_distance(const char *a, const char *b)
{
    uint32_t rows[3][LETTERS + 1];
    size_t   la = strnlen(a, LETTERS), lb = strnlen(b, LETTERS);

    for (size_t j = 0; j <= lb; j++)
        rows[0][j] = (uint32_t)j;
    for (size_t i = 1; i <= la; i++) {
        uint32_t *now = rows[i % 3], *last = rows[(i - 1) % 3], *before = rows[(i + 1) % 3];

        now[0] = (uint32_t)i;
        for (size_t j = 1; j <= lb; j++) {
            now[j] = least(last[j] + 1, now[j - 1] + 1, last[j - 1] + !same(a[i - 1], b[j - 1]));
            if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1]) && before[j - 2] + 1 < now[j])
                now[j] = before[j - 2] + 1;
        }
    }
    return rows[la % 3][lb];
}

void pf_nearest_begin(pf_nearest *nearest, const char *wanted)
{
    *nearest = (pf_nearest){.wanted = wanted, .distance = UINT32_MAX};
}

void pf_nearest_offer(pf_nearest *nearest, const char *word)
{
    uint32_t distance = pf_edit_distance(nearest->wanted, word);

    if (distance >= nearest->distance)
        return;
    nearest->distance = distance;
    nearest->best = word;
}

const char *pf_nearest_end(const pf_nearest *nearest)
{
    size_t letters = strlen(nearest->wanted);

    return nearest->best && nearest->distance <= (letters + 2) / 3 ? nearest->best : NULL;
}
