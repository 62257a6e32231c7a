/* test_window.c - where the square lies that the model sees, for masks and images of every shape.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "window.h"

enum { CANVAS = 64 };

typedef struct box {
    int left, top, right, bottom; /* right and bottom exclusive */
} box;

static ie_window window_of(int width, int height, box b)
{
    uint8_t *bytes = calloc((size_t)width * (size_t)height, 1);
    assert_non_null(bytes);
    for (int y = b.top; y < b.bottom; y++)
        memset(bytes + y * width + b.left, 255, (size_t)(b.right - b.left));
    const ie_pixels mask = {bytes, width, height, 1, 8, (size_t)width};
    const ie_window w = ie_window_of(&mask, CANVAS);
    free(bytes);
    return w;
}

typedef struct rule {
    const char *what;
    int width, height;
    box mask;
    ie_window want; /* x, y, side */
} rule;

static const rule rules[] = {
    {"the canvas itself", 64, 64, {10, 20, 30, 40}, {0, 0, 64}},
    {"5:4 and a quarter larger: whole", 80, 64, {0, 0, 1, 1}, {0, -8, 80}},
    {"the same upright", 64, 80, {63, 79, 64, 80}, {-8, 0, 80}},
    {"a quarter larger square: whole", 80, 80, {0, 0, 1, 1}, {0, 0, 80}},
    {"a hair wider than 5:4, mask left", 81, 64, {0, 0, 4, 4}, {0, 0, 64}},
    {"a hair wider than 5:4, mask right", 81, 64, {77, 60, 81, 64}, {17, 0, 64}},
    {"a hair larger than whole", 81, 81, {0, 0, 4, 4}, {0, 0, 64}},
    {"mask with as much again around it", 1000, 800, {400, 300, 500, 350}, {350, 225, 200}},
    {"small mask: at least the canvas", 1000, 800, {400, 300, 410, 305}, {373, 270, 64}},
    {"mask in the first corner", 1000, 800, {0, 0, 100, 50}, {0, 0, 200}},
    {"mask in the last corner", 1000, 800, {900, 750, 1000, 800}, {800, 600, 200}},
    {"mask on the lower border", 1000, 800, {400, 700, 500, 800}, {350, 600, 200}},
    {"no more than the short side", 1000, 200, {400, 20, 550, 40}, {375, 0, 200}},
    {"mask as long as the short side", 1000, 200, {400, 20, 600, 40}, {400, 0, 200}},
    {"mask longer than the short side", 1000, 200, {300, 20, 900, 40}, {300, -200, 600}},
    {"the same upright", 200, 1000, {20, 300, 40, 900}, {-200, 300, 600}},
    {"all of a wide image", 300, 100, {0, 0, 300, 100}, {0, -100, 300}},
    {"all of a large square", 500, 500, {0, 0, 500, 500}, {0, 0, 500}},
    {"one pixel", 1, 1, {0, 0, 1, 1}, {0, 0, 1}},
    {"tiny and near-square: whole", 10, 8, {9, 7, 10, 8}, {0, -1, 10}},
    {"tiny and not near-square", 3, 2, {2, 1, 3, 2}, {1, 0, 2}},
    {"a line of pixels", 100, 1, {50, 0, 51, 1}, {50, 0, 1}},
};

static void the_window_follows_its_rules(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        const rule *r = &rules[i];
        const ie_window w = window_of(r->width, r->height, r->mask);
        if (w.x != r->want.x || w.y != r->want.y || w.side != r->want.side) {
            fail_msg("%s: %lld, %lld, side %lld", r->what, (long long)w.x, (long long)w.y,
                     (long long)w.side);
        }
    }
}

/* What must hold whatever the rules say in detail, over many shapes. */
static void the_window_holds_the_mask_and_leaves_the_image_only_if_it_must(void **state)
{
    (void)state;
    unsigned random = 12345;
    for (int i = 0; i < 3000; i++) {
        int n[6];
        for (int k = 0; k < 6; k++) {
            random = random * 1664525u + 1013904223u;
            n[k] = (int)(random >> 16);
        }
        const int width = 1 + n[0] % 200, height = 1 + n[1] % 200;
        box b = {.left = n[2] % width, .top = n[3] % height};
        b.right = b.left + 1 + n[4] % (width - b.left);
        b.bottom = b.top + 1 + n[5] % (height - b.top);
        const ie_window w = window_of(width, height, b);
        assert_true(w.x <= b.left && w.x + w.side >= b.right);
        assert_true(w.y <= b.top && w.y + w.side >= b.bottom);
        const int longer = width > height ? width : height;
        const int shorter = width > height ? height : width;
        assert_true(w.side <= longer);
        if (w.side <= shorter) {
            assert_true(w.x >= 0 && w.y >= 0);
            assert_true(w.x + w.side <= width && w.y + w.side <= height);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_window_follows_its_rules),
        cmocka_unit_test(the_window_holds_the_mask_and_leaves_the_image_only_if_it_must),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
