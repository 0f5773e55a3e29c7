/* thread.h — threads that take no signals: these are for the loop of the service. */
#ifndef SHOAL_COMMON_THREAD_H
#define SHOAL_COMMON_THREAD_H

#include <pthread.h>

/* pthread_create with all signals blocked in the new thread: 0, or its error number. */
int thread_start (pthread_t *thread, void *(*run) (void *context), void *context);

#endif
