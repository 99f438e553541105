/* Worker threads. Inside the core only. */
#ifndef SCHUSS_POOL_H
#define SCHUSS_POOL_H

/* Does share `index` of `count` of the work in context. */
typedef void (*schuss_task)(void *context, int index, int count);

/* Runs task(context, 0..count-1, count), each once, and returns when all are done. Shares run on the caller and on
 * worker threads; all on the caller if count is 1 or another thread is using the pool. Denormals are flushed to
 * zero meanwhile, on every thread that works, and the mode found is put back. */
void schuss_parallel(int count, schuss_task task, void *context);

#endif
