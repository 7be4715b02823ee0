/*
 * Preloaded into a program, adds an offset to the wall clock that it sees: the first eight bytes, nanoseconds, of the
 * file named by COLO_BENCH_FAULT_CLOCK, read anew at every call. All other clocks are as they are.
 *
 *     gcc -O2 -shared -fPIC -nostdlib -fno-stack-protector -o clock.so clock.c
 */
#if !defined(__x86_64__) || !defined(__linux__)
#error "written for Linux on x86-64"
#endif

enum { SYS_OPEN = 2, SYS_CLOSE = 3, SYS_MMAP = 9, SYS_CLOCK_GETTIME = 228 };
enum { CLOCK_REALTIME_ = 0, CLOCK_REALTIME_COARSE_ = 5, PAGE = 4096, SECOND = 1000000000 };

struct time { long seconds, nanoseconds; };
struct microtime { long seconds, microseconds; };

extern int *__errno_location(void);

static volatile const long *offset;

static long system_call(long number, long a, long b, long c, long d, long e, long f)
{
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

static const char *named_file(char **environment)
{
    static const char name[] = "COLO_BENCH_FAULT_CLOCK=";

    for (char **entry = environment; *entry; entry++) {
        int at = 0;
        while (name[at] && (*entry)[at] == name[at])
            at++;
        if (!name[at])
            return *entry + at;
    }
    return 0;
}

__attribute__((constructor)) static void open_offset(int count, char **arguments, char **environment)
{
    const char *path = named_file(environment);
    long file = path ? system_call(SYS_OPEN, (long)path, 0, 0, 0, 0, 0) : -1;
    long page;

    (void)count, (void)arguments;
    if (file < 0)
        return;
    page = system_call(SYS_MMAP, 0, PAGE, 1, 1, file, 0);
    system_call(SYS_CLOSE, file, 0, 0, 0, 0, 0);
    if (page > 0)
        offset = (const long *)page;
}

int clock_gettime(int clock, struct time *time)
{
    long result = system_call(SYS_CLOCK_GETTIME, clock, (long)time, 0, 0, 0, 0);

    if (result < 0) {
        *__errno_location() = (int)-result;
        return -1;
    }
    if (offset && (clock == CLOCK_REALTIME_ || clock == CLOCK_REALTIME_COARSE_)) {
        long shift = *offset, nanoseconds = time->nanoseconds + shift % SECOND;
        long carry = (nanoseconds >= SECOND) - (nanoseconds < 0);

        time->seconds += shift / SECOND + carry;
        time->nanoseconds = nanoseconds - carry * SECOND;
    }
    return 0;
}

int gettimeofday(struct microtime *time, void *zone)
{
    struct time now;

    (void)zone;
    if (time) {
        clock_gettime(CLOCK_REALTIME_, &now);
        time->seconds = now.seconds;
        time->microseconds = now.nanoseconds / 1000;
    }
    return 0;
}

long time(long *seconds)
{
    struct time now;

    clock_gettime(CLOCK_REALTIME_, &now);
    if (seconds)
        *seconds = now.seconds;
    return now.seconds;
}
