/* The other vCPUs: started by INIT and two SIPIs, they write their shares of the working set, or sleep for good. */
#include "bare.h"

#define ICR (*(volatile uint32_t *)0xfee00300u)
#define TO_ALL_OTHERS 0xc0000
#define INIT 0x4500
#define STARTUP 0x4600
#define FW_CFG 0x510
#define FW_CFG_CPUS 5
#define START_US 10000000u
#define WAITING_US 10000
#define TICK_US 1000
#define HOLD_US 1000000u

struct block {
    struct worker *volatile first;
    unsigned char stack[(1 << CPU_SHIFT) - sizeof(struct worker *)];
};

struct gate {
    uint16_t low, selector, type, high;
};

struct block cpus[MAX_CPUS] __attribute__((aligned(PAGE)));
uint32_t volatile cpus_here = 1; /* also the number of the next one to come */

static struct gate gates[256];
static uint32_t volatile cpus_ready = 1, begun, hold, cpus_held;

extern const unsigned char trampoline[], trampoline_end[];
void on_tick(void), on_fault(void), on_spurious(void);
void other_cpu(uint32_t number) __attribute__((noreturn));

static void load_gates(void)
{
    struct {
        uint16_t limit;
        uint32_t base;
    } __attribute__((packed)) pointer = { sizeof gates - 1, (uint32_t)gates };

    __asm__ volatile("lidt %0" : : "m"(pointer));
}

static void make_gates(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t entry = (uint32_t)(i < 0x20 ? on_fault : i == 0x20 ? on_tick : on_spurious);

        gates[i] = (struct gate){ (uint16_t)entry, 8, 0x8e00, (uint16_t)(entry >> 16) };
    }
    out8(0x21, 0xff); /* nothing through the old interrupt controllers */
    out8(0xa1, 0xff);
}

static uint32_t expected(void)
{
    uint32_t low;

    out16(FW_CFG, FW_CFG_CPUS);
    low = in8(FW_CFG + 1);
    return low | (uint32_t)in8(FW_CFG + 1) << 8;
}

/* Starts the other vCPUs; how many there are with this one, or 0 when some did not come and it has said so. */
uint32_t start_cpus(void)
{
    uint32_t wanted = expected();
    uint64_t begin = ticks();

    make_gates();
    load_gates();
    if (wanted > MAX_CPUS) {
        fail("more than 256 vCPUs", "");
        return 0;
    }
    for (uint32_t i = 0; trampoline + i < trampoline_end; i++)
        ((volatile unsigned char *)TRAMPOLINE)[i] = trampoline[i];
    if (wanted > 1) {
        ICR = TO_ALL_OTHERS | INIT;
        pause_us(10000);
        ICR = TO_ALL_OTHERS | STARTUP | TRAMPOLINE / PAGE;
        pause_us(200);
        ICR = TO_ALL_OTHERS | STARTUP | TRAMPOLINE / PAGE;
    }
    while (cpus_ready < wanted)
        if (micros(ticks() - begin) > START_US) {
            fail("some vCPUs did not start", "");
            return 0;
        }
    return wanted;
}

/* From here on each vCPU does its work; one without any sleeps for good. */
void begin_work(void) { begun = 1; }

void give_work(uint32_t cpu, struct worker *worker)
{
    worker->next = cpus[cpu].first;
    cpus[cpu].first = worker;
}

struct worker *work_of(uint32_t cpu) { return cpus[cpu].first; }

/* Whether so many vCPUs stand still before long. */
static int held(uint32_t count)
{
    uint64_t begin = ticks();

    while (cpus_held != count)
        if (micros(ticks() - begin) > HOLD_US)
            return 0;
    return 1;
}

/* Makes the other vCPUs that write stand still; 0 where one of them does not. */
int hold_others(void)
{
    uint32_t writing = 0;

    for (uint32_t i = 1; i < cpus_here; i++)
        writing += cpus[i].first != 0;
    hold = 1;
    return held(writing);
}

void release_others(void)
{
    hold = 0;
    held(0);
}

void other_cpu(uint32_t number)
{
    struct block *own = &cpus[number];
    uint64_t last;

    load_gates();
    set_timer(WAITING_US);
    __asm__ volatile("lock incl %0" : "+m"(cpus_ready));
    while (!begun)
        wait_for_tick();
    set_timer(own->first ? TICK_US : 0);
    last = ticks();
    FOREVER {
        uint64_t now;

        if (hold) {
            __asm__ volatile("lock incl %0" : "+m"(cpus_held));
            while (hold)
                wait_for_tick();
            __asm__ volatile("lock decl %0" : "+m"(cpus_held));
        }
        now = ticks();
        if (!work(own->first, now - last))
            wait_for_tick();
        last = now;
    }
}

void faulted(void)
{
    fail("the guest's program met an exception of its CPU", "");
    FOREVER __asm__ volatile("cli; hlt");
}
