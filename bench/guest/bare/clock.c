/*
 * The clock is the CPU's time stamp counter, measured against the programmable timer, which keeps the same time: under
 * KVM both go on while the machine stands still, under TCG both stand still with it.
 */
#include "bare.h"

#define PIT_HZ 1193182u
#define PIT_CHANNEL_2 0x42
#define PIT_COMMAND 0x43
#define SPEAKER 0x61
#define TRIES 8
#define MEASURED_US 20000u

#define APIC(offset) (*(volatile uint32_t *)(0xfee00000u + (offset)))
#define APIC_SPURIOUS 0x0f0
#define APIC_TIMER 0x320
#define APIC_COUNT 0x380
#define APIC_LEFT 0x390
#define APIC_DIVIDE 0x3e0
#define PERIODIC 0x20000
#define MASKED 0x10000
#define TICK_VECTOR 0x20
#define SPURIOUS_VECTOR 0xff

uint32_t ticks_per_ms;
static uint32_t apic_per_ms;

struct reading {
    uint64_t ticks;
    uint32_t count;
};

static uint16_t pit_count(void)
{
    uint8_t low;

    out8(PIT_COMMAND, 0x80); /* hold the count of channel 2 */
    low = in8(PIT_CHANNEL_2);
    return (uint16_t)(low | in8(PIT_CHANNEL_2) << 8);
}

/* Both clocks at one moment: the narrowest of some tries, for the host may take the CPU away within one. */
static struct reading read_clocks(void)
{
    struct reading best = { 0, 0 };
    uint64_t narrowest = UINT64_MAX;

    for (int i = 0; i < TRIES; i++) {
        uint64_t before = ticks();
        uint16_t count = pit_count();
        uint64_t width = ticks() - before;

        if (width < narrowest) {
            narrowest = width;
            best.ticks = before + width / 2;
            best.count = count;
        }
    }
    return best;
}

static void find_ticks(void)
{
    struct reading first, last;
    uint32_t elapsed;

    out8(SPEAKER, (in8(SPEAKER) & 0xfc) | 1); /* channel 2 counts, the loudspeaker is off */
    out8(PIT_COMMAND, 0xb4);                  /* round and round, 65,536 to a round: 55 ms */
    out8(PIT_CHANNEL_2, 0);
    out8(PIT_CHANNEL_2, 0);
    first = read_clocks();
    do {
        last = read_clocks();
        elapsed = (first.count - last.count) & 0xffff;
    } while (elapsed < PIT_HZ / 1000 * MEASURED_US / 1000);
    ticks_per_ms = (uint32_t)divide(divide((last.ticks - first.ticks) * PIT_HZ, elapsed), 1000);
}

static void find_apic(void)
{
    uint64_t begin = ticks();
    uint32_t used, took;

    APIC(APIC_COUNT) = UINT32_MAX;
    while (ticks() - begin < (uint64_t)ticks_per_ms * 5)
        ;
    used = UINT32_MAX - APIC(APIC_LEFT);
    took = (uint32_t)micros(ticks() - begin);
    apic_per_ms = (uint32_t)divide((uint64_t)used * 1000, took);
}

/* Measures both counters; on the first vCPU. */
void find_clock(void)
{
    find_ticks();
    set_timer(0);
    find_apic();
}

uint64_t micros(uint64_t duration) { return divide(duration * 1000, ticks_per_ms); }

/* Makes this vCPU tick so often (0: not at all). */
void set_timer(uint32_t us)
{
    APIC(APIC_SPURIOUS) = 0x100 | SPURIOUS_VECTOR;
    APIC(APIC_DIVIDE) = 3; /* by 16 */
    APIC(APIC_TIMER) = us ? PERIODIC | TICK_VECTOR : MASKED | TICK_VECTOR;
    APIC(APIC_COUNT) = us ? (uint32_t)divide((uint64_t)apic_per_ms * us, 1000) : 0;
}

/* The handler returns with interrupts off. */
void wait_for_tick(void) { __asm__ volatile("sti; hlt; cli" : : : "memory", "cc"); }

void pause_us(uint32_t us)
{
    uint64_t end = ticks() + divide((uint64_t)us * ticks_per_ms, 1000);

    while (ticks() < end)
        ;
}
