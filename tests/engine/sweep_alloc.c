/* sweep_alloc.c - see sweep_alloc.h. SPDX-License-Identifier: Apache-2.0 */
#include "sweep_alloc.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

static atomic_llong left = -1, counted, live;
static atomic_bool armed, fired;

void sweep_arm(int64_t allowed)
{
    atomic_store(&left, allowed);
    atomic_store(&counted, 0);
    atomic_store(&fired, false);
    atomic_store(&armed, true);
}

bool sweep_disarm(void)
{
    atomic_store(&armed, false);
    return atomic_load(&fired);
}

int64_t sweep_count(void)
{
    return atomic_load(&counted);
}

int64_t sweep_live(void)
{
    return atomic_load(&live);
}

bool sweep_fails(void)
{
    if (!atomic_load(&armed)) return false;
    atomic_fetch_add(&counted, 1);
    if (atomic_fetch_sub(&left, 1) != 0) return false;
    atomic_store(&fired, true);
    errno = ENOMEM;
    return true;
}

static void *taken(void *p)
{
    if (p) atomic_fetch_add(&live, 1);
    return p;
}

/* The linker's names: __real_x is the system's x, and calls of x arrive at __wrap_x. */
void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *p, size_t bytes);
void *__real_aligned_alloc(size_t alignment, size_t bytes);
int __real_posix_memalign(void **out, size_t alignment, size_t bytes);
void __real_free(void *p);
void *__real_mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset);
int __real_munmap(void *at, size_t bytes);

void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *p, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes);
int __wrap_posix_memalign(void **out, size_t alignment, size_t bytes);
void __wrap_free(void *p);
void *__wrap_mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset);
int __wrap_munmap(void *at, size_t bytes);

void *__wrap_malloc(size_t bytes)
{
    return sweep_fails() ? NULL : taken(__real_malloc(bytes));
}

void *__wrap_calloc(size_t count, size_t size)
{
    return sweep_fails() ? NULL : taken(__real_calloc(count, size));
}

void *__wrap_realloc(void *p, size_t bytes)
{
    if (sweep_fails()) return NULL;
    void *q = __real_realloc(p, bytes);
    return p ? q : taken(q);
}

void *__wrap_aligned_alloc(size_t alignment, size_t bytes)
{
    return sweep_fails() ? NULL : taken(__real_aligned_alloc(alignment, bytes));
}

int __wrap_posix_memalign(void **out, size_t alignment, size_t bytes)
{
    if (sweep_fails()) return ENOMEM;
    const int code = __real_posix_memalign(out, alignment, bytes);
    if (code == 0) taken(*out);
    return code;
}

void __wrap_free(void *p)
{
    if (p) atomic_fetch_sub(&live, 1);
    __real_free(p);
}

void *__wrap_mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset)
{
    if (sweep_fails()) return MAP_FAILED;
    void *p = __real_mmap(at, bytes, protection, flags, fd, offset);
    if (p != MAP_FAILED) taken(p);
    return p;
}

int __wrap_munmap(void *at, size_t bytes)
{
    atomic_fetch_sub(&live, 1);
    return __real_munmap(at, bytes);
}
