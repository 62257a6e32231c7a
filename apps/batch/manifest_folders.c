/* manifest_folders.c - a folder of images, one of masks with the same names, and a table of prompts
 * that names the images. SPDX-License-Identifier: Apache-2.0 */
#include "manifest_csv.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The image files of a folder, by their names without extension. */
typedef struct listing {
    const char *folder;
    struct dirent **entries;
    char **stems;
    bool *used;
    size_t count;
    ie_id_index index; /* of stems */
} listing;

typedef struct folders {
    listing images, masks;
} folders;

static int is_image(const struct dirent *entry)
{
    ie_image_format format;
    return entry->d_name[0] != '.' && ie_image_format_of(&format, entry->d_name, NULL) == IE_OK;
}

static ie_status add_stem(listing *l, size_t i, ie_error *err)
{
    const char *name = l->entries[i]->d_name;
    l->stems[i] = strndup(name, (size_t)(strrchr(name, '.') - name));
    if (!l->stems[i]) return ie_app_fail(err, IE_NO_MEMORY, "no memory to list %s", l->folder);
    const int64_t other = ie_id_find(&l->index, l->stems[i]);
    if (other != IE_ID_ABSENT) {
        return ie_app_fail(err, IE_BAD_ARGUMENT, "%s has both %s and %s: which one is %s?",
                           l->folder, l->entries[other]->d_name, name, l->stems[i]);
    }
    return ie_id_add(&l->index, l->stems[i], i, err);
}

static ie_status list(listing *l, const char *folder, ie_error *err)
{
    *l = (listing){.folder = folder};
    const int count = scandir(folder, &l->entries, is_image, alphasort);
    if (count < 0) {
        return ie_app_fail(err, IE_BAD_ARGUMENT, "cannot read %s: %s", folder, strerror(errno));
    }
    l->count = (size_t)count;
    l->stems = calloc(l->count + 1, sizeof *l->stems);
    l->used = calloc(l->count + 1, sizeof *l->used);
    if (!l->stems || !l->used) {
        return ie_app_fail(err, IE_NO_MEMORY, "no memory to list %s", folder);
    }
    for (size_t i = 0; i < l->count; i++) IE_APP_TRY(add_stem(l, i, err));
    return IE_OK;
}

static void release_listing(listing *l)
{
    for (size_t i = 0; i < l->count; i++) {
        free(l->entries[i]);
        if (l->stems) free(l->stems[i]);
    }
    free(l->entries);
    free(l->stems);
    free(l->used);
    ie_id_release(&l->index);
}

/* The file of `folder` named for `stem`, as the value of `key`. */
static ie_status find_file(listing *l, ie_item *item, const char *key, const char *stem,
                           ie_error *err)
{
    const int64_t at = ie_id_find(&l->index, stem);
    if (at == IE_ID_ABSENT) {
        return ie_app_fail(err, IE_BAD_INPUT, "%s has no image named %.200s", l->folder, stem);
    }
    l->used[at] = true;
    return ie_item_set(item, key, l->entries[at]->d_name, err);
}

/* image from id or id from image; mask from either. */
static ie_status complete(void *user, ie_item *item, ie_error *err)
{
    folders *f = user;
    char stem[256];
    const char *name = item->image ? item->image : item->id;
    if (!name) return ie_app_fail(err, IE_BAD_INPUT, "neither image nor id is given");
    const char *dot = item->image ? strrchr(name, '.') : NULL;
    (void)snprintf(stem, sizeof stem, "%.*s", (int)(dot ? (size_t)(dot - name) : strlen(name)),
                   name);
    if (!item->image) {
        IE_APP_TRY(find_file(&f->images, item, "image", stem, err));
    } else {
        const int64_t at = ie_id_find(&f->images.index, stem);
        if (at == IE_ID_ABSENT || strcmp(f->images.entries[at]->d_name, item->image) != 0) {
            return ie_app_fail(err, IE_BAD_INPUT, "%s has no %.200s", f->images.folder,
                               item->image);
        }
        f->images.used[at] = true;
    }
    if (!item->id) IE_APP_TRY(ie_item_set(item, "id", stem, err));
    return item->mask ? IE_OK : find_file(&f->masks, item, "mask", stem, err);
}

ie_status ie_manifest_read_folders(ie_manifest *m, FILE *prompts, const char *images,
                                   const char *masks, ie_error *err)
{
    folders f = {0};
    ie_status status;
    IE_APP_TRY_DONE(list(&f.images, images, err));
    IE_APP_TRY_DONE(list(&f.masks, masks, err));
    IE_APP_TRY_DONE(ie_manifest_read_records(m, prompts, complete, &f, err));
    for (size_t i = 0; i < f.images.count; i++) {
        char text[512];
        if (f.images.used[i]) continue;
        (void)snprintf(text, sizeof text, "%s/%s has no prompt", images,
                       f.images.entries[i]->d_name);
        IE_APP_TRY_DONE(ie_manifest_wrong(m, 0, text, err));
    }
done:
    release_listing(&f.images);
    release_listing(&f.masks);
    return status;
}
