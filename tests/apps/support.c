/* support.c - helpers of the command's tests. SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include <dirent.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int folder_make(void **state)
{
    char *name = strdup("/tmp/ie-apps-XXXXXX");
    *state = name;
    return name && mkdtemp(name) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *where)
{
    (void)info;
    (void)type;
    (void)where;
    return remove(path);
}

int folder_remove(void **state)
{
    const int result = nftw(*state, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(*state);
    return result;
}

const char *in_folder(void **state, const char *name)
{
    static char paths[4][PATH_MAX];
    static int next;
    char *path = paths[next++ % 4];
    (void)snprintf(path, PATH_MAX, "%s/%s", (const char *)*state, name);
    return path;
}

int folder_entries(const char *folder)
{
    DIR *d = opendir(folder);
    int count = -2; /* . and .. */
    assert_non_null(d);
    while (readdir(d)) count++;
    (void)closedir(d);
    return count;
}

void bytes_append(bytes *b, const void *data, size_t size)
{
    uint8_t *grown = realloc(b->data, b->size + size + 1);
    assert_non_null(grown);
    if (size) memcpy(grown + b->size, data, size);
    b->data = grown;
    b->size += size;
}

void bytes_free(bytes *b)
{
    free(b->data);
    *b = (bytes){0};
}

bytes bytes_read(const char *path)
{
    bytes out = {0};
    char part[4096];
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    for (size_t got; (got = fread(part, 1, sizeof part, file)) > 0;) bytes_append(&out, part, got);
    (void)fclose(file);
    return out;
}

void bytes_write(const bytes *b, const char *path)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(b->data, 1, b->size, file), b->size);
    assert_int_equal(fclose(file), 0);
}

bytes encode(encoder encode_with, ie_image *image, const ie_write_options *options)
{
    ie_error err = {0};
    char *data = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&data, &size);
    assert_non_null(stream);
    const ie_status status = encode_with(image, stream, options, "memory", &err);
    assert_int_equal(fclose(stream), 0);
    assert_says(status, IE_OK, &err, "");
    return (bytes){(uint8_t *)data, size};
}

ie_image decode(const bytes *file)
{
    ie_image image;
    ie_error err = {0};
    const ie_status status = ie_image_decode(&image, file->data, file->size, "file", 1 << 20, &err);
    assert_says(status, IE_OK, &err, "");
    return image;
}

uint32_t noise(uint32_t *state)
{
    *state = *state * 1664525U + 1013904223U;
    return *state >> 8;
}

ie_image noise_image(int width, int height, int channels, int bits, uint32_t seed)
{
    ie_image image;
    assert_int_equal(ie_image_create(&image, width, height, channels, bits, NULL), IE_OK);
    uint8_t *data = image.pixels.data;
    const size_t size = image.pixels.row_bytes * (size_t)height;
    for (size_t i = 0; i < size; i++) data[i] = (uint8_t)noise(&seed);
    return image;
}

void assert_same_pixels(const ie_pixels *a, const ie_pixels *b)
{
    assert_int_equal(a->width, b->width);
    assert_int_equal(a->height, b->height);
    assert_int_equal(a->channels, b->channels);
    assert_int_equal(a->bits, b->bits);
    const size_t bytes_of_row = (size_t)a->width * (size_t)a->channels * (size_t)a->bits / 8;
    for (int y = 0; y < a->height; y++) {
        assert_memory_equal((const char *)a->data + (size_t)y * a->row_bytes,
                            (const char *)b->data + (size_t)y * b->row_bytes, bytes_of_row);
    }
}

static void put_u32(uint8_t *p, size_t value)
{
    for (int i = 0; i < 4; i++) p[i] = (uint8_t)(value >> (24 - 8 * i));
}

bytes make_icc(size_t size, const char *space)
{
    static const uint8_t d50[12] = {0, 0, 0xf6, 0xd6, 0, 1, 0, 0, 0, 0, 0xd3, 0x2d};
    bytes icc = {calloc(1, size), size};
    assert_non_null(icc.data);
    uint32_t seed = 5;
    for (size_t i = 144; i < size; i++) icc.data[i] = (uint8_t)noise(&seed);
    put_u32(icc.data, size);
    icc.data[8] = 2; /* version */
    memcpy(icc.data + 12, "mntr", 4);
    memcpy(icc.data + 16, space, 4);
    memcpy(icc.data + 20, "XYZ ", 4);
    memcpy(icc.data + 36, "acsp", 4);
    memcpy(icc.data + 68, d50, sizeof d50);
    put_u32(icc.data + 128, 1); /* tags */
    memcpy(icc.data + 132, "cprt", 4);
    put_u32(icc.data + 136, 144);
    put_u32(icc.data + 140, size - 144);
    return icc;
}

void assert_says(ie_status status, ie_status wanted, const ie_error *err, const char *says)
{
    if (status != wanted || !strstr(err->text, says)) {
        print_error("status %d, wanted %d; \"%s\", wanted \"%s\"\n", status, wanted, err->text,
                    says);
    }
    assert_int_equal(status, wanted);
    assert_non_null(strstr(err->text, says));
    assert_null(strchr(err->text, '\n'));
}

void assert_truncations_refused(const bytes *file)
{
    for (size_t size = 0; size < file->size; size++) {
        /* An exact copy, so that the sanitizer sees a read past the end. */
        uint8_t *prefix = malloc(size ? size : 1);
        assert_non_null(prefix);
        memcpy(prefix, file->data, size);
        ie_image image;
        ie_error err = {0};
        const ie_status status = ie_image_decode(&image, prefix, size, "cut.file", 1 << 20, &err);
        if (status == IE_OK) print_error("%zu of %zu bytes were accepted\n", size, file->size);
        assert_says(status, IE_BAD_INPUT, &err, "cut.file");
        assert_null(image.pixels.data);
        free(prefix);
    }
}
