/* output_file.c - committing outputs, and looking at those that are there.
 * SPDX-License-Identifier: Apache-2.0 */
#include "output_file.h"

#include "atomic_file.h"
#include "beneath.h"
#include "digest.h"
#include "ledger_state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool ie_output_size(int output_root, const char *output, int64_t *bytes)
{
    int folder;
    const char *name;
    struct stat info;
    if (ie_beneath_folder(&folder, &name, output_root, output, false, NULL) != IE_OK) return false;
    const int failed = fstatat(folder, name, &info, AT_SYMLINK_NOFOLLOW);
    (void)close(folder);
    if (failed || !S_ISREG(info.st_mode)) return false;
    *bytes = info.st_size;
    return true;
}

static bool read_whole(int descriptor, void *data, size_t bytes)
{
    for (char *at = data; bytes;) {
        const ssize_t got = read(descriptor, at, bytes);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        at += got;
        bytes -= (size_t)got;
    }
    return true;
}

bool ie_output_sha256(int output_root, const char *output, char sha256[IE_SHA256_HEX])
{
    int descriptor;
    struct stat info;
    if (ie_beneath_open(&descriptor, output_root, output, IE_BENEATH_KERNEL, NULL) != IE_OK) {
        return false;
    }
    void *data = NULL;
    bool good = !fstat(descriptor, &info) && S_ISREG(info.st_mode);
    if (good) data = malloc((size_t)info.st_size + 1);
    good = good && data && read_whole(descriptor, data, (size_t)info.st_size);
    if (good) (void)ie_digest(sha256, data, (size_t)info.st_size);
    free(data);
    (void)close(descriptor);
    return good;
}

/* Another file has the name. */
static ie_status adopt(int output_root, ie_written *w, ie_error *err)
{
    char theirs[IE_SHA256_HEX];
    int64_t bytes;
    if (ie_output_sha256(output_root, w->output, theirs) &&
        ie_output_size(output_root, w->output, &bytes) &&
        (!strcmp(theirs, w->sha256) || ie_ledger_has_commit(output_root, w->output, theirs))) {
        memcpy(w->sha256, theirs, sizeof theirs);
        w->bytes = (size_t)bytes;
        return IE_OK;
    }
    (void)ie_app_fail(err, IE_IO,
                      "%s exists and is not this job's: remove it, or name another output",
                      w->output);
    if (err) err->native = EEXIST;
    return IE_IO;
}

static ie_status write_new(int folder, const char *name, const ie_written *w, const void *data,
                           ie_error *err)
{
    ie_atomic_file file;
    IE_APP_TRY(ie_atomic_open_new(&file, folder, name, w->output, err));
    ie_status status = ie_atomic_write(&file, data, w->bytes, err);
    if (status == IE_OK) status = ie_atomic_commit(&file, err);
    ie_atomic_abandon(&file);
    return status;
}

ie_status ie_output_commit(ie_ledger *ledger, int output_root, const ie_item *item, ie_written *w,
                           const void *data, ie_error *err)
{
    int folder;
    const char *name;
    ie_error failure = {0};
    (void)ie_digest(w->sha256, data, w->bytes);
    IE_APP_TRY(ie_ledger_commit(ledger, item, w, err));
    IE_APP_TRY(ie_beneath_folder(&folder, &name, output_root, w->output, true, err));
    ie_status status = write_new(folder, name, w, data, &failure);
    (void)close(folder);
    if (status == IE_OK) return IE_OK;
    if (failure.native == EEXIST) return adopt(output_root, w, err);
    if (err) *err = failure;
    return status;
}
