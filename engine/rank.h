/* How many dims a tensor may have. */
#ifndef PF_ENGINE_RANK_H
#define PF_ENGINE_RANK_H

enum { PF_MAX_RANK = 8 };

#endif
