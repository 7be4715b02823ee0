/*
 * Preloaded into a program, sets TCP_NODELAY on every TCP connection it makes or accepts.
 *
 * Small writes without it wait for the peer's delayed acknowledgement, about 40 ms each. The library
 * calls the kernel itself and needs nothing but the address of errno, so that it loads into a program
 * of any libc version:
 *
 *     gcc -O2 -shared -fPIC -nostdlib -fno-stack-protector -o libnodelay.so nodelay.c
 */
#if !defined(__x86_64__) || !defined(__linux__)
#error "written for Linux on x86-64"
#endif

enum { SYS_CONNECT = 42, SYS_ACCEPT = 43, SYS_SETSOCKOPT = 54, SYS_GETSOCKOPT = 55, SYS_ACCEPT4 = 288 };
enum { SOL_SOCKET_ = 1, SO_PROTOCOL_ = 38, IPPROTO_TCP_ = 6, TCP_NODELAY_ = 1 };

extern int *__errno_location(void);

static long system_call(long number, long a, long b, long c, long d, long e)
{
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
                     : "rcx", "r11", "memory");
    return result;
}

/* As libc does it: errno is written on failure only. */
static int finish(long result)
{
    if (result < 0) {
        *__errno_location() = (int)-result;
        return -1;
    }
    return (int)result;
}

/* Its own failures are nobody's business: errno stays as the caller's call left it. */
static void set_nodelay(long socket)
{
    int protocol = 0, on = 1;
    unsigned length = sizeof protocol;

    if (system_call(SYS_GETSOCKOPT, socket, SOL_SOCKET_, SO_PROTOCOL_, (long)&protocol, (long)&length) == 0
        && protocol == IPPROTO_TCP_)
        system_call(SYS_SETSOCKOPT, socket, IPPROTO_TCP_, TCP_NODELAY_, (long)&on, sizeof on);
}

int connect(int socket, const void *address, unsigned length)
{
    set_nodelay(socket); /* before: a connection that is not waited for never comes back here */
    return finish(system_call(SYS_CONNECT, socket, (long)address, length, 0, 0));
}

int accept(int socket, void *address, unsigned *length)
{
    long accepted = system_call(SYS_ACCEPT, socket, (long)address, (long)length, 0, 0);

    if (accepted >= 0)
        set_nodelay(accepted);
    return finish(accepted);
}

int accept4(int socket, void *address, unsigned *length, int flags)
{
    long accepted = system_call(SYS_ACCEPT4, socket, (long)address, (long)length, flags, 0);

    if (accepted >= 0)
        set_nodelay(accepted);
    return finish(accepted);
}
