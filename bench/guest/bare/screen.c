/*
 * Where the graphics card's memory lies is for firmware to say, and the small one that we boot by says nothing. A guest
 * of any user has it mapped, and QEMU then has a memory slot more to track at every checkpoint: so it is mapped here.
 */
#include "bare.h"

#define PCI_ADDRESS 0xcf8
#define PCI_VALUE 0xcfc
#define DEVICES 32
#define COMMAND 0x04
#define CLASS 0x08
#define MEMORY_0 0x10
#define MEMORY_2 0x18
#define VGA 0x0300
#define ANSWERS 3 /* to ports and to memory */
#define FRAME_BUFFER 0xfd000000u
#define REGISTERS 0xfebf0000u

static void choose(uint32_t device, uint32_t at) { out32(PCI_ADDRESS, 0x80000000u | device << 11 | at); }

void map_screen(void)
{
    for (uint32_t device = 0; device < DEVICES; device++) {
        choose(device, CLASS);
        if (in32(PCI_VALUE) >> 16 != VGA)
            continue;
        choose(device, MEMORY_0);
        out32(PCI_VALUE, FRAME_BUFFER);
        choose(device, MEMORY_2);
        out32(PCI_VALUE, REGISTERS);
        choose(device, COMMAND);
        out32(PCI_VALUE, ANSWERS);
        return;
    }
}
