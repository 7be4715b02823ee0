/*
 * The guest's workload program, a static binary:
 *
 *     workload dirty bytes=67108864 rate=20 pattern=sequential threads=1 seed=1
 *
 * writes one 8-byte word to each 4 KiB page it visits, so that `rate` MB (1e6 bytes of pages) are
 * dirtied per second; rate=0 is as fast as possible. The working set is touched once before
 * `started`; then one report a second goes to standard output, each in a single write so that no
 * other line gets into it. An error is one `failed` line and exit status 1.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096ull
#define NS 1000000000ull
#define SLICE_NS 10000000ull  /* pages are written in bursts 10 ms apart */
#define CATCH_UP_SLICES 10    /* what a stall made late is made up for 100 ms, the rest is forgotten */
#define FREE_RUN_PAGES 256
#define MAX_THREADS 256

struct settings {
    uint64_t bytes, threads, seed;
    double rate_bytes_s;
    int random;
};

struct worker {
    pthread_t thread;
    unsigned char *base;
    uint64_t pages, position, state, word;
    double rate_bytes_s;
    int random;
    _Atomic uint64_t written; /* pages, ever */
};

static void say(const char *format, ...)
{
    char line[512];
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (length > 0 && write(STDOUT_FILENO, line, (size_t)length) != length)
        _exit(1);
}

static void fail(const char *what, const char *detail)
{
    say("colo-bench: failed {\"error\":\"dirty: %s %s\"}\n", what, detail);
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS + (uint64_t)now.tv_nsec;
}

static void sleep_until(uint64_t when_ns)
{
    struct timespec when = { (time_t)(when_ns / NS), (long)(when_ns % NS) };

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL) == EINTR)
        ;
}

/* xorshift64* (Vigna 2016): the state is never 0. */
static uint64_t next_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545F4914F6CDD1Dull;
}

static void write_page(struct worker *w)
{
    uint64_t page = w->position;

    if (w->random)
        page = (uint64_t)(((unsigned __int128)next_random(&w->state) * w->pages) >> 64);
    else if (++w->position == w->pages)
        w->position = 0;
    *(volatile uint64_t *)(w->base + page * PAGE) = ++w->word;
}

static void write_pages(struct worker *w, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        write_page(w);
    atomic_fetch_add_explicit(&w->written, count, memory_order_relaxed);
}

static void *run_worker(void *argument)
{
    struct worker *w = argument;
    const double slice_bytes = w->rate_bytes_s * SLICE_NS / NS;
    uint64_t last = now_ns(), next = last;
    double owed = 0;

    while (w->rate_bytes_s == 0)
        write_pages(w, FREE_RUN_PAGES);
    for (;;) {
        uint64_t now, pages;

        next += SLICE_NS;
        sleep_until(next);
        now = now_ns();
        owed += w->rate_bytes_s * (double)(now - last) / NS;
        if (owed > CATCH_UP_SLICES * slice_bytes + PAGE)
            owed = CATCH_UP_SLICES * slice_bytes + PAGE;
        last = now;
        pages = (uint64_t)(owed / PAGE);
        write_pages(w, pages);
        owed -= (double)(pages * PAGE);
        if (next + SLICE_NS < now)
            next = now;
    }
    return NULL;
}

static uint64_t parse_number(const char *key, const char *text, uint64_t smallest, uint64_t largest)
{
    char *end;
    uint64_t value;

    errno = 0;
    value = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno || value < smallest || value > largest)
        fail("illegal value for", key);
    return value;
}

static double parse_rate(const char *text)
{
    char *end;
    double megabytes = strtod(text, &end);

    if (*text < '0' || *text > '9' || *end || !(megabytes >= 0 && megabytes <= 1e6))
        fail("illegal value for", "rate");
    return megabytes * 1e6;
}

static struct settings parse(char **words)
{
    struct settings s = { .bytes = 64 << 20, .threads = 1, .seed = 1, .rate_bytes_s = 20e6 };

