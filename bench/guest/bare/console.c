/* The console: the first serial port, polled. One line in, one line out, as docs and bench/guest/protocol.py have it. */
#include "bare.h"

#define PORT 0x3f8
#define STATUS (PORT + 5)
#define HAS_INPUT 0x01
#define TAKES_OUTPUT 0x20
#define FIFO_BYTES 16

void open_console(void)
{
    out8(PORT + 1, 0);    /* no interrupts */
    out8(PORT + 3, 3);    /* 8 bits, no parity */
    out8(PORT + 2, 0xc1); /* with its FIFO: asked once for 16 bytes whether it takes them */
}

void say(const char *text)
{
    static uint32_t free_bytes;

    for (; *text; text++) {
        if (!free_bytes) {
            while (!(in8(STATUS) & TAKES_OUTPUT))
                ;
            free_bytes = FIFO_BYTES;
            look(0); /* a line takes long where each byte leaves the virtual machine */
        }
        free_bytes--;
        out8(PORT, (uint8_t)*text);
    }
}

/* A whole number with at least so many digits. */
void say_number(uint64_t value, uint32_t digits)
{
    char text[24];
    char *end = text + sizeof text - 1;

    *end = 0;
    for (; value || digits; digits -= digits > 0) {
        uint64_t tenth = divide(value, 10);

        *--end = (char)('0' + (uint32_t)(value - tenth * 10));
        value = tenth;
    }
    say(end);
}

/* The value divided by a thousand, with its three places. */
void say_thousandths(uint64_t value)
{
    uint64_t units = divide(value, 1000);

    say_number(units, 1);
    say(".");
    say_number(value - units * 1000, 3);
}

/* Takes what has come in; whether `line` now holds a whole line. What is longer than `size` is cut. */
int read_line(char *line, uint32_t size)
{
    static uint32_t length;

    while (in8(STATUS) & HAS_INPUT) {
        char byte = (char)in8(PORT);

        if (byte == '\n') {
            line[length] = 0;
            length = 0;
            return 1;
        }
        if (byte != '\r' && length < size - 1)
            line[length++] = byte;
    }
    return 0;
}

void fail(const char *what, const char *detail)
{
    say("colo-bench: failed {\"error\":\"");
    say(what);
    say(detail);
    say("\"}\n");
}

/* What `text` is, up to and without `mark`, which becomes its end; where it goes on. */
static char *cut(char *text, char mark)
{
    while (*text && *text != mark)
        text++;
    if (*text)
        *text++ = 0;
    return text;
}

static int same(const char *one, const char *other)
{
    while (*one && *one == *other)
        one++, other++;
    return *one == *other;
}

/* A decimal number times 10 to the `places`; -1 where it is none, or does not fit. */
int64_t number(const char *text, uint32_t places)
{
    uint64_t value = 0;
    int dot = 0;

    if (*text < '0' || *text > '9')
        return -1;
    for (; *text; text++) {
        if (*text == '.' && !dot) {
            dot = 1;
            continue;
        }
        if (*text < '0' || *text > '9' || value > (uint64_t)1 << 58)
            return -1;
        if (dot && !places)
            continue;
        value = value * 10 + (uint32_t)(*text - '0');
        places -= (uint32_t)dot;
    }
    for (; places; places--) {
        if (value > (uint64_t)1 << 58)
            return -1;
        value *= 10;
    }
    return (int64_t)value;
}

static int whole(const char *text, int64_t least, int64_t most, int64_t *value)
{
    for (const char *one = text; *one; one++)
        if (*one == '.')
            return 0;
    *value = number(text, 0);
    return *value >= least && *value <= most;
}

static int set(struct settings *s, const char *key, const char *value)
{
    int64_t found = 0;

    if (same(key, "pattern")) {
        s->random = same(value, "random");
        return s->random || same(value, "sequential");
    }
    if (same(key, "rate")) {
        found = number(value, 6);
        s->rate = (uint64_t)found;
        return found >= 0 && found <= (int64_t)1000000 * 1000000;
    }
    if (same(key, "bytes") && whole(value, PAGE, (int64_t)1 << 50, &found)) {
        s->bytes = found >> 32 ? UINT32_MAX : (uint32_t)found;
        return 1;
    }
    if (same(key, "threads") && whole(value, 1, MAX_THREADS, &found)) {
        s->threads = (uint32_t)found;
        return 1;
    }
    if (same(key, "seed") && whole(value, 0, INT64_MAX, &found)) {
        s->seed = (uint64_t)found;
        return 1;
    }
    if (same(key, "beat") && whole(value, 1, 1000, &found)) {
        s->beat_us = (uint32_t)found * 1000;
        return 1;
    }
    if (same(key, "poll") && whole(value, 1, 1000, &found)) {
        s->poll_ms = (uint32_t)found;
        return 1;
    }
    return 0;
}

/* The word as we write it ourselves, so that what came in never gets into a line of ours; 0 for an unknown one. */
static const char *known(const char *word)
{
    static const char *const keys[] = { "bytes", "rate", "pattern", "threads", "seed", "beat", "poll" };

    for (uint32_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (same(word, keys[i]))
            return keys[i];
    return 0;
}

/* Reads `key=value ...` into the settings; 0 when a pair is refused, and says which. */
int parse_settings(char *text, struct settings *settings)
{
    while (*text) {
        char *word = text, *value;

        text = cut(text, ' ');
        if (!*word)
            continue;
        value = cut(word, '=');
        if (!set(settings, word, value)) {
            if (known(word))
                fail("illegal value for ", known(word));
            else
                fail("unknown key; legal: ", "bytes rate pattern threads seed beat poll");
            return 0;
        }
    }
    return 1;
}
