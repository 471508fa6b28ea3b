/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Each case confines a child of its own, since there is no way back; the child's exit status tells which of
 * its checks failed. */
#include "gateway/confine.h"
#include "tests/unit/runner.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 4

static char root[64];

static void make_tree(void)
{
    char path[128];
    strcpy(root, "/tmp/confine-test-XXXXXX");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(root));
    static const char *const directories[] = {"read", "write", "other"};
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof(path), "%s/%s", root, directories[i]);
        CU_ASSERT_EQUAL_FATAL(mkdir(path, 0755), 0);
        snprintf(path, sizeof(path), "%s/%s/file", root, directories[i]);
        int fd = open(path, O_WRONLY | O_CREAT, 0644);
        CU_ASSERT_TRUE_FATAL(fd >= 0);
        close(fd);
    }
}

static void remove_tree(void)
{
    char path[128];
    static const char *const names[] = {"read/file", "write/file", "write/new", "other/file",
                                        "read",      "write",      "other",     ""};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", root, names[i]);
        remove(path);
    }
}

/* The wait status of a child that runs `run`. */
static int in_child(int (*run)(void))
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0)
        _exit(run());
    int status = -1;
    CU_ASSERT_EQUAL_FATAL(waitpid(child, &status, 0), child);
    return status;
}

static int open_errno(const char *name, int flags)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", root, name);
    int fd = open(path, flags, 0644);
    int error = fd < 0 ? errno : 0;
    if (fd >= 0)
        close(fd);
    return error;
}

static int confined(unsigned int parts)
{
    static struct confine_places places;
    char path[128], why[256];
    snprintf(path, sizeof(path), "%s/read/${id}.pem", root);
    if (!confine_allow_beside(&places, path, false))
        return -1;
    snprintf(path, sizeof(path), "%s/write", root);
    if (!confine_allow(&places, path, true) || !confine_allow(&places, "/no/such/place", true))
        return -1;
    int in_force = confine(parts, &places, why, sizeof(why));
    if (in_force < 0)
        fprintf(stderr, "%s\n", why);
    return in_force;
}

static int files_child(void)
{
    int in_force = confined(CONFINE_FILES);
    if (in_force == 0)
        return 99; /* a kernel without Landlock */
    if (in_force != CONFINE_FILES)
        return 1;
    if (open_errno("read/file", O_RDONLY) != 0 || open_errno("write/file", O_RDWR) != 0)
        return 2;
    if (open_errno("write/new", O_WRONLY | O_CREAT) != 0)
        return 3;
    if (open_errno("read/file", O_WRONLY) != EACCES || open_errno("read/new", O_WRONLY | O_CREAT) != EACCES)
        return 4;
    if (open_errno("other/file", O_RDONLY) != EACCES)
        return 5;
    return open("/etc/passwd", O_RDONLY) < 0 && errno == EACCES ? 0 : 6;
}

static void only_own_directories(void)
{
    make_tree();
    int status = in_child(files_child);
    remove_tree();
    if (WIFEXITED(status) && WEXITSTATUS(status) == 99) {
        puts("(no Landlock here)");
        return;
    }
    CU_ASSERT_EQUAL(status, 0);
}

/* Threads that were there before: what they see once the process is confined. */
static atomic_int started, go;

static void *watch(void *result)
{
    int *seen = result;
    atomic_fetch_add(&started, 1);
    while (atomic_load(&go) == 0)
        sched_yield();
    *seen = open_errno("other/file", O_RDONLY);
    return NULL;
}

static bool has_capability(void)
{
    char line[128];
    bool any = false;
    FILE *status = fopen("/proc/thread-self/status", "re");
    while (status != NULL && fgets(line, sizeof(line), status) != NULL)
        if (strncmp(line, "Cap", 3) == 0 && strncmp(line, "CapBnd", 6) != 0)
            any = any || strtoull(strchr(line, ':') + 1, NULL, 16) != 0;
    if (status != NULL)
        fclose(status);
    return status == NULL || any;
}

static void *watch_capabilities(void *result)
{
    atomic_fetch_add(&started, 1);
    while (atomic_load(&go) == 0)
        sched_yield();
    *(int *)result = has_capability() ? 1 : 0;
    return NULL;
}

