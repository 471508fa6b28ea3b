/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/secure/secret_memory.h"

#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static atomic_bool refused;

static size_t whole_pages(size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (bytes + page - 1) / page * page;
}

void *secret_memory_alloc(size_t bytes)
{
    if (bytes == 0 || bytes > SIZE_MAX / 2)
        return NULL;
    size_t mapped = whole_pages(bytes);
    void *p = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    if (mlock(p, mapped) != 0)
        atomic_store(&refused, true);
    if (madvise(p, mapped, MADV_DONTDUMP) != 0 || madvise(p, mapped, MADV_WIPEONFORK) != 0) {
        munmap(p, mapped);
        return NULL;
    }
    return p;
}

void secret_memory_free(void *p, size_t bytes)
{
    if (p == NULL)
        return;
    size_t mapped = whole_pages(bytes);
    explicit_bzero(p, mapped);
    munmap(p, mapped);
}

bool secret_memory_all_locked(void)
{
    return !atomic_load(&refused);
}
