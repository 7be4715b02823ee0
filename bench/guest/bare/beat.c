/*
 * The first vCPU watches itself. It looks at its clock all the time; a step that is longer than its work is a hole, in
 * which its stores stood still. In *beats* it tells of its clock, of the longest hole since the last beat, and of how
 * far each worker has come, by writing to read-only registers of the host bridge: QEMU changes nothing, dirties no page,
 * and traces each write (pci_cfg_write) with the host's time. A machine that stands still shows as a hole where its clock
 * went on (KVM), and as host time that the guest knows nothing of where its clock stood still too (TCG).
 */
#include "bare.h"

#define HOLE_US 2000 /* a longer hole is told of at once */

#define PCI_ADDRESS 0xcf8
#define PCI_VALUE 0xcfc
#define BRIDGE 0x80000000u
#define AT_HOLE 0x00     /* us; opens a beat */
#define AT_ENDED 0x28    /* us by the guest's clock: where that hole ended */
#define AT_PROGRESS 0x2c /* pages that a worker has written so far: one after the other */
#define AT_CLOCK 0x08    /* us; closes a beat */

static uint64_t last, hole, ended, beaten;
static uint32_t due, longest;

void begin_watch(uint32_t beat_us)
{
    due = beat_us * (ticks_per_ms / 1000);
    longest = HOLE_US * (ticks_per_ms / 1000);
    hole = 0;
    last = beaten = ticks();
}

/* Takes a look at the clock; `waited` ticks of the time since the last look were spent on purpose. */
void look(uint32_t waited)
{
    uint64_t now = ticks(), step = now - last;

    last = now;
    if (step > waited && step - waited > hole) {
        hole = step - waited;
        ended = now;
    }
}

static void tell(uint32_t at, uint32_t value)
{
    out32(PCI_ADDRESS, BRIDGE | at);
    out32(PCI_VALUE, value);
}

void beat_if_due(void)
{
    if (hole < longest && last - beaten < due)
        return;
    beaten = last;
    tell(AT_HOLE, (uint32_t)micros(hole));
    tell(AT_ENDED, (uint32_t)micros(ended));
    hole = 0;
    for (uint32_t i = 0; i < MAX_THREADS && workers[i].pages; i++)
        tell(AT_PROGRESS, workers[i].written);
    out32(PCI_ADDRESS, BRIDGE | AT_CLOCK);
    out32(PCI_VALUE, (uint32_t)micros(ticks()));
    look(0); /* a pause in the midst of a beat is in the next one */
}
