/* Entry of the bare guest: from the multiboot loader, of the other vCPUs, and of interrupts. Paging stays off. */

#include "bare.h"

.set MAGIC, 0x1BADB002
.set FLAGS, 3 /* modules on page borders, and the size of memory */

.section .text
.align 4
.long MAGIC, FLAGS, -(MAGIC + FLAGS)

.globl _start
_start:
    cli
    cld
    lgdt gdt_pointer
    ljmp $8, $1f
1:  call load_segments
    mov $stack_top, %esp
    push %ebx
    push %eax
    call first_cpu

load_segments:
    mov $16, %cx
    mov %cx, %ds
    mov %cx, %es
    mov %cx, %ss
    ret

/* Copied below 1 MiB: where a vCPU begins, in real mode, when it is started. */
.globl trampoline, trampoline_end
.code16
trampoline:
    cli
    xor %ax, %ax
    mov %ax, %ds
    lgdtl TRAMPOLINE + (2f - trampoline)
    mov %cr0, %eax
    or $1, %al
    mov %eax, %cr0
    ljmpl $8, $other_cpu_entry
2:  .word gdt_end - gdt - 1
    .long gdt
trampoline_end:

.code32
other_cpu_entry:
    mov $16, %cx
    mov %cx, %ds
    mov %cx, %es
    mov %cx, %ss
    mov $1, %eax
    lock xadd %eax, cpus_here
    mov %eax, %esp
    inc %esp
    shl $CPU_SHIFT, %esp
    add $cpus, %esp /* the stack of a vCPU is the end of its own block */
    push %eax
    call other_cpu

.globl on_tick, on_fault, on_spurious
on_tick:
    movl $0, 0xfee000b0 /* end of interrupt */
on_spurious:
    /* Not iret, which a KVM that emulates protected mode does not know. They come in wait_for_tick alone, at one
     * privilege, and what follows there wants interrupts off: drop the code segment and the flags. */
    ret $8

on_fault:
    call faulted

.align 8
gdt:
    .quad 0, 0x00cf9a000000ffff, 0x00cf92000000ffff
gdt_end:
gdt_pointer:
    .word gdt_end - gdt - 1
    .long gdt

.section .bss
.align 4096
.skip 4096
stack_top:

.section .note.GNU-stack, "", @progbits
