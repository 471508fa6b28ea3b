/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the process gives up once everything is open, so that whoever takes it over gets little: every
 * capability, files outside the directories it works in, system calls it has no use for, and core dumps.
 *
 * Called once by the control thread, when ports, control socket and event file are open. All threads that
 * exist are confined, those of libraries too, and those that come later inherit it. Capabilities and Landlock
 * are per thread and the kernel has no call that reaches the others, so each is asked by a signal to confine
 * itself; afterwards the kernel's own word (/proc/self/task) is read back. The filter of system calls goes to
 * all threads at once. There is no way back short of a restart.
 *
 * A call that the filter does not know fails with EPERM; one that starts a program, loads code into the
 * kernel or looks into another process ends this one.
 */
#ifndef GATEWAY_CONFINE_H
#define GATEWAY_CONFINE_H

#include <stdbool.h>
#include <stddef.h>

/* What is in force, and what to put in force. */
enum confine_part {
    CONFINE_CAPABILITIES = 1, /* none left in any set, and no new privileges by execve */
    CONFINE_FILES = 2,        /* Landlock */
    CONFINE_CALLS = 4,        /* seccomp */
    CONFINE_DUMPS = 8,        /* no core dump, no ptrace by equals */
};
#define CONFINE_ALL (CONFINE_CAPABILITIES | CONFINE_FILES | CONFINE_CALLS | CONFINE_DUMPS)

/* What this build can bear: at the end a sanitizer's leak checker looks into its own process, and wants the
 * driver of AF_XDP to clean up, which takes capabilities. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CONFINE_BUILD 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define CONFINE_BUILD 0
#endif
#endif
#ifndef CONFINE_BUILD
#define CONFINE_BUILD CONFINE_ALL
#endif

#define CONFINE_PLACES_MAX 128

/* A directory with all that is below it, or one file. */
struct confine_place {
    char path[512];
    bool write; /* files may be made, changed and removed there */
};

struct confine_places {
    size_t n;
    struct confine_place place[CONFINE_PLACES_MAX];
};

/* Adds a place. Of a name with "${" only the directory before it counts. False when the list is full or the
 * name too long. */
bool confine_allow(struct confine_places *places, const char *path, bool write);
/* The same for the directory that holds `path`. */
bool confine_allow_beside(struct confine_places *places, const char *path, bool write);

/*
 * Confines the process. Answers the parts that are now in force: less than `parts` only where the kernel does
 * not know one (CONFINE_FILES before Linux 5.13). -1 when one that the kernel knows could not be put in
 * force, with the reason in `why`: then the process must not go on.
 */
int confine(unsigned int parts, const struct confine_places *places, char *why, size_t why_bytes);

#endif
