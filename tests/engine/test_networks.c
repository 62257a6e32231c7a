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
#include "unet.h"

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

/* Slots in the golden's order are text rows; the engine's null row is the last one, so texts are
 * placed one by one. */
static void set_inputs(rig *r, const ie_unet *unet, ie_unet_slots *slots, const golden *io)
{
    const ie_unet_config *c = ie_unet_configuration(unet);
    const ie_tensor tokens = rig_upload(r, golden_get(io, "text.tokens"));
    const int32_t *length = golden_get(io, "text.length").data;
    const ie_tensor rgb = rig_upload(r, golden_get(io, "canvas.rgb"));
    const ie_tensor mask = rig_upload(r, golden_get(io, "canvas.mask"));
    for (int i = 0; i < 3; i++) {
        if (i < 2)
            NEED(ie_unet_set_text(unet, slots, i, ie_slice(tokens, 0, i, i + 1), length[i], &r->x,
                                  err));
        NEED(ie_unet_set_condition(unet, slots, i, ie_slice(rgb, 0, i, i + 1),
                                   ie_slice(mask, 0, i, i + 1), &r->x, err));
    }
    NEED(ie_unet_set_null_text(unet, slots, &r->x, err));
    NEED(ie_upload(r->backend, slots->z, golden_get(io, "z").data, err));
    if (c->low_resolution) NEED(ie_upload(r->backend, slots->low, golden_get(io, "low").data, err));
}

static int check_inputs(rig *r, const ie_unet_slots *slots, const golden *io)
{
    float *condition = rig_values(r, slots->condition);
    int bad = !golden_check(io, "conditioning", condition, r->bf16);
    free(condition);
    return bad;
}

static void lanes_of(rig *r, ie_unet_lanes *lanes, const ie_unet_config *c, const golden *io,
                     int null_row)
{
    const int32_t *slot = golden_get(io, "text_slot").data;
    int32_t text[3], request[3] = {0, 1, 2};
    float v[3], v_aug[3] = {0};
    const bool log_snr = c->time.input == IE_TIME_LOG_SNR;
    const float *time = golden_get(io, log_snr ? "lambda" : "t").data;
    const float *aug =
        c->low_resolution ? golden_get(io, log_snr ? "lambda_aug" : "t_aug").data : time;
    for (int i = 0; i < 3; i++) {
        text[i] = slot[i] == 2 ? null_row : slot[i];
        v[i] = ie_unet_time_input(c, (double)time[i], (double)time[i]);
        v_aug[i] = ie_unet_time_input(c, (double)aug[i], (double)aug[i]);
    }
    const int64_t n = 3;
    lanes->v = rig_upload(r, ie_view(v, IE_F32, 1, &n));
    if (c->low_resolution) lanes->v_aug = rig_upload(r, ie_view(v_aug, IE_F32, 1, &n));
    lanes->request = rig_upload(r, ie_view(request, IE_I32, 1, &n));
    lanes->text = rig_upload(r, ie_view(text, IE_I32, 1, &n));
}

static void unet_case(const char *name)
{
    char below[128];
    rig r;
    if (!rig_open(&r, device, bf16, WORKSPACE)) skip();
    ie_unet_config config;
    ie_weights *weights;
    ie_unet *unet;
    ie_unet_slots slots;
    snprintf(below, sizeof below, "%s/config.json", name);
    NEED(ie_unet_config_read(&config, golden_path(below), err));
    NEED(ie_weights_open(&weights, golden_path(name), err));
    snprintf(below, sizeof below, "%s/io.safetensors", name);
    golden io = golden_open(below);
    const int length = (int)golden_get(&io, "text.tokens").dim[1];
    NEED(ie_unet_open(&unet, &config, length, weights, r.backend, err));
    NEED(ie_unet_slots_open(&slots, unet, 3, err));
    set_inputs(&r, unet, &slots, &io);
    watcher w = {.r = &r, .io = &io};
    ie_unet_lanes lanes = {.tap = watch, .user = &w};
    lanes_of(&r, &lanes, &config, &io, slots.requests);
    ie_tensor pred;
    NEED(ie_arena_tensor(&r.arena, &pred, IE_F32, 4, golden_get(&io, "prediction").dim, err));
    const int pieces = r.arena.pieces;
    NEED(ie_unet_forward(unet, &slots, &lanes, pred, &r.x, err));
    assert_int_equal(r.arena.pieces, pieces); /* everything was given back */
    assert_true(w.seen >= MIN_TAPS);
    assert_int_equal(w.bad + check_inputs(&r, &slots, &io), 0);
    golden_close(&io);
    ie_unet_slots_close(&slots);
    ie_unet_close(&unet);
    ie_weights_close(&weights);
    rig_close(&r);
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
