/*
 * enter UID ROOT PROGRAM ARGUMENTS...: runs a program of the applications' file system as that user. Its environment is this one and
 * no other, so that nothing of the guest's console chooses for it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int fail(const char *what)
{
    fprintf(stderr, "enter: %s: %s\n", what, strerror(errno));
    return 127;
}

int main(int count, char **words)
{
    char *environment[] = { "PATH=/usr/bin:/usr/sbin:/bin", "HOME=/tmp", "LC_ALL=C", "TZ=UTC", "USER=postgres", NULL };
    gid_t user;

    if (count < 4)
        return 127;
    user = (gid_t)strtoul(words[1], NULL, 10);
    if (chroot(words[2]) || chdir("/"))
        return fail(words[2]);
    if (user && (setgroups(0, NULL) || setgid(user) || setuid(user)))
        return fail("the user");
    execve(words[3], words + 3, environment);
    return fail(words[3]);
}
