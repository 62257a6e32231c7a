/* test_networks.c - the middle rungs of the parity ladder: every block, attention and resampling of
 * the toy U-Nets, their predictions, and the text encoder, against the PyTorch reference.
 * Arguments: device (ref, cpu) and precision (f32, bf16). SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "golden.h"
#include "text_encoder.h"
#include "unet_rig.h"

static const char *device = "ref";
static bool bf16;

enum { WORKSPACE = 64 << 20, MIN_TAPS = 8 };

#define NEED(call)                                            \
    do {                                                      \
        ie_error need_err_ = {0};                             \
        ie_error *const err = &need_err_;                     \
        if (call) fail_msg("%s (%s)", err->text, err->where); \
    } while (0)

/* ---- U-Nets ---------------------------------------------------------------------------------- */

typedef struct watcher {
    rig *r;
    const golden *io;
    int seen, bad;
} watcher;

static void watch(void *user, const char *name, ie_tensor map)
{
    watcher *w = user;
    char full[128];
    snprintf(full, sizeof full, "tap.%s", name);
    if (!strcmp(name, "embedding") || !strcmp(name, "prediction"))
        snprintf(full, sizeof full, "%s", name);
    float *values = rig_values(w->r, map);
    w->bad += !golden_check(w->io, full, values, w->r->bf16);
    w->seen++;
    free(values);
}

static int check_inputs(rig *r, const ie_unet_slots *slots, const golden *io)
{
    float *condition = rig_values(r, slots->condition);
    int bad = !golden_check(io, "conditioning", condition, r->bf16);
    free(condition);
    return bad;
}

static void unet_case(const char *name)
{
    unet_rig u;
    if (!unet_rig_open(&u, name, device, bf16)) skip();
    watcher w = {.r = &u.r, .io = &u.io};
    ie_unet_lanes lanes = unet_rig_lanes(&u, NULL, UNET_RIG_LANES);
    lanes.tap = watch;
    lanes.user = &w;
    const int pieces = u.r.arena.pieces;
    free(unet_rig_forward(&u, &lanes));         /* its tap "prediction" is checked */
    assert_int_equal(u.r.arena.pieces, pieces); /* everything was given back */
    assert_true(w.seen >= MIN_TAPS);
    assert_int_equal(w.bad + check_inputs(&u.r, &u.slots, &u.io), 0);
    unet_rig_close(&u);
}

static void adm_agrees_with_the_reference(void **state)
{
    (void)state;
    unet_case("unet-adm");
}

static void adm_with_every_option_agrees(void **state)
{
    (void)state;
    unet_case("unet-adm-options");
}

static void efficient_with_self_attention_agrees(void **state)
{
    (void)state;
    unet_case("unet-efficient-self");
}

static void efficient_with_text_attention_agrees(void **state)
{
    (void)state;
    unet_case("unet-efficient-text");
}

static void efficient_with_concatenated_skips_agrees(void **state)
{
    (void)state;
    unet_case("unet-efficient-concat");
}

/* ---- text ------------------------------------------------------------------------------------ */

static void text_encoder_agrees_with_the_reference(void **state)
{
    (void)state;
    rig r;
    if (!rig_open(&r, device, bf16, WORKSPACE)) skip();
    ie_text_config config;
    ie_weights *weights;
    ie_text_encoder *encoder;
    NEED(ie_text_config_read(&config, golden_path("text/config.json"), err));
    NEED(ie_weights_open(&weights, golden_path("text"), err));
    golden io = golden_open("text/io.safetensors");
    const ie_tensor ids = golden_get(&io, "ids"), want = golden_get(&io, "tokens");
    const int32_t *length = golden_get(&io, "length").data;
    NEED(ie_text_encoder_open(&encoder, &config, (int)ids.dim[1], weights, r.backend, err));
    NEED(ie_text_encoder_load(encoder, weights, (ie_load_watch){0}, err));
    ie_tensor tokens;
    NEED(ie_arena_tensor(&r.arena, &tokens, IE_F32, 3, want.dim, err));
    for (int i = 0; i < ids.dim[0]; i++) {
        NEED(ie_text_encoder_run(encoder, ie_slice(tokens, 0, i, i + 1),
                                 (const int32_t *)ids.data + i * ids.dim[1], length[i], &r.x, err));
    }
    float *values = rig_values(&r, tokens);
    assert_true(golden_check(&io, "tokens", values, bf16));
    free(values);
    golden_close(&io);
    ie_text_encoder_close(&encoder);
    ie_weights_close(&weights);
    rig_close(&r);
}

int main(int argc, char **argv)
{
    if (argc > 1) device = argv[1];
    bf16 = argc > 2 && !strcmp(argv[2], "bf16");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_encoder_agrees_with_the_reference),
        cmocka_unit_test(adm_agrees_with_the_reference),
        cmocka_unit_test(adm_with_every_option_agrees),
        cmocka_unit_test(efficient_with_self_attention_agrees),
        cmocka_unit_test(efficient_with_text_attention_agrees),
        cmocka_unit_test(efficient_with_concatenated_skips_agrees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
