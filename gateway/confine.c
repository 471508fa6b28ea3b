/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/confine.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS_MAX 20
#define ROUND_NS 5000000L

/* What the signal handler is to do in each thread. Written before the first signal. */
static struct {
    int ruleset; /* of Landlock, or -1 */
    bool capabilities;
    atomic_int error;
} orders;

/* ---- places -------------------------------------------------------------------------------------------- */

bool confine_allow(struct confine_places *places, const char *path, bool write)
{
    const char *variable = strstr(path, "${");
    size_t len = variable == NULL ? strlen(path) : (size_t)(variable - path);
    while (variable != NULL && len > 0 && path[len - 1] != '/')
        len--;
    if (len == 0 || len >= sizeof(places->place[0].path))
        return false;
    for (size_t i = 0; i < places->n; i++)
        if (strncmp(places->place[i].path, path, len) == 0 && places->place[i].path[len] == '\0' &&
            places->place[i].write == write)
            return true;
    if (places->n == CONFINE_PLACES_MAX)
        return false;
    struct confine_place *place = &places->place[places->n++];
    memcpy(place->path, path, len);
    place->path[len] = '\0';
    place->write = write;
    return true;
}

bool confine_allow_beside(struct confine_places *places, const char *path, bool write)
{
    if (strstr(path, "${") != NULL)
        return confine_allow(places, path, write);
    char directory[sizeof(places->place[0].path)];
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        return confine_allow(places, ".", write);
    size_t len = slash == path ? 1 : (size_t)(slash - path);
    if (len >= sizeof(directory))
        return false;
    memcpy(directory, path, len);
    directory[len] = '\0';
    return confine_allow(places, directory, write);
}

/* ---- files: Landlock ----------------------------------------------------------------------------------- */

#define FILE_READ LANDLOCK_ACCESS_FS_READ_FILE
#define FILE_WRITE LANDLOCK_ACCESS_FS_WRITE_FILE
#define TREE_READ (FILE_READ | LANDLOCK_ACCESS_FS_READ_DIR)
#define TREE_WRITE                                                                                           \
    (TREE_READ | FILE_WRITE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |               \
     LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |              \
     LANDLOCK_ACCESS_FS_MAKE_SYM)
/* All rights of the first version, and moving and cutting, which came later (values as the kernel has them:
 * the headers of Debian 12 know them, those of other systems may not). */
#define RIGHTS_1 ((UINT64_C(1) << 13) - 1)
#define RIGHT_REFER (UINT64_C(1) << 13)
#define RIGHT_TRUNCATE (UINT64_C(1) << 14)

static uint64_t rights_of(long abi)
{
    return RIGHTS_1 | (abi >= 2 ? RIGHT_REFER : 0) | (abi >= 3 ? RIGHT_TRUNCATE : 0);
}

static int add_place(int ruleset, uint64_t known, const struct confine_place *place)
{
    int fd = open(place->path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno; /* what is not there needs no door */
    uint64_t rights = place->write ? TREE_WRITE | RIGHT_REFER | RIGHT_TRUNCATE : TREE_READ;
    int directory = open(place->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (directory >= 0)
        close(directory);
    else
        rights &= FILE_READ | FILE_WRITE | RIGHT_TRUNCATE;
    struct landlock_path_beneath_attr rule = {.allowed_access = rights & known, .parent_fd = fd};
    long status = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    int error = status == 0 ? 0 : -errno;
    close(fd);
    return error;
}

/* A ruleset; -1 when the kernel has no Landlock; -2 on failure, with `why`. */
static int make_ruleset(const struct confine_places *places, char *why, size_t why_bytes)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (abi < 1)
        return -1;
    struct landlock_ruleset_attr attributes = {.handled_access_fs = rights_of(abi)};
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attributes, sizeof(attributes), 0);
    if (ruleset < 0) {
        snprintf(why, why_bytes, "Landlock: %s", strerror(errno));
        return -2;
    }
    for (size_t i = 0; i < places->n; i++) {
        int error = add_place(ruleset, attributes.handled_access_fs, &places->place[i]);
        if (error != 0) {
            snprintf(why, why_bytes, "Landlock: %.200s: %s", places->place[i].path, strerror(-error));
            close(ruleset);
            return -2;
        }
    }
    return ruleset;
}

