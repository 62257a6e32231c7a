/* atomic_file.c - temporary file, fdatasync, rename or link. SPDX-License-Identifier: Apache-2.0 */
#include "atomic_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_NAME_TRIES = 1000, MODE = 0666 };

static ie_status fail_write(const char *path, int code, ie_error *err)
{
    (void)ie_app_fail(err, IE_IO, "cannot write %s: %s", path, strerror(code));
    if (err) err->native = code;
    return IE_IO;
}

/* The name to rename to. A symbolic link stays a link, and the file it points to is replaced. */
static ie_status final_path(char **out, const char *path, ie_error *err)
{
    struct stat info;
    *out = NULL;
    if (lstat(path, &info)) {
        if (errno != ENOENT) return fail_write(path, errno, err);
        *out = strdup(path);
    } else if (S_ISLNK(info.st_mode)) {
        *out = realpath(path, NULL);
        if (!*out) return fail_write(path, errno, err);
    } else {
        *out = strdup(path);
    }
    if (!*out) return ie_app_fail(err, IE_NO_MEMORY, "out of memory naming %s", path);
    /* Renaming over /dev/null would replace the device for everybody. */
    if (stat(*out, &info) == 0 && !S_ISREG(info.st_mode)) {
        return ie_app_fail(err, IE_IO, "cannot write %s: %s", path,
                           S_ISDIR(info.st_mode) ? "it is a folder" : "it is not a regular file");
    }
    return IE_OK;
}

/* The folder of file->path, open, and the name in it. */
static ie_status open_folder(ie_atomic_file *file, ie_error *err)
{
    const char *slash = strrchr(file->path, '/');
    char *folder = slash ? strndup(file->path, (size_t)(slash - file->path) + 1) : strdup(".");
    char *name = strdup(slash ? slash + 1 : file->path);
    const int descriptor = folder && name ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    const int code = folder && name ? errno : ENOMEM;
    free(folder);
    if (descriptor < 0 || name[0] == '\0') {
        free(name);
        if (descriptor >= 0) (void)close(descriptor);
        return fail_write(file->path, descriptor < 0 ? code : EISDIR, err);
    }
    file->folder = descriptor;
    file->name = name;
    return IE_OK;
}

/* Create .imagen-editor-PID-N.tmp, or a file without a name. The mode follows the umask, as for any
 * file a user creates, which mkstemp's would not. */
static ie_status create_temporary(ie_atomic_file *file, ie_error *err)
{
    const int flags = O_WRONLY | O_CLOEXEC;
    if (file->keep_old) { /* renaming needs a name, linking does not */
        do {
            file->descriptor = openat(file->folder, ".", flags | O_TMPFILE, MODE);
        } while (file->descriptor < 0 && errno == EINTR);
        if (file->descriptor >= 0) return IE_OK;
    }
    for (int i = 0; i < MAX_NAME_TRIES; i++) {
        char *name = NULL;
        if (asprintf(&name, ".imagen-editor-%ld-%d.tmp", (long)getpid(), i) < 0) {
            return fail_write(file->path, ENOMEM, err);
        }
        file->descriptor = openat(file->folder, name, flags | O_CREAT | O_EXCL, MODE);
        if (file->descriptor >= 0) {
            file->temporary = name;
            return IE_OK;
        }
        free(name);
        if (errno != EEXIST && errno != EINTR) break;
    }
    return fail_write(file->path, errno, err);
}

ie_status ie_atomic_open(ie_atomic_file *file, const char *path, ie_error *err)
{
    *file = (ie_atomic_file){.descriptor = -1};
    ie_status status = final_path(&file->path, path, err);
    if (status == IE_OK) status = open_folder(file, err);
    if (status == IE_OK) status = create_temporary(file, err);
    if (status == IE_OK) {
        file->stream = fdopen(file->descriptor, "wb");
        if (!file->stream) status = fail_write(path, errno, err);
    }
    if (status != IE_OK) ie_atomic_abandon(file);
    return status;
}

