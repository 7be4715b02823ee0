/* What the first vCPU does: it comes up, says so, and does what the console's lines ask. */
#include "bare.h"

#define LOADER 0x2BADB002u
#define FLAG_MEMORY 1
#define TICK_US 500
#define REPORT_MS 1000
#define POLL_MS 50
#define LINE_BYTES 256
#define MIB 0x100000u
#define MOST_RAM 0xc0000000u /* from 3 GiB on lie devices, and RAM beyond 4 GiB is out of reach without paging */

static const char *running;
static uint32_t ram_end, cpu_count, poll_ms = POLL_MS;

/* Milliseconds are seconds with three places, and bytes a millisecond are MB/s with three places. */
static void report(void)
{
    static uint64_t total;
    static uint32_t reported;
    uint32_t pages = pages_written(), ms = ms_run();
    uint64_t bytes = (uint64_t)(pages - reported) * PAGE, rate = ms ? divide(bytes, ms) : 0;

    total += bytes;
    reported = pages;
    say("colo-bench: report {\"workload\":\"dirty\",\"seconds\":");
    say_thousandths(ms);
    say(",\"bytes\":");
    say_number(bytes, 1);
    say(",\"rate_mb_s\":");
    say_thousandths(rate);
    say(",\"total_bytes\":");
    say_number(total, 1);
    say("}\n");
}

/* Whether a text begins with this word, which is then passed over together with the space after it. */
static int takes(char **text, const char *word)
{
    char *at = *text;

    while (*word)
        if (*at++ != *word++)
            return 0;
    if (*at && *at != ' ')
        return 0;
    *text = *at ? at + 1 : at;
    return 1;
}

static void start(char *text)
{
    struct settings settings = { .bytes = 64 * MIB, .threads = 1, .seed = 1, .rate = 20000000, .beat_us = 10000,
                                 .poll_ms = POLL_MS };
    const char *workload = takes(&text, "idle") ? "idle" : takes(&text, "dirty") ? "dirty" : 0;

    if (running) {
        fail(running, " was started before");
    } else if (!workload) {
        fail("unknown workload; legal with the bare guest: ", "idle dirty");
    } else if (parse_settings(text, &settings) &&
               (*workload == 'i' || share_out(&settings, ram_end, cpu_count))) {
        running = workload;
        poll_ms = settings.poll_ms;
        say("colo-bench: started {\"workload\":\"");
        say(workload);
        say("\"}\n");
        begin_watch(settings.beat_us);
        begin_work();
    }
}

/* Begins an answer with the number that was asked, by which it is told from the answer to another question. */
static void answer(const char *word, const char *asked)
{
    int64_t found = number(asked, 0);

    say("colo-bench: ");
    say(word);
    say(" {\"asked\":");
    say_number(found < 0 ? 0 : (uint64_t)found, 1);
}

/* That it lives, and how far it has come. */
static void tell_alive(const char *asked)
{
    answer("alive", asked);
    say(",\"clock_us\":");
    say_number(micros(ticks()), 1);
    say(",\"pages\":");
    say_number(pages_written(), 1);
    say("}\n");
}

/* Whether memory holds what the workers' counters say, all of them standing still; `held`: whether they did. */
static void tell_checked(const char *asked)
{
    uint32_t pages, wrong;
    int held = hold_others();

    check_set(&pages, &wrong);
    release_others();
    answer("checked", asked);
    say(",\"pages\":");
    say_number(pages, 1);
    say(",\"wrong\":");
    say_number(wrong, 1);
    say(held ? ",\"held\":true}\n" : ",\"held\":false}\n");
}

static void listen(void)
{
    static char line[LINE_BYTES];

    while (read_line(line, sizeof line)) {
        char *text = line;

        if (takes(&text, "start"))
            start(text);
        else if (takes(&text, "alive"))
            tell_alive(text);
        else if (takes(&text, "check"))
            tell_checked(text);
        else if (*line)
            fail("unknown command; legal: ", "start WORKLOAD key=value..., alive N, check N");
    }
}

static void serve(void)
{
    uint32_t tick = TICK_US * (ticks_per_ms / 1000), waited = 0;
    uint64_t worked = ticks(), polled = worked, reported = worked;

    set_timer(TICK_US);
    FOREVER {
        uint64_t now = ticks();
        int more;

        look(waited);
        more = work(work_of(0), now - worked);
        look(0);
        worked = now;
        if (running)
            beat_if_due();
        if (work_of(0) && now - reported >= (uint64_t)REPORT_MS * ticks_per_ms) {
            reported = now;
            report();
        }
        if (now - polled >= (uint64_t)poll_ms * ticks_per_ms) {
            polled = now;
            listen();
        }
        waited = more ? 0 : tick;
        if (!more)
            wait_for_tick();
    }
}

void first_cpu(uint32_t magic, const uint32_t *info)
{
    open_console();
    if (magic != LOADER || !(*info & FLAG_MEMORY)) {
        fail("not started by a multiboot loader that ", "tells the size of memory");
        FOREVER wait_for_tick();
    }
    ram_end = info[2] < (MOST_RAM - MIB) / 1024 ? MIB + info[2] * 1024 : MOST_RAM;
    find_clock();
    map_screen();
    cpu_count = start_cpus();
    if (cpu_count)
        say("colo-bench: ready\n");
    serve();
}
