/*
 * The bare guest: a program of ours that runs on the machine itself, without an operating system, so that nothing but
 * what it was told to do dirties a page. 32-bit protected mode, no paging, no SSE: what asks least of a CPU. No part of
 * libgcc is needed: 64-bit numbers are divided by `divide`.
 */
#ifndef BARE_H
#define BARE_H

#define TRAMPOLINE 0x8000
#define CPU_SHIFT 10 /* each vCPU has a block of 1 KiB: its worker, and its stack */
#define MAX_CPUS 256
#define MAX_THREADS 64
#define SET_BASE 0x1000000u /* working sets begin at 16 MiB, above all that is ours */

#ifndef __ASSEMBLER__
#include <stdint.h>

#define PAGE 4096u
#define FOREVER for (;;)

/* A share of the working set: on which vCPU it is written is its number modulo the vCPUs. */
struct worker {
    unsigned char *base;
    uint32_t pages, position, step, mask, word;
    uint32_t written;     /* pages, ever; wraps */
    uint64_t owed;        /* millionths of a byte */
    uint64_t ran;         /* ticks, without those in which its vCPU stood still */
    uint32_t ran_in_1024; /* the same, as another vCPU may read it; wraps */
    struct worker *next;
};

struct settings {
    uint32_t bytes, threads, random, beat_us, poll_ms;
    uint64_t seed, rate; /* rate in bytes a second, 0: as fast as can be */
};

static inline void out8(uint16_t port, uint8_t value) { __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port)); }
static inline void out16(uint16_t port, uint16_t value) { __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port)); }
static inline void out32(uint16_t port, uint32_t value) { __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port)); }

static inline uint8_t in8(uint16_t port)
{
    uint8_t value;

    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline uint32_t in32(uint16_t port)
{
    uint32_t value;

    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline uint64_t ticks(void)
{
    uint64_t value;

    __asm__ volatile("rdtsc" : "=A"(value));
    return value;
}

static inline uint64_t divide(uint64_t value, uint32_t by)
{
    uint32_t high = (uint32_t)(value >> 32), low = (uint32_t)value, top = high / by, rest = high % by;

    __asm__("divl %2" : "+a"(low), "+d"(rest) : "r"(by));
    return (uint64_t)top << 32 | low;
}

/* console.c */
void open_console(void);
void say(const char *text);
void say_number(uint64_t value, uint32_t digits);
void say_thousandths(uint64_t value);
int read_line(char *line, uint32_t size);
void fail(const char *what, const char *detail);
int64_t number(const char *text, uint32_t places);
int parse_settings(char *text, struct settings *settings);

/* clock.c */
extern uint32_t ticks_per_ms;
void find_clock(void);
uint64_t micros(uint64_t duration);
void set_timer(uint32_t us);
void wait_for_tick(void);
void pause_us(uint32_t us);

/* cpus.c */
extern uint32_t volatile cpus_here;
uint32_t start_cpus(void);
void give_work(uint32_t cpu, struct worker *worker);
struct worker *work_of(uint32_t cpu);
int hold_others(void);
void release_others(void);
void begin_work(void);
void faulted(void) __attribute__((noreturn));

/* screen.c */
void map_screen(void);

/* beat.c */
void begin_watch(uint32_t beat_us);
void look(uint32_t waited);
void beat_if_due(void);

/* dirty.c */
extern struct worker workers[];
uint32_t pages_written(void);
uint32_t ms_run(void);
int share_out(const struct settings *settings, uint32_t ram_end, uint32_t cpus);
void check_set(uint32_t *pages, uint32_t *wrong);
int work(struct worker *first, uint64_t elapsed);
#endif
#endif
