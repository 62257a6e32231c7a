/* beneath.c - openat2, and the walk that stands in for it. SPDX-License-Identifier: Apache-2.0 */
#include "beneath.h"

#include "utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static ie_status refuse(const char *path, const char *why, ie_error *err)
{
    return ie_app_fail(err, IE_BAD_INPUT, "the path \"%.200s\" is refused: %s", path, why);
}

ie_status ie_beneath_check(const char *path, ie_error *err)
{
    if (path[0] == '\0') return refuse(path, "it is empty", err);
    if (path[0] == '/') return refuse(path, "it is absolute", err);
    if (strlen(path) >= PATH_MAX) return refuse(path, "it is too long", err);
    if (!ie_text_is_utf8(path)) return refuse(path, "it is not UTF-8", err);
    for (const char *c = path; *c; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f) {
            return refuse(path, "it has a control character", err);
        }
    }
    for (const char *part = path;;) {
        const size_t length = strcspn(part, "/");
        if (length == 0) return refuse(path, "it has an empty component", err);
        if (length > NAME_MAX) return refuse(path, "a component is over 255 bytes", err);
        if (part[0] == '.' && (length == 1 || (length == 2 && part[1] == '.'))) {
            return refuse(path, "it has a . or .. component", err);
        }
        if (part[length] == '\0') return IE_OK;
        part += length + 1;
    }
}

ie_status ie_beneath_root(int *out, const char *folder, const char *option, ie_error *err)
{
    *out = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*out >= 0) return IE_OK;
    return ie_app_fail(err, IE_BAD_ARGUMENT, "cannot open %s %s: %s", option, folder,
                       strerror(errno));
}

static int open_retrying(int folder, const char *name, int flags)
{
    int descriptor;
    do {
        descriptor = openat(folder, name, flags | O_CLOEXEC);
    } while (descriptor < 0 && errno == EINTR);
    return descriptor;
}

/* The first component of *path, copied; *path moves to what follows, NULL at the end. */
static void next_component(char out[NAME_MAX + 1], const char **path)
{
    const size_t length = strcspn(*path, "/");
    memcpy(out, *path, length);
    out[length] = '\0';
    *path = (*path)[length] ? *path + length + 1 : NULL;
}

/* Returns a descriptor, or -1 with errno. */
static int open_walking(int root, const char *path, int flags)
{
    char name[NAME_MAX + 1];
    int folder = root;
    for (;;) {
        next_component(name, &path);
        const int kind = path ? O_RDONLY | O_DIRECTORY : flags;
        const int next = open_retrying(folder, name, kind | O_NOFOLLOW);
        const int code = errno;
        if (folder != root) (void)close(folder);
        errno = code;
        if (next < 0 || !path) return next;
        folder = next;
    }
}

static int open_kernel(int root, const char *path, int flags)
{
    struct open_how how = {.flags = (unsigned)(flags | O_CLOEXEC),
                           .resolve =
                               RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
    long descriptor;
    do {
        descriptor = syscall(SYS_openat2, root, path, &how, sizeof how);
    } while (descriptor < 0 && (errno == EINTR || errno == EAGAIN));
    return (int)descriptor;
}

static int open_beneath(int root, const char *path, int flags, ie_beneath_way way)
{
    if (way == IE_BENEATH_KERNEL) {
        const int descriptor = open_kernel(root, path, flags);
        if (descriptor >= 0 || (errno != ENOSYS && errno != EPERM)) return descriptor;
    }
    return open_walking(root, path, flags);
}

/* Both ways say ELOOP for a link at the end; the walk says ENOTDIR for one on the way. */
static const char *reason(int code)
{
    return code == ELOOP || code == EXDEV ? "a symbolic link lies on the way" : strerror(code);
}

ie_status ie_beneath_open(int *out, int root, const char *path, ie_beneath_way way, ie_error *err)
{
    *out = -1;
    IE_APP_TRY(ie_beneath_check(path, err));
    *out = open_beneath(root, path, O_RDONLY | O_NONBLOCK, way);
    if (*out >= 0) return IE_OK;
    const int code = errno;
    (void)ie_app_fail(err, IE_BAD_INPUT, "cannot read %s: %s", path, reason(code));
    if (err) err->native = code;
    return IE_BAD_INPUT;
}

bool ie_beneath_make(int folder, const char *name)
{
    int failed;
    do {
        failed = mkdirat(folder, name, 0777);
    } while (failed && errno == EINTR);
    return !failed || errno == EEXIST;
}

/* Like open_walking over the folders alone; those that are missing are made. */
static int make_walking(int root, const char *path, const char *end)
{
    char name[NAME_MAX + 1];
    int folder = root;
    while (path && path < end) {
        next_component(name, &path);
        const bool made = ie_beneath_make(folder, name);
        const int next =
            made ? open_retrying(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW) : -1;
        const int code = errno;
        if (folder != root) (void)close(folder);
        errno = code;
        if (next < 0) return -1;
        folder = next;
    }
    return folder;
}

ie_status ie_beneath_folder(int *out, const char **name, int root, const char *path, bool make,
                            ie_error *err)
{
    char folder[PATH_MAX];
    *out = -1;
    IE_APP_TRY(ie_beneath_check(path, err));
    const char *slash = strrchr(path, '/');
    *name = slash ? slash + 1 : path;
    if (!slash) {
        *out = fcntl(root, F_DUPFD_CLOEXEC, 0);
    } else {
        memcpy(folder, path, (size_t)(slash - path));
        folder[slash - path] = '\0';
        *out = open_beneath(root, folder, O_RDONLY | O_DIRECTORY, IE_BENEATH_KERNEL);
        if (*out < 0 && errno == ENOENT && make) *out = make_walking(root, path, slash);
    }
    if (*out >= 0) return IE_OK;
    const int code = errno;
    (void)ie_app_fail(err, IE_IO, "cannot open the folder of %s: %s", path, reason(code));
    if (err) err->native = code;
    return IE_IO;
}
