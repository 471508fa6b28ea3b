/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/secure/secret_memory.h"

#include "dataplane/secure/tls_error.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define LEAST_BYTES 64u
#define CLASSES 9 /* 64 to 16384 */
#define REGION_BYTES (4u * SECRET_SMALL_BYTES)

/* A piece that nobody has. */
struct spare {
    struct spare *next;
};

static atomic_bool refused;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct spare *spares[CLASSES];

static size_t whole_pages(size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (bytes + page - 1) / page * page;
}

static void *map(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    if (mlock(p, bytes) != 0)
        atomic_store(&refused, true);
    if (madvise(p, bytes, MADV_DONTDUMP) != 0 || madvise(p, bytes, MADV_WIPEONFORK) != 0) {
        munmap(p, bytes);
        return NULL;
    }
    return p;
}

static int class_of(size_t bytes)
{
    int class = 0;
    while ((size_t)LEAST_BYTES << class < bytes)
        class ++;
    return class;
}

/* A forked child finds nothing in the regions, and no list of them. */
static void forget_spares(void)
{
    memset(spares, 0, sizeof(spares));
    pthread_mutex_init(&lock, NULL);
}

static void *take_small(int class)
{
    static bool fork_known;
    size_t bytes = (size_t)LEAST_BYTES << class;
    pthread_mutex_lock(&lock);
    if (!fork_known)
        fork_known = pthread_atfork(NULL, NULL, forget_spares) == 0;
    uint8_t *region = spares[class] == NULL && fork_known ? map(REGION_BYTES) : NULL;
    for (size_t at = 0; region != NULL && at < REGION_BYTES; at += bytes) {
        struct spare *spare = (struct spare *)(void *)(region + at);
        spare->next = spares[class];
        spares[class] = spare;
    }
    struct spare *taken = spares[class];
    if (taken != NULL) {
        spares[class] = taken->next;
        taken->next = NULL;
    }
    pthread_mutex_unlock(&lock);
    return taken;
}

void *secret_memory_alloc(size_t bytes)
{
    if (bytes == 0 || bytes > SIZE_MAX / 2)
        return NULL;
    return bytes <= SECRET_SMALL_BYTES ? take_small(class_of(bytes)) : map(whole_pages(bytes));
}

void secret_memory_free(void *p, size_t bytes)
{
    if (p == NULL)
        return;
    if (bytes > SECRET_SMALL_BYTES) {
        explicit_bzero(p, whole_pages(bytes));
        munmap(p, whole_pages(bytes));
        return;
    }
    int class = class_of(bytes);
    struct spare *spare = p;
    explicit_bzero(p, (size_t)LEAST_BYTES << class);
    pthread_mutex_lock(&lock);
    spare->next = spares[class];
    spares[class] = spare;
    pthread_mutex_unlock(&lock);
}

bool secret_memory_all_locked(void)
{
    return !atomic_load(&refused);
}

/* ---- files --------------------------------------------------------------------------------------------- */

/* Reads all of a file that is as long as it was; false with errno. */
static bool read_all(int fd, uint8_t *out, size_t bytes)
{
    size_t have = 0;
    errno = EIO;
    while (have < bytes) {
        ssize_t got = read(fd, out + have, bytes - have);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        have += (size_t)got;
    }
    return true;
}

/* Its length, 0 with `error`. */
static size_t length_of(int fd, const char *path, size_t limit, struct tls_error *error)
{
    struct stat facts;
    if (fd < 0 || fstat(fd, &facts) != 0)
        tls_error_set(error, "cannot read %.160s: %s", path, strerror(errno));
    else if (!S_ISREG(facts.st_mode))
        tls_error_set(error, "cannot read %.160s: not a file", path);
    else if (facts.st_size == 0)
        tls_error_set(error, "%.160s is empty", path);
    else if ((uint64_t)facts.st_size > limit)
        tls_error_set(error, "%.160s is larger than %zu KiB", path, limit / 1024);
    else
        return (size_t)facts.st_size;
    return 0;
}

uint8_t *secret_memory_read(const char *path, size_t limit, size_t *bytes, size_t *room,
                            struct tls_error *error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK); /* a FIFO would not return */
    *bytes = length_of(fd, path, limit, error);
    *room = *bytes + 1;
    uint8_t *text = *bytes == 0 ? NULL : secret_memory_alloc(*room);
    if (*bytes != 0 && text == NULL)
        tls_error_set(error, "out of memory");
    if (text != NULL && !read_all(fd, text, *bytes)) {
        tls_error_set(error, "cannot read %.160s: %s", path, strerror(errno));
        secret_memory_free(text, *room);
        text = NULL;
    }
    if (fd >= 0)
        close(fd);
    return text;
}
