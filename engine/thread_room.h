/* Can this process start more threads?  GCC's OpenMP library ends the process when it cannot start one, so what is
   going to run many asks first.
   Thread   any. */
#ifndef PF_ENGINE_THREAD_ROOM_H
#define PF_ENGINE_THREAD_ROOM_H

#include <stdbool.h>

/* Starts count threads that are there all at once, and ends them.  False too when memory is short. */
bool pf_thread_room(int count);

#endif