    for (; *words; words++) {
        char *value = strchr(*words, '=');

        if (!value)
            fail("key=value expected, legal keys:", "bytes rate pattern threads seed");
        *value++ = '\0';
        if (!strcmp(*words, "bytes"))
            s.bytes = parse_number("bytes", value, PAGE, 1ull << 50);
        else if (!strcmp(*words, "threads"))
            s.threads = parse_number("threads", value, 1, MAX_THREADS);
        else if (!strcmp(*words, "seed"))
            s.seed = parse_number("seed", value, 0, UINT64_MAX - 1);
        else if (!strcmp(*words, "rate"))
            s.rate_bytes_s = parse_rate(value);
        else if (!strcmp(*words, "pattern") && !strcmp(value, "random"))
            s.random = 1;
        else if (!strcmp(*words, "pattern") && !strcmp(value, "sequential"))
            s.random = 0;
        else if (!strcmp(*words, "pattern"))
            fail("illegal pattern; legal:", "sequential random");
        else
            fail("unknown key; legal:", "bytes rate pattern threads seed");
    }
    if (s.bytes / PAGE < s.threads)
        fail("bytes too few:", "each thread needs a page");
    return s;
}

/* Each thread has its own stretch of the working set and its own share of the rate. */
static struct worker *make_workers(const struct settings *s, unsigned char *base)
{
    struct worker *workers = calloc(s->threads, sizeof *workers);
    uint64_t pages = s->bytes / PAGE, seed = s->seed + 1;

    if (!workers)
        fail("out of memory:", "worker table");
    for (uint64_t i = 0; i < s->threads; i++) {
        uint64_t first = pages * i / s->threads;

        workers[i].base = base + first * PAGE;
        workers[i].pages = pages * (i + 1) / s->threads - first;
        workers[i].rate_bytes_s = s->rate_bytes_s / (double)s->threads;
        workers[i].random = s->random;
        workers[i].word = next_random(&seed);
        workers[i].state = next_random(&seed) | 1;
    }
    return workers;
}

static uint64_t total_pages(struct worker *workers, uint64_t threads)
{
    uint64_t sum = 0;

    for (uint64_t i = 0; i < threads; i++)
        sum += atomic_load_explicit(&workers[i].written, memory_order_relaxed);
    return sum;
}

static void report_for_ever(struct worker *workers, uint64_t threads)
{
    uint64_t last = now_ns(), next = last, last_pages = 0;

    for (;;) {
        uint64_t now, pages, bytes;
        double seconds;

        next += NS;
        sleep_until(next);
        now = now_ns();
        pages = total_pages(workers, threads);
        seconds = (double)(now - last) / NS;
        bytes = (pages - last_pages) * PAGE;
        say("colo-bench: report {\"workload\":\"dirty\",\"seconds\":%.3f,\"bytes\":%" PRIu64
            ",\"rate_mb_s\":%.3f,\"total_bytes\":%" PRIu64 "}\n",
            seconds, bytes, (double)bytes / seconds / 1e6, pages * PAGE);
        last = now;
        last_pages = pages;
        if (next + NS < now)
            next = now;
    }
}

static void dirty(const struct settings *s)
{
    unsigned char *base = mmap(NULL, s->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct worker *workers;

    if (base == MAP_FAILED)
        fail("not enough guest memory for", "bytes");
    for (uint64_t offset = 0; offset + PAGE <= s->bytes; offset += PAGE)
        *(volatile uint64_t *)(base + offset) = offset | 1;
    workers = make_workers(s, base);
    say("colo-bench: started {\"workload\":\"dirty\"}\n");
    for (uint64_t i = 0; i < s->threads; i++)
        if (pthread_create(&workers[i].thread, NULL, run_worker, &workers[i]))
            fail("a thread could not be", "started");
    report_for_ever(workers, s->threads);
}

int main(int count, char **words)
{
    struct settings settings;

    if (count < 2 || strcmp(words[1], "dirty"))
        fail("unknown workload; legal:", "dirty");
    settings = parse(words + 2);
    dirty(&settings);
    return 0;
}
