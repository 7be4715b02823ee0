/*
 * The workload `build`, a static binary: C files on the replicated disk, compiled in parallel, round and round, each into an object:
 *
 *     build CC1 AS jobs=2 files=64 functions=20 level=1
 *
 * CC1 and AS are the compiler and the assembler, by their paths in the applications' file system, where they run. The sources are made
 * here, the same in each run, and need no header. Once a second a line tells how many files were compiled since the start; when it was
 * said is the reader's clock to tell, since this one stands still in a pause.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PROGRAM "build"
#define KEYS "jobs files functions level"
#include "program.h"

#define ROOT "/apps"
#define PLACE "/state/build"
#define LOG "/log/build"
#define MAX_JOBS 64
#define LAST_WORDS 2048
#define FULL "No space left on device"

static uint64_t jobs = 2, files = 64, functions = 20, level = 1;
static const char *compiler, *assembler;
static _Atomic uint64_t next, done;

static void disk_failed(void)
{
    fail(errno == ENOSPC ? "the replicated disk is full" : "the sources could not be written");
}

/* One function of a source: arithmetic, a loop over a table, a list, a switch: work for every pass of a compiler. */
static void write_function(FILE *to, uint64_t file, uint64_t number)
{
    uint64_t odd = (file * 2654435761u + number * 40503u) | 1;

    fprintf(to, "static unsigned table_%" PRIu64 "[64];\n", number);
    fprintf(to, "unsigned work_%" PRIu64 "_%" PRIu64 "(struct node *at, unsigned x)\n{\n", file, number);
    fprintf(to, "    unsigned sum = x * %" PRIu64 "u;\n\n", odd % 65521);
    fprintf(to, "    for (int i = 0; i < 64; i++) {\n        table_%" PRIu64 "[i] += sum ^ (x >> (i & 15));\n", number);
    fprintf(to, "        sum = (sum << 5) - sum + table_%" PRIu64 "[(i * %" PRIu64 ") & 63];\n    }\n", number, odd % 61);
    fprintf(to, "    for (; at; at = at->next) {\n        if (at->key %% %" PRIu64 "u == x)\n", odd % 97 + 2);
    fprintf(to, "            return sum + at->weight[sum & 7];\n        for (int i = 0; i < 8; i++)\n");
    fprintf(to, "            at->weight[i] = at->weight[i] * %" PRIu64 " + (int)(sum >> i);\n    }\n", odd % 31);
    fprintf(to, "    switch (sum & 7) {\n");
    for (int i = 0; i < 8; i++)
        fprintf(to, "    case %d: return sum * %" PRIu64 "u + table_%" PRIu64 "[%d];\n", i, odd % 1009 + (uint64_t)i, number, i * 8);
    fprintf(to, "    }\n    return sum;\n}\n\n");
}

static void write_source(uint64_t file)
{
    char path[64];
    FILE *to;
    int bad;

    snprintf(path, sizeof path, ROOT PLACE "/f%" PRIu64 ".c", file);
    to = fopen(path, "w");
    if (!to)
        disk_failed();
    fprintf(to, "struct node { struct node *next; unsigned key; int weight[8]; };\n\n");
    for (uint64_t number = 0; number < functions; number++)
        write_function(to, file, number);
    bad = ferror(to);
    if (fclose(to) || bad)
        disk_failed();
}

/* In the child: the applications' file system, the log for all that is said. No function here may take a lock of another thread. */
static void enter_and_run(const char *const *words)
{
    char *environment[] = { "PATH=/usr/bin", "LC_ALL=C", "TMPDIR=" PLACE, NULL };
    int log = open(LOG, O_WRONLY | O_CREAT | O_APPEND, 0600);

    if (log < 0 || dup2(log, STDOUT_FILENO) < 0 || dup2(log, STDERR_FILENO) < 0 || chroot(ROOT) || chdir(PLACE))
        _exit(126);
    execve(words[0], (char *const *)words, environment);
    _exit(127);
}

static void explain(int status)
{
    char words[LAST_WORDS + 1], text[128];
    ssize_t length = 0;
    int log = open(LOG, O_RDONLY);

    if (log >= 0) {
        off_t size = lseek(log, 0, SEEK_END);

        length = pread(log, words, LAST_WORDS, size > LAST_WORDS ? size - LAST_WORDS : 0);
    }
    words[length > 0 ? length : 0] = 0;
    if (strstr(words, FULL))
        fail("the replicated disk is full");
    if (WIFSIGNALED(status))
        fail("the compiler was killed: the guest has too little memory for it");
    if (length > 0 && write(STDOUT_FILENO, words, (size_t)length) != length)
        _exit(1);
    snprintf(text, sizeof text, "the compiler ended with status %d", WEXITSTATUS(status));
    fail(text);
}

static void run(const char *const *words)
{
    int status;
    pid_t child = fork();

    if (child < 0)
        fail("a process could not be started: the guest has too little memory for it");
    if (!child)
        enter_and_run(words);
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            fail("a process was lost");
    if (!WIFEXITED(status) || WEXITSTATUS(status))
        explain(status);
}

static void *compile(void *job)
{
    char optimize[32], source[32], assembly[32], object[32];

    snprintf(optimize, sizeof optimize, "-O%" PRIu64, level);
    /* Its own: with fewer files than jobs, two of them have the same source. */
    snprintf(assembly, sizeof assembly, "job%" PRIuPTR ".s", (uintptr_t)job);
    for (;;) {
        uint64_t file = atomic_fetch_add_explicit(&next, 1, memory_order_relaxed) % files;

        snprintf(source, sizeof source, "f%" PRIu64 ".c", file);
        snprintf(object, sizeof object, "f%" PRIu64 ".o", file);
        run((const char *const[]){ compiler, "-quiet", "-w", "-ffreestanding", optimize, source, "-o", assembly, NULL });
        run((const char *const[]){ assembler, assembly, "-o", object, NULL });
        atomic_fetch_add_explicit(&done, 1, memory_order_relaxed);
    }
    return NULL;
}

static void read_words(int count, char **words)
{
    for (int i = 3; i < count; i++) {
        if (!strncmp(words[i], "jobs=", 5))
            jobs = number(words[i] + 5, 1, MAX_JOBS);
        else if (!strncmp(words[i], "files=", 6))
            files = number(words[i] + 6, 1, 10000);
        else if (!strncmp(words[i], "functions=", 10))
            functions = number(words[i] + 10, 1, 10000);
        else if (!strncmp(words[i], "level=", 6))
            level = number(words[i] + 6, 0, 3);
        else
            fail("unknown key; legal: " KEYS);
    }
}

int main(int count, char **words)
{
    pthread_t thread;
    int started = 0;

    if (count < 3)
        fail("no compiler was named");
    compiler = words[1];
    assembler = words[2];
    read_words(count, words);
    if (mkdir(ROOT PLACE, 0755) && errno != EEXIST)
        disk_failed();
    for (uint64_t file = 0; file < files; file++)
        write_source(file);
    for (uint64_t i = 0; i < jobs; i++)
        if (pthread_create(&thread, NULL, compile, (void *)(uintptr_t)i))
            fail("a thread could not be started");
    for (;;) {
        struct timespec second = { 1, 0 };
        uint64_t total;

        nanosleep(&second, NULL);
        total = atomic_load_explicit(&done, memory_order_relaxed);
        if (total && !started++)
            say("colo-bench: started {\"workload\":\"build\"}\n");
        if (started)
            say("colo-bench: report {\"workload\":\"build\",\"total\":%" PRIu64 ",\"unit\":\"files\"}\n", total);
    }
}
