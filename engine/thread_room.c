#include "engine/thread_room.h"

#include <pthread.h>

#include "base/alloc.h"

static void *pass(void *gate)
{
    pthread_mutex_lock(gate);
    pthread_mutex_unlock(gate);
    return NULL;
}

bool pf_thread_room(int count)
{
    pthread_t      *threads = pf_calloc((size_t)count + 1, sizeof *threads);
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    int             started = 0;

    if (!threads)
        return false;
    pthread_mutex_lock(&gate);
    while (started < count && !pthread_create(&threads[started], NULL, pass, &gate))
        started++;
    pthread_mutex_unlock(&gate);
    for (int i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    pf_free(threads);
    return started == count;
}
