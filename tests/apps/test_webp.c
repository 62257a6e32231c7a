/* test_webp.c - WebP: lossless out, profile and orientation, damage.
 * SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include <stdlib.h>
#include <string.h>

static const ie_write_options options = {.quality = 95};

static void pixels_and_profile_survive_writing_and_reading(void **state)
{
    (void)state;
    for (int variant = 0; variant < 4; variant++) {
        /* 301 bytes: an odd chunk, which is padded */
        bytes icc = make_icc(301, "RGB ");
        ie_image image = noise_image(37, 23, variant & 1 ? 4 : 3, 8, 3);
        if (variant & 2) {
            image.colour.icc = icc.data;
            image.colour.icc_bytes = icc.size;
        } else {
            free(icc.data);
        }
        bytes file = encode(ie_webp_encode, &image, &options);
        ie_image back = decode(&file);
        assert_same_pixels(&image.pixels, &back.pixels);
        assert_int_equal(back.colour.icc_bytes, image.colour.icc_bytes);
        if (variant & 2) {
            assert_memory_equal(back.colour.icc, image.colour.icc, image.colour.icc_bytes);
        }
        ie_image_release(&image);
        ie_image_release(&back);
        bytes_free(&file);
    }
}

static void an_orientation_is_applied(void **state)
{
    (void)state;
    static const uint8_t exif[26] = {'I', 'I', '*', 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3,
                                     0,   1,   0,   0, 0, 6, 0, 0, 0, 0, 0,    0, 0};
    ie_image image = noise_image(6, 4, 3, 8, 3);
    bytes icc = make_icc(300, "RGB ");
    image.colour.icc = icc.data; /* so that the file has the extended layout */
    image.colour.icc_bytes = icc.size;
    bytes file = encode(ie_webp_encode, &image, &options);
    bytes_append(&file, "EXIF\x1a\0\0", 8);
    bytes_append(&file, exif, sizeof exif);
    file.data[4] = (uint8_t)((file.size - 8) & 0xff);
    file.data[5] = (uint8_t)((file.size - 8) >> 8);
    ie_image back = decode(&file);
    assert_int_equal(back.pixels.width, 4);
    assert_int_equal(back.pixels.height, 6);
    const uint8_t *from = image.pixels.data, *to = back.pixels.data;
    for (int y = 0; y < 6; y++) {
        for (int x = 0; x < 4; x++) {
            assert_memory_equal(to + 3 * (y * 4 + x), from + 3 * ((3 - x) * 6 + y), 3);
        }
    }
    ie_image_release(&image);
    ie_image_release(&back);
    bytes_free(&file);
}

static void a_truncated_webp_is_refused_wherever_it_ends(void **state)
{
    (void)state;
    ie_image image = noise_image(6, 5, 4, 8, 3);
    bytes icc = make_icc(200, "RGB ");
    image.colour.icc = icc.data;
    image.colour.icc_bytes = icc.size;
    bytes file = encode(ie_webp_encode, &image, &options);
    assert_truncations_refused(&file);
    ie_image_release(&image);
    bytes_free(&file);
}

static void a_webp_with_any_byte_changed_is_read_or_refused(void **state)
{
    (void)state;
    ie_image image = noise_image(6, 5, 4, 8, 3);
    bytes file = encode(ie_webp_encode, &image, &options);
    for (size_t i = 0; i < file.size; i++) {
        ie_image back;
        ie_error err = {0};
        file.data[i] ^= 0x55;
        const ie_status status =
            ie_image_decode(&back, file.data, file.size, "bad.webp", 1 << 20, &err);
        file.data[i] ^= 0x55;
        if (status != IE_OK) assert_says(status, IE_BAD_INPUT, &err, "bad.webp");
        ie_image_release(&back);
    }
    ie_image_release(&image);
    bytes_free(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pixels_and_profile_survive_writing_and_reading),
        cmocka_unit_test(an_orientation_is_applied),
        cmocka_unit_test(a_truncated_webp_is_refused_wherever_it_ends),
        cmocka_unit_test(a_webp_with_any_byte_changed_is_read_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
