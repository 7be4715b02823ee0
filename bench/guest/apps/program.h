/*
 * What the programs of this guest have in common: lines for who reads the console, an end that says why, numbers as they are typed.
 * PROGRAM is whose they are, KEYS what may be typed.
 */
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static pthread_mutex_t failing = PTHREAD_MUTEX_INITIALIZER;

/* In a single write, so that no other line gets into it. */
static void say(const char *format, ...)
{
    char line[256];
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (length > 0 && write(STDOUT_FILENO, line, (size_t)length) != length)
        _exit(1);
}

/* The first thread that fails says why, and ends all. */
static void fail(const char *what)
{
    pthread_mutex_lock(&failing);
    say("colo-bench: failed {\"error\":\"" PROGRAM ": %s\"}\n", what);
    _exit(1);
}

static uint64_t number(const char *text, uint64_t smallest, uint64_t largest)
{
    char *end;
    uint64_t value = strtoull(text, &end, 10);

    if (*text < '0' || *text > '9' || *end || value < smallest || value > largest)
        fail("illegal value; legal keys: " KEYS);
    return value;
}