ie_status ie_atomic_open_new(ie_atomic_file *file, int folder, const char *name, const char *path,
                             ie_error *err)
{
    *file = (ie_atomic_file){.descriptor = -1, .keep_old = true};
    file->path = strdup(path);
    file->name = strdup(name);
    if (!file->path || !file->name) {
        free(file->name);
        file->name = NULL;
        ie_atomic_abandon(file);
        return ie_app_fail(err, IE_NO_MEMORY, "out of memory naming %s", path);
    }
    file->folder = fcntl(folder, F_DUPFD_CLOEXEC, 0);
    if (file->folder < 0) {
        const int code = errno;
        free(file->name);
        file->name = NULL;
        ie_atomic_abandon(file);
        return fail_write(path, code, err);
    }
    const ie_status status = create_temporary(file, err);
    if (status != IE_OK) ie_atomic_abandon(file);
    return status;
}

ie_status ie_atomic_write(ie_atomic_file *file, const void *data, size_t bytes, ie_error *err)
{
    const char *at = data;
    while (bytes) {
        const ssize_t written = write(file->descriptor, at, bytes);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return fail_write(file->path, errno, err);
        at += written;
        bytes -= (size_t)written;
    }
    return IE_OK;
}

ie_status ie_atomic_check(const char *path, ie_error *err)
{
    ie_atomic_file file;
    IE_APP_TRY(ie_atomic_open(&file, path, err));
    ie_atomic_abandon(&file);
    return IE_OK;
}

/* Returns 0, or the errno of what did not reach the disk. The descriptor is closed. */
static int flush_and_close(ie_atomic_file *file)
{
    int code = 0;
    if (file->stream && (fflush(file->stream) || ferror(file->stream))) code = errno ? errno : EIO;
    while (!code && fdatasync(file->descriptor)) {
        if (errno != EINTR) code = errno;
    }
    /* A nameless file is linked while it is open. */
    if (!file->temporary && file->keep_old) return code;
    const int failed = file->stream ? fclose(file->stream) : close(file->descriptor);
    file->stream = NULL;
    file->descriptor = -1;
    return code ? code : failed && errno != EINTR ? errno : 0;
}

/* Link the temporary file under its name, which must be free. Returns 0 or errno. */
static int link_new(ie_atomic_file *file)
{
    int failed;
    do {
        if (file->temporary) {
            failed = linkat(file->folder, file->temporary, file->folder, file->name, 0);
        } else {
            char open_file[64];
            (void)snprintf(open_file, sizeof open_file, "/proc/self/fd/%d", file->descriptor);
            failed = linkat(AT_FDCWD, open_file, file->folder, file->name, AT_SYMLINK_FOLLOW);
        }
    } while (failed && errno == EINTR);
    if (!failed) return 0;
    if (file->temporary && (errno == EPERM || errno == EOPNOTSUPP || errno == EMLINK)) {
        /* A file system without links. */
        if (renameat2(file->folder, file->temporary, file->folder, file->name, RENAME_NOREPLACE)) {
            return errno;
        }
        free(file->temporary);
        file->temporary = NULL;
        return 0;
    }
    return errno;
}

static int rename_over(ie_atomic_file *file)
{
    if (renameat(file->folder, file->temporary, file->folder, file->name)) return errno;
    free(file->temporary);
    file->temporary = NULL;
    return 0;
}

ie_status ie_atomic_commit(ie_atomic_file *file, ie_error *err)
{
    ie_status status = IE_OK;
    int code = flush_and_close(file);
    if (!code) code = file->keep_old ? link_new(file) : rename_over(file);
    if (code) {
        status = fail_write(file->path, code, err);
    } else {
        /* The name itself must reach the disk. Some file systems cannot sync a folder: the data is
         * safe all the same. */
        (void)fsync(file->folder);
    }
    ie_atomic_abandon(file);
    return status;
}

void ie_atomic_abandon(ie_atomic_file *file)
{
    if (file->stream) {
        (void)fclose(file->stream);
    } else if (file->name && file->descriptor >= 0) {
        (void)close(file->descriptor);
    }
    if (file->temporary) (void)unlinkat(file->folder, file->temporary, 0);
    if (file->name) (void)close(file->folder);
    free(file->temporary);
    free(file->name);
    free(file->path);
    *file = (ie_atomic_file){0};
}
