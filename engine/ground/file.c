/* file.c - mapping a file, and joining paths. SPDX-License-Identifier: Apache-2.0 */
#include "file.h"

#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

ie_status ie_file_open(ie_file *out, const char *path, ie_status status_if_bad, ie_error *err)
{
    *out = (ie_file){0};
    ie_status status = IE_OK;
    struct stat st;
    /* O_NONBLOCK: a FIFO must be refused, not waited for. */
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) != 0) {
        const int code = errno;
        status =
            ie_fail_native(err, status_if_bad, code, "%s cannot be read: %s", path, strerror(code));
        goto done;
    }
    if (!S_ISREG(st.st_mode)) {
        status = ie_fail(err, status_if_bad, "%s is not a regular file", path);
        goto done;
    }
    if (st.st_size == 0) goto done; /* mmap refuses zero bytes; no data is what an empty file has */
    void *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED) {
        const int code = errno;
        status = ie_fail_native(err, code == ENOMEM ? IE_NO_MEMORY : IE_IO, code,
                                "%s cannot be mapped: %s", path, strerror(code));
        goto done;
    }
    out->data = data;
    out->size = (uint64_t)st.st_size;

done:
    if (fd >= 0) close(fd);
    return status;
}

void ie_file_close(ie_file *f)
{
    if (f->data) munmap((void *)f->data, (size_t)f->size);
    *f = (ie_file){0};
}

bool ie_file_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

char *ie_path_join(const char *folder, const char *name)
{
    const size_t bytes = strlen(folder) + strlen(name) + 2;
    char *path = ie_alloc(bytes, 1);
    if (path) snprintf(path, bytes, "%s/%s", folder, name);
    return path;
}
