/* atomic_file.c - temporary file, fsync, rename. SPDX-License-Identifier: Apache-2.0 */
#include "atomic_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_NAME_TRIES = 1000 };

static ie_status fail_write(const char *path, int code, ie_error *err)
{
    return ie_app_fail(err, IE_IO, "cannot write %s: %s", path, strerror(code));
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

/* Create FOLDER/.imagen-editor-PID-N.tmp. The mode follows the umask, as for any file a user
 * creates, which mkstemp's would not. Returns the descriptor or -1 with errno. */
static int create_temporary(ie_atomic_file *file)
{
    const char *slash = strrchr(file->path, '/');
    const int folder = slash ? (int)(slash - file->path) + 1 : 0;
    for (int i = 0; i < MAX_NAME_TRIES; i++) {
        char *name = NULL;
        if (asprintf(&name, "%.*s.imagen-editor-%ld-%d.tmp", folder, file->path, (long)getpid(),
                     i) < 0) {
            errno = ENOMEM;
            return -1;
        }
        const int descriptor = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (descriptor >= 0) {
            file->temporary = name;
            return descriptor;
        }
        free(name);
        if (errno != EEXIST) return -1;
    }
    return -1;
}

ie_status ie_atomic_open(ie_atomic_file *file, const char *path, ie_error *err)
{
    *file = (ie_atomic_file){0};
    ie_status status = final_path(&file->path, path, err);
    if (status != IE_OK) goto done;
    const int descriptor = create_temporary(file);
    if (descriptor < 0) {
        status = fail_write(path, errno, err);
        goto done;
    }
    file->stream = fdopen(descriptor, "wb");
    if (!file->stream) {
        status = fail_write(path, errno, err);
        (void)close(descriptor);
    }
done:
    if (status != IE_OK) ie_atomic_abandon(file);
    return status;
}

ie_status ie_atomic_check(const char *path, ie_error *err)
{
    ie_atomic_file file;
    IE_APP_TRY(ie_atomic_open(&file, path, err));
    ie_atomic_abandon(&file);
    return IE_OK;
}

/* The rename itself must reach the disk. Some file systems cannot sync a folder: the data is safe
 * all the same. */
static void sync_folder(const char *path)
{
    char *copy = strdup(path);
    if (!copy) return;
    char *slash = strrchr(copy, '/');
    if (slash) slash[slash == copy ? 1 : 0] = '\0';
    const int folder = open(slash ? copy : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder >= 0) {
        (void)fsync(folder);
        (void)close(folder);
    }
    free(copy);
}

ie_status ie_atomic_commit(ie_atomic_file *file, ie_error *err)
{
    ie_status status = IE_OK;
    const int failed = fflush(file->stream) || ferror(file->stream) || fsync(fileno(file->stream));
    const int flush_code = errno;
    const int closed_badly = fclose(file->stream);
    file->stream = NULL;
    if (failed || closed_badly) {
        status = fail_write(file->path, failed ? flush_code : errno, err);
    } else if (rename(file->temporary, file->path)) {
        status = fail_write(file->path, errno, err);
    } else {
        free(file->temporary);
        file->temporary = NULL;
        sync_folder(file->path);
    }
    ie_atomic_abandon(file);
    return status;
}

void ie_atomic_abandon(ie_atomic_file *file)
{
    if (file->stream) (void)fclose(file->stream);
    if (file->temporary) (void)unlink(file->temporary);
    free(file->temporary);
    free(file->path);
    *file = (ie_atomic_file){0};
}
