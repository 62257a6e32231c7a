/* test_image_files.c - opening and writing files: what is refused, and what it costs to refuse it.
 * SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void put_u32(uint8_t *p, uint32_t value)
{
    for (int i = 0; i < 4; i++) p[i] = (uint8_t)(value >> (24 - 8 * i));
}

static uint32_t crc32_of(const uint8_t *data, size_t size)
{
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        for (int k = 0; k < 8; k++) crc = crc & 1 ? crc >> 1 ^ 0xedb88320 : crc >> 1;
    }
    return ~crc;
}

/* A PNG whose header claims a size and whose pixels are not there. */
static bytes claim_png(uint32_t width, uint32_t height)
{
    uint8_t header[33] = "\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
    bytes file = {0};
    put_u32(header + 16, width);
    put_u32(header + 20, height);
    header[24] = 16;
    header[25] = 6;
    put_u32(header + 29, crc32_of(header + 12, 17));
    bytes_append(&file, header, sizeof header);
    bytes_append(&file, "\0\0\0\4IDATxxxx\0\0\0\0", 16);
    return file;
}

static void files_that_are_no_images_are_named(void **state)
{
    static const struct {
        const char *name, *content, *says;
    } cases[] = {
        {"missing.png", NULL, "cannot read"},
        {"empty.png", "", "is empty"},
        {"text.png", "this is a text, whatever its name says\n", "not an image"},
        {"gif.png", "GIF89a............", "not an image"},
        {"short.png", "\x89PNG", "not an image"},
        {"cut.png", "\x89PNG\r\n\x1a\n", "truncated"},
#ifdef IE_HAVE_JPEG
        {"cut.jpg", "\xff\xd8\xff", "not a sound JPEG"},
#endif
    };
    ie_image image;
    for (size_t i = 0; i < COUNT(cases); i++) {
        ie_error err = {0};
        const char *path = in_folder(state, cases[i].name);
        if (cases[i].content) {
            bytes file = {0};
            bytes_append(&file, cases[i].content, strlen(cases[i].content));
            bytes_write(&file, path);
            bytes_free(&file);
        }
        assert_says(ie_image_read(&image, path, 1000, &err), IE_BAD_INPUT, &err, cases[i].says);
        assert_non_null(strstr(err.text, cases[i].name));
        assert_null(image.pixels.data);
    }
}

static void folders_and_pipes_are_refused_without_waiting(void **state)
{
    ie_image image;
    ie_error err = {0};
    assert_says(ie_image_read(&image, *state, 1000, &err), IE_BAD_INPUT, &err, "is a folder");
    assert_int_equal(mkfifo(in_folder(state, "pipe"), 0600), 0);
    assert_says(ie_image_read(&image, in_folder(state, "pipe"), 1000, &err), IE_BAD_INPUT, &err,
                "not a regular file");
}

static void the_content_decides_and_not_the_extension(void **state)
{
    ie_error err = {0};
    const ie_write_options options = {0};
    ie_image image = noise_image(5, 4, 3, 8, 1), back;
    bytes file = encode(ie_png_encode, &image, &options);
    bytes_write(&file, in_folder(state, "photo.jpg"));
    assert_says(ie_image_read(&back, in_folder(state, "photo.jpg"), 1000, &err), IE_OK, &err, "");
    assert_same_pixels(&image.pixels, &back.pixels);
    ie_image_release(&image);
    ie_image_release(&back);
    bytes_free(&file);
}

static void sizes_over_the_budget_are_refused(void **state)
{
    (void)state;
    static const struct {
        uint32_t width, height;
        uint64_t budget;
        const char *says;
    } cases[] = {
        {60000, 60000, 256000000, "over the budget of 256 megapixels (--max-pixels, at most 512)"},
        {65501, 1, 256000000, "legal is 1 to 65500 pixels a side"},
        {1, 65501, 256000000, "legal is 1 to 65500 pixels a side"},
        {0x7fffffff, 0x7fffffff, 256000000, "legal is 1 to 65500 pixels a side"},
        {10, 11, 109, "over the budget"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        ie_image image;
        ie_error err = {0};
        bytes file = claim_png(cases[i].width, cases[i].height);
        assert_says(ie_image_decode(&image, file.data, file.size, "big.png", cases[i].budget, &err),
                    IE_BAD_INPUT, &err, cases[i].says);
        bytes_free(&file);
    }
    /* At the budget exactly: the size is taken, and the missing pixels are the fault. */
    ie_image image;
    ie_error err = {0};
    bytes file = claim_png(10, 11);
    assert_says(ie_image_decode(&image, file.data, file.size, "big.png", 110, &err), IE_BAD_INPUT,
                &err, "not a sound PNG");
    bytes_free(&file);
}

#if defined(__SANITIZE_ADDRESS__)
/* From sanitizer/allocator_interface.h, which gcc does not install. */
int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void *, size_t),
                                              void (*on_free)(const volatile void *));

static size_t largest_allocation;

static void on_malloc(const volatile void *p, size_t size)
{
    (void)p;
    if (size > largest_allocation) largest_allocation = size;
}

static void on_free(const volatile void *p)
{
    (void)p;
}
#endif

