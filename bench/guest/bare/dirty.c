/*
 * The working set and who writes it. A worker visits each page of its share once a round, in order or in an order that
 * a generator of full period shuffles, so that a whole round rewrites the whole share, whatever the pattern.
 */
#include "bare.h"

#define BATCH 16                              /* pages between two looks at the clock */
#define STILL_MS 5                            /* a longer step of the clock is no time in which a vCPU ran */
#define CATCH_UP_US 100000                    /* what a stall made late is made up for so long, the rest is forgotten */
#define PAGE_OWED ((uint64_t)PAGE * 1000000u) /* a page in millionths of a byte */

struct worker workers[MAX_THREADS];
static uint64_t rate; /* of each worker, bytes a second; 0: as fast as can be */

/* The page whose turn it is; the next one's comes then. */
static uint32_t next_page(struct worker *w)
{
    uint32_t page = w->position;

    if (!w->step) {
        if (++w->position == w->pages)
            w->position = 0;
    } else {
        /* Full period: an odd increment, and a factor of 1 modulo 4 (Hull and Dobell 1962). */
        do
            w->position = (w->position * 1664525u + w->step) & w->mask;
        while (w->position >= w->pages);
    }
    return page;
}

static void write_page(struct worker *w)
{
    *(volatile uint32_t *)(w->base + next_page(w) * PAGE) = ++w->word;
}

static void write_pages(struct worker *w, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        write_page(w);
    w->written += count;
}

/* Whether more is due at once. */
static int write_due(struct worker *w, uint64_t us)
{
    uint64_t most = rate * CATCH_UP_US + PAGE_OWED;
    uint32_t count = 0;

    w->owed += rate * us;
    if (w->owed > most)
        w->owed = most;
    while (count < BATCH && w->owed >= PAGE_OWED) {
        w->owed -= PAGE_OWED;
        count++;
    }
    write_pages(w, count);
    return w->owed >= PAGE_OWED;
}

/* One batch of each worker from `first` on, `elapsed` ticks after the last; whether more is due at once. */
int work(struct worker *first, uint64_t elapsed)
{
    uint64_t ran = elapsed < (uint64_t)STILL_MS * ticks_per_ms ? elapsed : 0, us = rate ? micros(ran) : 0;
    int more = 0;

    for (struct worker *w = first; w; w = w->next) {
        w->ran += ran;
        w->ran_in_1024 = (uint32_t)(w->ran >> 10);
        if (rate)
            more |= write_due(w, us);
        else
            write_pages(w, BATCH);
    }
    return more || (first && !rate);
}

/* xorshift64* (Vigna 2016): the state is never 0. */
static uint32_t next_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return (uint32_t)(*state * 0x2545F4914F6CDD1Dull >> 32);
}

static void prepare(struct worker *w, int random, uint64_t *seed)
{
    w->word = next_random(seed);
    if (random && w->pages > 1) {
        w->step = next_random(seed) | 1;
        w->mask = w->pages - 1;
        for (uint32_t shift = 1; shift < 32; shift <<= 1)
            w->mask |= w->mask >> shift;
        w->position = next_random(seed) % w->pages;
    }
    for (uint32_t page = 0; page < w->pages; page++)
        *(volatile uint32_t *)(w->base + page * PAGE) = w->word;
}

uint32_t pages_written(void)
{
    uint32_t sum = 0;

    for (uint32_t i = 0; i < MAX_THREADS; i++)
        sum += workers[i].written;
    return sum;
}

/*
 * How many pages of a share do not hold what its worker's own counters say they must; nobody may write to it meanwhile.
 * The page whose turn is next was written longest ago: so many writes back as the share has pages, less one.
 */
static uint32_t wrong_pages(const struct worker *w)
{
    struct worker walk = *w;
    uint32_t wrong = 0;

    for (uint32_t ago = w->pages; ago--;) {
        uint32_t page = next_page(&walk), since = ago < w->written ? ago : w->written;

        wrong += *(volatile uint32_t *)(w->base + page * PAGE) != w->word - since;
    }
    return wrong;
}

/* Looks at the whole working set, and says how many pages it has and how many of them are wrong. */
void check_set(uint32_t *pages, uint32_t *wrong)
{
    *pages = *wrong = 0;
    for (uint32_t i = 0; i < MAX_THREADS; i++) {
        *pages += workers[i].pages;
        *wrong += wrong_pages(&workers[i]);
    }
}

/* Milliseconds that the workers ran since the last call, on the average. */
uint32_t ms_run(void)
{
    static uint32_t told[MAX_THREADS];
    uint64_t sum = 0;
    uint32_t count = 0;

    for (; count < MAX_THREADS && workers[count].pages; count++) {
        uint32_t ran = workers[count].ran_in_1024;

        sum += ran - told[count];
        told[count] = ran;
    }
    return (uint32_t)divide(divide(sum << 10, count), ticks_per_ms);
}

static int refused(const struct settings *s, uint32_t ram_end)
{
    uint32_t room = ram_end > SET_BASE ? ram_end - SET_BASE : 0;

    if (s->bytes > room) {
        say("colo-bench: failed {\"error\":\"dirty: the working set does not fit: ");
        say_number(room, 1);
        say(" bytes are free for it (above 16 MiB and below the end of RAM, or 3 GiB)\"}\n");
        return 1;
    }
    if (s->bytes / PAGE < s->threads) {
        fail("dirty: bytes too few: ", "each thread needs a page");
        return 1;
    }
    return 0;
}

/* Gives each worker its stretch of the set, writes that once, and hands it to its vCPU; 0 when it said why not. */
int share_out(const struct settings *s, uint32_t ram_end, uint32_t cpus)
{
    uint64_t seed = s->seed * 2 + 1;
    uint32_t first = 0, pages = s->bytes / PAGE;

    if (refused(s, ram_end))
        return 0;
    rate = divide(s->rate, s->threads);
    if (s->rate && !rate)
        rate = 1;
    for (uint32_t i = 0; i < s->threads; i++) {
        uint32_t end = (uint32_t)divide((uint64_t)pages * (i + 1), s->threads);

        workers[i].base = (unsigned char *)SET_BASE + first * PAGE;
        workers[i].pages = end - first;
        prepare(&workers[i], (int)s->random, &seed);
        give_work(i % cpus, &workers[i]);
        first = end;
    }
    return 1;
}