/* ---- each thread by itself ----------------------------------------------------------------------------- */

static int drop_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    return syscall(SYS_capset, &header, none) == 0 ? 0 : errno;
}

/* In a signal handler: system calls only. */
static void confine_thread(int signal)
{
    (void)signal;
    int kept = errno, error = 0;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        error = errno;
    if (error == 0 && orders.ruleset >= 0 && syscall(SYS_landlock_restrict_self, orders.ruleset, 0) != 0)
        error = errno;
    if (error == 0 && orders.capabilities)
        error = drop_capabilities();
    if (error != 0)
        atomic_store(&orders.error, error);
    errno = kept;
}

/* What the kernel says of a thread. One that is gone is confined, one of which nothing is known is not. */
static bool is_confined(const char *tid)
{
    char path[64], line[128];
    bool privileged = false, open = true;
    snprintf(path, sizeof(path), "/proc/self/task/%.20s/status", tid);
    FILE *status = fopen(path, "re");
    if (status == NULL)
        return errno == ENOENT || errno == ESRCH;
    while (fgets(line, sizeof(line), status) != NULL) {
        if (strncmp(line, "CapEff:", 7) == 0)
            privileged = orders.capabilities && strtoull(line + 7, NULL, 16) != 0;
        else if (strncmp(line, "NoNewPrivs:", 11) == 0)
            open = strtol(line + 11, NULL, 10) == 0;
    }
    fclose(status);
    return !privileged && !open;
}

/* Asks every other thread that is not confined yet; answers how many there were, or -1. */
static int ask_threads(DIR *tasks)
{
    int asked = 0;
    struct dirent *entry;
    rewinddir(tasks);
    while ((entry = readdir(tasks)) != NULL) {
        pid_t tid = (pid_t)strtol(entry->d_name, NULL, 10);
        if (tid <= 0 || tid == gettid() || is_confined(entry->d_name))
            continue;
        asked++;
        if (syscall(SYS_tgkill, getpid(), tid, SIGRTMIN + 1) != 0 && errno != ESRCH)
            return -1;
    }
    return asked;
}

/* This thread is the last: it has to read what the kernel says of the others, from files that will be shut.
 */
static bool confine_threads(char *why, size_t why_bytes)
{
    struct sigaction action = {.sa_handler = confine_thread, .sa_flags = SA_RESTART}, before;
    DIR *tasks = opendir("/proc/self/task");
    int left = -1;
    if (tasks == NULL || sigaction(SIGRTMIN + 1, &action, &before) != 0) {
        snprintf(why, why_bytes, "threads: %s", strerror(errno));
        if (tasks != NULL)
            closedir(tasks);
        return false;
    }
    for (int round = 0; round < ROUNDS_MAX && atomic_load(&orders.error) == 0; round++) {
        left = ask_threads(tasks);
        if (left <= 0)
            break;
        nanosleep(&(struct timespec){.tv_nsec = ROUND_NS << (round > 4 ? 4 : round)}, NULL);
    }
    closedir(tasks);
    sigaction(SIGRTMIN + 1, &before, NULL);
    if (left == 0)
        confine_thread(0);
    if (left != 0 || atomic_load(&orders.error) != 0)
        snprintf(why, why_bytes, "threads: %s",
                 atomic_load(&orders.error) != 0 ? strerror(orders.error) : "some do not answer");
    return left == 0 && atomic_load(&orders.error) == 0;
}

/* ---- system calls: seccomp ----------------------------------------------------------------------------- */