static void a_bomb_is_refused_before_memory_is_taken(void **state)
{
    (void)state;
#if defined(__SANITIZE_ADDRESS__)
    /* SOF of 65000 x 65000; VP8L of 16383 x 16383. */
    static const uint8_t jpeg[] = {
        0xff, 0xd8, 0xff, 0xc0, 0, 17, 8, 0xfd, 0xe8, 0xfd, 0xe8, 3, 1, 0x11, 0,  2, 0x11, 0, 3,
        0x11, 0,    0xff, 0xda, 0, 12, 3, 1,    0,    2,    0,    3, 0, 0,    63, 0, 1,    2, 3};
    static const uint8_t webp[] = {'R',  'I',  'F',  'F',  22,   0,   0, 0, 'W', 'E',
                                   'B',  'P',  'V',  'P',  '8',  'L', 9, 0, 0,   0,
                                   0x2f, 0xfe, 0xbf, 0xff, 0x0f, 0,   0, 0, 0,   0};
    bytes files[3] = {claim_png(60000, 60000)};
    bytes_append(&files[1], jpeg, sizeof jpeg);
    bytes_append(&files[2], webp, sizeof webp);
    __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free);
    for (size_t i = 0; i < COUNT(files); i++) {
        ie_image image;
        ie_error err = {0};
        largest_allocation = 0;
        const ie_status status =
            ie_image_decode(&image, files[i].data, files[i].size, "bomb", 256000000, &err);
#if !defined(IE_HAVE_JPEG) || !defined(IE_HAVE_WEBP)
        if (i > 0) continue;
#endif
        assert_says(status, IE_BAD_INPUT, &err, "over the budget");
        assert_true(largest_allocation < 1 << 20);
        assert_true(largest_allocation > 0 || i == 2); /* the hooks work; libwebp takes nothing */
    }
    for (size_t i = 0; i < COUNT(files); i++) bytes_free(&files[i]);
#else
    skip(); /* the sanitizer counts the allocations */
#endif
}

static void the_extension_decides_how_to_write(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        int format; /* -1: refused */
    } cases[] = {
        {"a.png", IE_FORMAT_PNG},
        {"x/a.b.PNG", IE_FORMAT_PNG},
        {"a.gif", -1},
        {"a", -1},
        {".png", -1},
        {"x/.png", -1},
        {"png", -1},
        {"a.png/b", -1},
        {"", -1},
#ifdef IE_HAVE_JPEG
        {"a.jpg", IE_FORMAT_JPEG},
        {"a.Jpeg", IE_FORMAT_JPEG},
#endif
#ifdef IE_HAVE_WEBP
        {"a.webp", IE_FORMAT_WEBP},
#endif
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        ie_image_format format;
        ie_error err = {0};
        const ie_status status = ie_image_format_of(&format, cases[i].path, &err);
        if (cases[i].format < 0) {
            assert_says(status, IE_BAD_ARGUMENT, &err, "legal are .png");
        } else {
            assert_says(status, IE_OK, &err, "");
            assert_int_equal(format, cases[i].format);
        }
    }
}

static void what_a_format_cannot_hold_is_refused_with_a_hint(void **state)
{
    (void)state;
    static const struct {
        ie_image_format format;
        int width, channels, bits;
        const char *says; /* NULL: fine */
    } cases[] = {
        {IE_FORMAT_PNG, 9, 4, 16, NULL},
        {IE_FORMAT_PNG, 9, 1, 8, NULL},
#ifdef IE_HAVE_JPEG
        {IE_FORMAT_JPEG, 9, 3, 8, NULL},
        {IE_FORMAT_JPEG, 9, 4, 8, "transparency: write .png or .webp"},
        {IE_FORMAT_JPEG, 9, 3, 16, "16 bits per sample: write .png"},
        {IE_FORMAT_JPEG, 9, 1, 8, "mask exactly: write .png"},
#endif
#ifdef IE_HAVE_WEBP
        {IE_FORMAT_WEBP, 16383, 4, 8, NULL},
        {IE_FORMAT_WEBP, 16384, 3, 8, "at most 16383 a side"},
        {IE_FORMAT_WEBP, 9, 3, 16, "16 bits per sample: write .png"},
#endif
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const ie_pixels p = {NULL, cases[i].width, 9, cases[i].channels, cases[i].bits, 0};
        ie_error err = {0};
        const ie_status status = ie_image_check_format(cases[i].format, &p, "out.file", &err);
        assert_says(status, cases[i].says ? IE_BAD_ARGUMENT : IE_OK, &err,
                    cases[i].says ? cases[i].says : "");
    }
}

static void a_full_disk_is_an_error_for_every_format(void **state)
{
    (void)state;
    static const encoder encoders[] = {
        ie_png_encode,
#ifdef IE_HAVE_JPEG
        ie_jpeg_encode,
#endif
#ifdef IE_HAVE_WEBP
        ie_webp_encode,
#endif
    };
    const ie_write_options options = {.quality = 95};
    ie_image image = noise_image(200, 100, 3, 8, 1); /* more than a stream's buffer */
    for (size_t i = 0; i < COUNT(encoders); i++) {
        ie_error err = {0};
        FILE *full = fopen("/dev/full", "wb");
        if (!full) skip();
        assert_says(encoders[i](&image, full, &options, "out.file", &err), IE_IO, &err,
                    "cannot write out.file: No space left on device");
        (void)fclose(full);
    }
    ie_image_release(&image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_that_are_no_images_are_named),
        cmocka_unit_test(folders_and_pipes_are_refused_without_waiting),
        cmocka_unit_test(the_content_decides_and_not_the_extension),
        cmocka_unit_test(sizes_over_the_budget_are_refused),
        cmocka_unit_test(a_bomb_is_refused_before_memory_is_taken),
        cmocka_unit_test(the_extension_decides_how_to_write),
        cmocka_unit_test(what_a_format_cannot_hold_is_refused_with_a_hint),
        cmocka_unit_test(a_full_disk_is_an_error_for_every_format),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