static int with_threads(void *(*body)(void *), unsigned int parts, int seen[THREADS])
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, body, &seen[i]) != 0)
            return -1;
    while (atomic_load(&started) < THREADS)
        sched_yield();
    int in_force = confined(parts);
    atomic_store(&go, 1);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    return in_force;
}

static int threads_files_child(void)
{
    int seen[THREADS] = {0};
    int in_force = with_threads(watch, CONFINE_FILES, seen);
    for (int i = 0; i < THREADS; i++)
        if (in_force == CONFINE_FILES && seen[i] != EACCES)
            return 1;
    return in_force < 0;
}

static int threads_capabilities_child(void)
{
    int seen[THREADS] = {1, 1, 1, 1};
    if (with_threads(watch_capabilities, CONFINE_CAPABILITIES, seen) != CONFINE_CAPABILITIES)
        return 1;
    for (int i = 0; i < THREADS; i++)
        if (seen[i] != 0)
            return 2;
    return has_capability() ? 3 : prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : 4;
}

static void all_threads(void)
{
    make_tree();
    CU_ASSERT_EQUAL(in_child(threads_files_child), 0);
    CU_ASSERT_EQUAL(in_child(threads_capabilities_child), 0);
    remove_tree();
}

static int calls_child(void)
{
    if (confined(CONFINE_CALLS) != CONFINE_CALLS)
        return 1;
    if (syscall(SYS_personality, 0xffffffff) != -1 || errno != EPERM)
        return 2;
    if (socket(AF_PACKET, SOCK_RAW, 0) != -1 || errno != EPERM)
        return 3;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    return fd >= 0 && getpid() > 0 ? 0 : 4;
}

static int execve_child(void)
{
    char *const nothing[] = {NULL};
    if (confined(CONFINE_CALLS) != CONFINE_CALLS)
        return 1;
    execve("/bin/true", nothing, nothing);
    return 2;
}

static void only_own_calls(void)
{
    make_tree();
    CU_ASSERT_EQUAL(in_child(calls_child), 0);
    int status = in_child(execve_child);
    remove_tree();
    CU_ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
}

static int dumps_child(void)
{
    struct rlimit core;
    if (confined(CONFINE_DUMPS) != CONFINE_DUMPS)
        return 1;
    return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0 && getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_max == 0
               ? 0
               : 2;
}

static void no_dumps(void)
{
    make_tree();
    CU_ASSERT_EQUAL(in_child(dumps_child), 0);
    remove_tree();
}

static void places_are_bounded(void)
{
    static struct confine_places places;
    char path[1024];
    CU_ASSERT_TRUE(confine_allow(&places, "/a/${id}/x", false));
    CU_ASSERT_STRING_EQUAL(places.place[0].path, "/a/");
    CU_ASSERT_TRUE(confine_allow_beside(&places, "/b/c/file", false));
    CU_ASSERT_STRING_EQUAL(places.place[1].path, "/b/c");
    CU_ASSERT_TRUE(confine_allow_beside(&places, "/file", false));
    CU_ASSERT_STRING_EQUAL(places.place[2].path, "/");
    CU_ASSERT_TRUE(confine_allow_beside(&places, "/b/c/other", false));
    CU_ASSERT_EQUAL(places.n, 3);
    CU_ASSERT_TRUE(confine_allow_beside(&places, "/b/c/other", true));
    CU_ASSERT_EQUAL(places.n, 4);
    memset(path, 'x', sizeof(path) - 1);
    path[0] = '/';
    path[sizeof(path) - 1] = '\0';
    CU_ASSERT_FALSE(confine_allow(&places, path, false));
    CU_ASSERT_FALSE(confine_allow(&places, "${id}", false));
    for (size_t i = places.n; i < CONFINE_PLACES_MAX; i++) {
        snprintf(path, sizeof(path), "/%zu", i);
        CU_ASSERT_TRUE(confine_allow(&places, path, false));
    }
    CU_ASSERT_FALSE(confine_allow(&places, "/one-too-many", false));
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"places", places_are_bounded},
        {"files: only its own directories", only_own_directories},
        {"threads that exist are confined too", all_threads},
        {"system calls", only_own_calls},
        {"B7, C5: no core dumps", no_dumps},
    };
    return unit_run("confinement", tests, sizeof(tests) / sizeof(tests[0]));
}
