/*
 * The control workloads, a static binary:
 *
 *     control cpu threads=1
 *     control stream bytes=33554432 threads=1
 *
 * `cpu` computes in registers and writes no memory; `stream` goes through three arrays of `bytes` in all, a[i] = b[i] + 3 c[i], as the
 * triad of STREAM (McCalpin 1995). Once a second a line tells how much was done since the start; when it was said is the reader's
 * clock to tell, since this one stands still in a pause.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PROGRAM "control"
#define KEYS "bytes threads"
#include "program.h"

#define ROUNDS 100000ull
#define CHUNK 4096ull
#define MAX_THREADS 64

struct worker {
    pthread_t thread;
    double *a, *b, *c;
    uint64_t length, state;
    _Atomic uint64_t done;
};

static struct worker workers[MAX_THREADS];
static volatile uint64_t kept; /* what was computed is used, so that it is computed */

static void *compute(void *argument)
{
    struct worker *w = argument;
    uint64_t x = w->state;

    for (;;) {
        for (uint64_t i = 0; i < ROUNDS; i++) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
        }
        kept = x;
        atomic_fetch_add_explicit(&w->done, ROUNDS, memory_order_relaxed);
    }
    return NULL;
}

static void *triad(void *argument)
{
    struct worker *w = argument;

    for (uint64_t from = 0;; from = from + CHUNK < w->length ? from + CHUNK : 0) {
        uint64_t to = from + CHUNK < w->length ? from + CHUNK : w->length;

        for (uint64_t i = from; i < to; i++)
            w->a[i] = w->b[i] + 3.0 * w->c[i];
        atomic_fetch_add_explicit(&w->done, (to - from) * 3 * sizeof(double), memory_order_relaxed);
    }
    return NULL;
}

int main(int count, char **words)
{
    uint64_t bytes = 32 << 20, threads = 1;
    int streams = count > 1 && !strcmp(words[1], "stream");

    if (count < 2 || (!streams && strcmp(words[1], "cpu")))
        fail("unknown workload; legal: cpu stream");
    for (int i = 2; i < count; i++) {
        if (!strncmp(words[i], "threads=", 8))
            threads = number(words[i] + 8, 1, MAX_THREADS);
        else if (streams && !strncmp(words[i], "bytes=", 6))
            bytes = number(words[i] + 6, 3 * CHUNK * sizeof(double), 1ull << 40);
        else
            fail("unknown key; legal: " KEYS);
    }
    for (uint64_t i = 0; i < threads; i++) {
        struct worker *w = &workers[i];

        w->state = 88172645463325252ull + i;
        if (!streams)
            continue;
        w->length = bytes / threads / 3 / sizeof(double);
        w->a = mmap(NULL, 3 * w->length * sizeof(double), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (w->a == MAP_FAILED)
            fail("not enough guest memory for bytes");
        w->b = w->a + w->length;
        w->c = w->b + w->length;
        for (uint64_t j = 0; j < 3 * w->length; j++)
            w->a[j] = 1.0;
    }
    say("colo-bench: started {\"workload\":\"%s\"}\n", words[1]);
    for (uint64_t i = 0; i < threads; i++)
        if (pthread_create(&workers[i].thread, NULL, streams ? triad : compute, &workers[i]))
            fail("a thread could not be started");
    for (;;) {
        struct timespec second = { 1, 0 };
        uint64_t total = 0;

        nanosleep(&second, NULL);
        for (uint64_t i = 0; i < threads; i++)
            total += atomic_load_explicit(&workers[i].done, memory_order_relaxed);
        say("colo-bench: report {\"workload\":\"%s\",\"total\":%" PRIu64 ",\"unit\":\"%s\"}\n", words[1], total,
            streams ? "B" : "rounds");
    }
}