/* What threads of ours and of the libraries do once everything is open. */
static const char allowed_calls[] =
    /* memory and threads */
    "brk mmap munmap mremap mprotect madvise mlock mlock2 munlock mincore msync mbind "
    "get_mempolicy futex clone clone3 set_robust_list rseq set_tid_address sched_yield "
    "sched_getaffinity sched_setaffinity sched_getparam sched_getscheduler sched_setattr getpriority getcpu "
    "membarrier "
    "exit exit_group restart_syscall gettid getpid getppid tgkill getrusage prlimit64 "
    "getrlimit sysinfo uname getrandom getuid geteuid getgid getegid getgroups arch_prctl "
    "sigaltstack "
    /* time and signals */
    "clock_gettime clock_getres clock_nanosleep nanosleep gettimeofday time timerfd_create "
    "timerfd_settime timerfd_gettime rt_sigaction rt_sigprocmask rt_sigreturn "
    "rt_sigtimedwait signalfd4 eventfd2 "
    /* waiting */
    "poll ppoll select pselect6 epoll_create1 epoll_ctl epoll_wait epoll_pwait inotify_init1 "
    "inotify_add_watch inotify_rm_watch "
    /* files, where Landlock lets them */
    "open openat close read readv pread64 write writev pwrite64 lseek stat fstat lstat "
    "newfstatat statx fstatfs statfs access faccessat faccessat2 readlink readlinkat getcwd "
    "getdents64 fcntl flock dup dup2 dup3 pipe2 fsync fdatasync ftruncate fallocate rename "
    "renameat renameat2 link linkat symlink symlinkat unlink unlinkat mkdir mkdirat rmdir "
    "chmod fchmod fchmodat umask utimensat ioctl sendfile "
    /* sockets: ports, control, syslog, metrics, revocation */
    "socketpair bind listen accept accept4 connect shutdown getsockname getpeername "
    "getsockopt setsockopt sendto sendmsg sendmmsg recvfrom recvmsg recvmmsg ";
/* Families of new sockets: no packet or netlink socket is opened any more. */
static const int allowed_families[] = {AF_UNIX, AF_INET, AF_INET6};

/* What somebody who has taken the process over would try, and we never do. */
static const char fatal_calls[] =
    "execve execveat ptrace process_vm_readv process_vm_writev init_module finit_module "
    "delete_module kexec_load bpf mount umount2 pivot_root chroot setns unshare userfaultfd "
    "keyctl add_key request_key perf_event_open open_by_handle_at io_uring_setup "
    "memfd_create ";

static int add_calls(scmp_filter_ctx filter, uint32_t action, const char *names)
{
    char name[32];
    int length, error = 0;
    for (; error == 0 && sscanf(names, "%31s%n", name, &length) == 1; names += length) {
        int call = seccomp_syscall_resolve_name(name);
        error = call == __NR_SCMP_ERROR ? -ENOSYS : seccomp_rule_add(filter, action, call, 0);
    }
    return error;
}

static int fill_filter(scmp_filter_ctx filter)
{
    int error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    if (error == 0)
        error = add_calls(filter, SCMP_ACT_ALLOW, allowed_calls);
    for (size_t i = 0; error == 0 && i < sizeof(allowed_families) / sizeof(allowed_families[0]); i++)
        error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
                                 SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)allowed_families[i]));
    return error != 0 ? error : add_calls(filter, SCMP_ACT_KILL_PROCESS, fatal_calls);
}

static bool filter_calls(char *why, size_t why_bytes)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    int error = filter == NULL ? -ENOMEM : fill_filter(filter);
    if (error == 0)
        error = seccomp_load(filter);
    seccomp_release(filter);
    if (error != 0)
        snprintf(why, why_bytes, "seccomp: %s", strerror(-error));
    return error == 0;
}

/* ---- all of it ----------------------------------------------------------------------------------------- */

/* Pages of keys stay locked without the capability that has allowed it so far. */
static void keep_locking(void)
{
    struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
    setrlimit(RLIMIT_MEMLOCK, &unlimited);
}

int confine(unsigned int parts, const struct confine_places *places, char *why, size_t why_bytes)
{
    why[0] = '\0';
    orders.capabilities = (parts & CONFINE_CAPABILITIES) != 0;
    orders.ruleset = (parts & CONFINE_FILES) != 0 ? make_ruleset(places, why, why_bytes) : -1;
    atomic_store(&orders.error, 0);
    if (orders.ruleset == -2)
        return -1;
    if (orders.ruleset < 0)
        parts &= ~(unsigned int)CONFINE_FILES;
    keep_locking();
    if ((parts & CONFINE_DUMPS) != 0 &&
        (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0}) != 0)) {
        snprintf(why, why_bytes, "core dumps: %s", strerror(errno));
        return -1;
    }
    bool done = confine_threads(why, why_bytes);
    if (orders.ruleset >= 0)
        close(orders.ruleset);
    if (!done || ((parts & CONFINE_CALLS) != 0 && !filter_calls(why, why_bytes)))
        return -1;
    return (int)parts;
}
