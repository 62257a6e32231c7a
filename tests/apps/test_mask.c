/* test_mask.c - the mask rules, one line each. SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include "mask.h"

#include <string.h>

enum { SIDE = 4 };

/* A mask of 4 x 4 pixels by its content: 'W' white, 'K' black, 'g' grey below half, 'G' grey from
 * half on, 'R' red, 't' clear white, 'T' clear black, 'h' half-clear below half, 'H' half-clear
 * from half on. */
typedef struct mask_case {
    const char *name, *content;
    int channels;
    ie_mask_edit edit;
    bool threshold;
    const char *result; /* 'x' edit, '.' keep; NULL: refused */
    const char *says;
} mask_case;

static const mask_case cases[] = {
    {"white is the edit", "WKKKKWKKKKKKKKKW", 3, IE_MASK_EDIT_UNSAID, false, "x....x.........x",
     ""},
    {"white said", "WKKKKWKKKKKKKKKW", 3, IE_MASK_EDIT_WHITE, false, "x....x.........x", ""},
    {"black said", "KWWWWKWWWWWWWWWK", 3, IE_MASK_EDIT_BLACK, false, "x....x.........x", ""},
    {"opaque alpha is no transparency", "WKKKKWKKKKKKKKKW", 4, IE_MASK_EDIT_UNSAID, false,
     "x....x.........x", ""},
    {"all white", "WWWWWWWWWWWWWWWW", 3, IE_MASK_EDIT_UNSAID, false, "xxxxxxxxxxxxxxxx", ""},
    {"clear said", "tKKKKTKKKWKKKRGK", 4, IE_MASK_EDIT_TRANSPARENT, false, "x....x..........", ""},
    {"clear not said", "WKKKKTKKKKKKKKKK", 4, IE_MASK_EDIT_UNSAID, false, NULL,
     "transparent pixels (at 1,1): say --mask-edit transparent"},
    {"clear but white said", "WKKKKTKKKKKKKKKK", 4, IE_MASK_EDIT_WHITE, true, NULL,
     "transparent pixels"},
    {"clear but black said", "WKKKKHKKKKKKKKKK", 4, IE_MASK_EDIT_BLACK, true, NULL,
     "transparent pixels"},
    {"no alpha where clear was said", "WKKKKKKKKKKKKKKK", 3, IE_MASK_EDIT_TRANSPARENT, false, NULL,
     "no transparency, which --mask-edit transparent needs"},
    {"half-clear", "TKKKKhKKKKKKKKKK", 4, IE_MASK_EDIT_TRANSPARENT, false, NULL,
     "half-transparent pixels"},
    {"half-clear is cut at 50 %", "TKKKKhKHKKKKKKKK", 4, IE_MASK_EDIT_TRANSPARENT, true,
     "x....x..........", ""},
    {"grey", "WKKKKgKKKKKKKKKK", 3, IE_MASK_EDIT_UNSAID, false, NULL,
     "grey values (127 at 1,1): a mask is black and white; with --feather PX"},
    {"grey is cut at 50 %", "WKKKKgKGKKKKKKKK", 3, IE_MASK_EDIT_UNSAID, true, "x......x........",
     ""},
    {"grey is cut at 50 %, black said", "KWWWWGWgWWWWWWWW", 3, IE_MASK_EDIT_BLACK, true,
     "x......x........", ""},
    {"colour", "WKKKKRKKKKKKKKKK", 3, IE_MASK_EDIT_UNSAID, true, NULL,
     "colours (255,0,0 at 1,1): a mask is black and white"},
    {"empty", "KKKKKKKKKKKKKKKK", 3, IE_MASK_EDIT_UNSAID, false, NULL,
     "selects nothing: no pixel of it is white"},
    {"empty, black said", "WWWWWWWWWWWWWWWW", 3, IE_MASK_EDIT_BLACK, false, NULL,
     "selects nothing: no pixel of it is black"},
    {"empty, clear said", "WKKKKKKKKKKKKKKK", 4, IE_MASK_EDIT_TRANSPARENT, false, NULL,
     "selects nothing: no pixel of it is clear"},
};

/* Channel k of a pixel, as a share of 255; 8-bit and 16-bit masks are made from the same
 * letters. */
static unsigned channel(char letter, int k, unsigned top)
{
    const unsigned half = top / 2; /* 127 or 32767: just below 50 % */
    const bool colour = k < 3;
    switch (letter) {
    case 'W': return top;
    case 'K': return colour ? 0 : top;
    case 'g': return colour ? half : top;
    case 'G': return colour ? half + 1 : top;
    case 'R': return k == 0 || k == 3 ? top : 0;
    case 't': return colour ? top : 0;
    case 'T': return 0;
    case 'h': return colour ? 0 : half;
    default: return colour ? 0 : half + 1; /* 'H' */
    }
}

static ie_image make_mask(const mask_case *c, int bits)
{
    ie_image image;
    assert_int_equal(ie_image_create(&image, SIDE, SIDE, c->channels, bits, NULL), IE_OK);
    for (int i = 0; i < SIDE * SIDE * c->channels; i++) {
        const char letter = c->content[i / c->channels];
        const unsigned value = channel(letter, i % c->channels, bits == 8 ? 255 : 65535);
        if (bits == 8) {
            ((uint8_t *)image.pixels.data)[i] = (uint8_t)value;
        } else {
            ((uint16_t *)image.pixels.data)[i] = (uint16_t)value;
        }
    }
    return image;
}

static void every_rule_holds_in_8_and_16_bits(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * COUNT(cases); i++) {
        const mask_case *c = &cases[i / 2];
        const int bits = i % 2 ? 16 : 8;
        const ie_mask_rules rules = {c->edit, c->threshold, "mask.png"};
        ie_image file = make_mask(c, bits), mask;
        ie_error err = {0};
        const ie_status status = ie_mask_from_image(&mask, &file, &rules, &err);
        const bool grey16 = bits == 16 && strstr(c->says, "127");
        if ((status == IE_OK) != (c->result != NULL)) print_error("case \"%s\"\n", c->name);
        assert_says(status, c->result ? IE_OK : IE_BAD_INPUT, &err,
                    bits == 16 && strstr(c->says, "255,") ? "colours (65535,0,0 at 1,1)"
                    : grey16                              ? "grey values (32767 at 1,1)"
                                                          : c->says);
        for (int k = 0; c->result && k < SIDE * SIDE; k++) {
            const int wanted = c->result[k] == 'x' ? 255 : 0;
            if (((uint8_t *)mask.pixels.data)[k] != wanted) print_error("case \"%s\"\n", c->name);
            assert_int_equal(((uint8_t *)mask.pixels.data)[k], wanted);
        }
        ie_image_release(&file);
        ie_image_release(&mask);
    }
}

static void another_size_is_refused_with_both_sizes(void **state)
{
    (void)state;
    const ie_pixels mask = {.width = 640, .height = 480}, image = {.width = 640, .height = 479};
    ie_error err = {0};
    assert_says(ie_mask_check_size(&mask, "m.png", &image, "p.jpg", &err), IE_BAD_INPUT, &err,
                "m.png is 640 x 480 pixels, but p.jpg is 640 x 479");
    assert_int_equal(ie_mask_check_size(&mask, "m.png", &mask, "p.jpg", &err), IE_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_rule_holds_in_8_and_16_bits),
        cmocka_unit_test(another_size_is_refused_with_both_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
