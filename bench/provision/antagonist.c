/*
 * Takes the host's caches away from whatever else runs here, or takes only the CPU time that doing so costs.
 *
 *     antagonist sweep BYTES SHARE     writes to every cache line of a buffer, over and over
 *     antagonist compute BYTES SHARE   computes in registers for the same time
 *     antagonist chase BYTES SECONDS   prints how long it takes to reach a random line of a buffer
 *
 * The first two start a thread on each CPU that this process may use. Each is busy for SHARE of every period by its own
 * CPU clock, so that both cost the same CPU time, and each sweeps its own part of the buffer. On SIGTERM they print one
 * line of JSON and end.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { LINE = 64, LINES_AT_ONCE = 1024, STEPS_AT_ONCE = 20000, PERIOD_NS = 10000000, MOST_CPUS = 1024 };

struct worker {
    pthread_t thread;
    unsigned char *part;
    size_t lines;
    double share;
    int cpu, sweeps;
    int64_t busy_ns;
    uint64_t swept;
};

static volatile sig_atomic_t ended;
static struct worker workers[MOST_CPUS];
static volatile uint64_t kept;

static void end(int number)
{
    (void)number;
    ended = 1;
}

static int64_t now_ns(clockid_t clock)
{
    struct timespec at;

    clock_gettime(clock, &at);
    return at.tv_sec * 1000000000LL + at.tv_nsec;
}

static void fail(const char *what)
{
    fprintf(stderr, "antagonist: %s: %s\n", what, strerror(errno));
    exit(1);
}

static unsigned char *memory(size_t bytes)
{
    unsigned char *got = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

    if (got == MAP_FAILED)
        fail("no memory");
    return got;
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void be_busy(struct worker *one, size_t *at, uint64_t *state)
{
    if (one->sweeps) {
        for (int i = 0; i < LINES_AT_ONCE; i++, *at = *at + 1 < one->lines ? *at + 1 : 0)
            ((volatile unsigned char *)one->part)[*at * LINE]++;
        one->swept += (uint64_t)LINES_AT_ONCE * LINE;
    } else {
        for (int i = 0; i < STEPS_AT_ONCE; i++)
            next_random(state);
    }
}

static void *work(void *argument)
{
    struct worker *one = argument;
    const int64_t enough_ns = (int64_t)(one->share * PERIOD_NS);
    int64_t next_ns = now_ns(CLOCK_MONOTONIC);
    uint64_t state = 88172645463325252ULL;
    size_t at = 0;

    while (!ended) {
        int64_t began_ns = now_ns(CLOCK_THREAD_CPUTIME_ID), busy_ns;

        do {
            be_busy(one, &at, &state);
            busy_ns = now_ns(CLOCK_THREAD_CPUTIME_ID) - began_ns;
        } while (!ended && busy_ns < enough_ns);
        one->busy_ns += busy_ns;
        next_ns += PERIOD_NS;
        if (next_ns <= now_ns(CLOCK_MONOTONIC)) {
            next_ns = now_ns(CLOCK_MONOTONIC); /* what was missed is not made up for: the share is the most */
        } else {
            struct timespec until = {next_ns / 1000000000, next_ns % 1000000000};

            clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
        }
    }
    kept = state;
    return NULL;
}

static void disturb(int sweeps, size_t bytes, double share)
{
    struct sigaction action = {.sa_handler = end};
    int64_t began_ns, busy_ns = 0;
    uint64_t swept = 0;
    sigset_t none, term;
    cpu_set_t cpus;
    int count = 0;

    sigemptyset(&none);
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, NULL); /* the threads inherit it: only the first one is told */
    sigaction(SIGTERM, &action, NULL);
    if (sched_getaffinity(0, sizeof cpus, &cpus))
        fail("sched_getaffinity");
    for (int cpu = 0; cpu < CPU_SETSIZE && count < MOST_CPUS; cpu++)
        if (CPU_ISSET(cpu, &cpus))
            workers[count++].cpu = cpu;
    unsigned char *buffer = sweeps ? memory(bytes) : NULL;
    size_t lines = bytes / LINE / count;

    began_ns = now_ns(CLOCK_MONOTONIC);
    for (int i = 0; i < count; i++) {
        struct worker *one = &workers[i];
        pthread_attr_t attributes;

        one->part = buffer + (sweeps ? i * lines * LINE : 0);
        one->lines = lines ? lines : 1;
        one->share = share;
        one->sweeps = sweeps;
        CPU_ZERO(&cpus);
        CPU_SET(one->cpu, &cpus);
        pthread_attr_init(&attributes);
        errno = pthread_attr_setaffinity_np(&attributes, sizeof cpus, &cpus);
        if (!errno)
            errno = pthread_create(&one->thread, &attributes, work, one);
        if (errno)
            fail("no thread");
    }
    while (!ended)
        sigsuspend(&none);
    for (int i = 0; i < count; i++) {
        pthread_join(workers[i].thread, NULL);
        busy_ns += workers[i].busy_ns;
        swept += workers[i].swept;
    }
    printf("{\"cpus\": %d, \"cpu_s\": %.6f, \"seconds\": %.6f, \"swept_bytes\": %llu}\n", count, busy_ns / 1e9,
           (now_ns(CLOCK_MONOTONIC) - began_ns) / 1e9, (unsigned long long)swept);
}

/* One random cycle through all lines (Sattolo), so that no prefetcher knows the next. */
static void chase(size_t bytes, double seconds)
{
    size_t lines = bytes / LINE, *order = malloc(lines * sizeof *order);
    unsigned char *buffer = memory(bytes);
    uint64_t state = 88172645463325252ULL, reached = 0;
    int64_t began_ns, took_ns;
    void **at;

    if (!order)
        fail("no memory");
    for (size_t i = 0; i < lines; i++)
        order[i] = i;
    for (size_t i = lines - 1; i > 0; i--) {
        size_t other = next_random(&state) % i, kept_one = order[i];

        order[i] = order[other];
        order[other] = kept_one;
    }
    for (size_t i = 0; i < lines; i++)
        *(void **)(buffer + order[i] * LINE) = buffer + order[(i + 1) % lines] * LINE;
    at = (void **)buffer;
    for (size_t i = 0; i < lines; i++)
        at = *(void ***)at;
    began_ns = now_ns(CLOCK_THREAD_CPUTIME_ID);
    do {
        for (int i = 0; i < LINES_AT_ONCE; i++)
            at = *(void ***)at;
        reached += LINES_AT_ONCE;
        took_ns = now_ns(CLOCK_THREAD_CPUTIME_ID) - began_ns;
    } while (took_ns < seconds * 1e9);
    kept = (uint64_t)(uintptr_t)at;
    printf("{\"reach_ns\": %.3f}\n", (double)took_ns / reached);
}

int main(int argc, char **argv)
{
    const char *kind = argc == 4 ? argv[1] : "";
    size_t bytes = argc == 4 ? strtoull(argv[2], NULL, 10) : 0;
    double amount = argc == 4 ? strtod(argv[3], NULL) : 0;

    if (bytes < 2 * LINE || amount <= 0) {
        fprintf(stderr, "usage: antagonist sweep|compute BYTES SHARE, or chase BYTES SECONDS\n");
        return 2;
    }
    if (!strcmp(kind, "chase"))
        chase(bytes, amount);
    else
        disturb(!strcmp(kind, "sweep"), bytes, amount);
    return 0;
}
