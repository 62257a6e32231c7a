/* test_conditioning.c - how fine-tuning starts: with zeros in the new input slice of the stem, the
 * network gives bit for bit what the same network gives without image and mask, whatever they show.
 * Arguments: device and precision. SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "golden.h"
#include "unet.h"

static const char *device = "ref";
static bool bf16;

enum { WORKSPACE = 64 << 20 };

#define NEED(call)                                            \
    do {                                                      \
        ie_error need_err_ = {0};                             \
        ie_error *const err = &need_err_;                     \
        if (call) fail_msg("%s (%s)", err->text, err->where); \
    } while (0)

/* ---- two checkpoints made from tests/golden/unet-adm ----------------------------------------- */

/* A safetensors file in memory: the golden weights, with the stem's conditioning slice zeroed, or
 * cut off together with the encoder (`plain`). */
typedef struct checkpoint {
    uint8_t *bytes;
    uint64_t size;
} checkpoint;

/* The stem's weight [O, 3 + E, 3, 3]: its last E inputs, and how many it keeps. */
static void write_stem(float *to, ie_tensor from, int64_t kept, bool plain)
{
    const int64_t outputs = from.dim[0], inputs = from.dim[1], taps = from.dim[2] * from.dim[3];
    const float *w = from.data;
    for (int64_t o = 0; o < outputs; o++) {
        for (int64_t c = 0; c < (plain ? kept : inputs); c++) {
            for (int64_t k = 0; k < taps; k++)
                *to++ = c < kept ? w[(o * inputs + c) * taps + k] : 0.0f;
        }
    }
}

static checkpoint make_checkpoint(const golden *g, int64_t kept, bool plain)
{
    static char header[1 << 20];
    static float data[1 << 20];
    size_t at = 0, used = 0;
    at += (size_t)snprintf(header, sizeof header, "{");
    for (uint64_t i = 0; i < ie_weights_count(g->file); i++) {
        ie_tensor t;
        const char *name = ie_weights_at(g->file, i, &t);
        if (plain && !strncmp(name, "conditioning.", 13)) continue;
        const bool stem = !strcmp(name, "stem.weight");
        const size_t begin = used;
        assert_int_equal(t.dtype, IE_F32);
        if (stem) {
            write_stem(data + used, t, kept, plain);
            if (plain) t.dim[1] = kept;
        } else {
            memcpy(data + used, t.data, (size_t)ie_bytes(t));
        }
        used += (size_t)ie_numel(t);
        assert_true(used < sizeof data / sizeof data[0]);
        at += (size_t)snprintf(header + at, sizeof header - at,
                               "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[", at > 1 ? "," : "", name);
        for (int d = 0; d < t.rank; d++) {
            at += (size_t)snprintf(header + at, sizeof header - at, "%s%lld", d ? "," : "",
                                   (long long)t.dim[d]);
        }
        at += (size_t)snprintf(header + at, sizeof header - at, "],\"data_offsets\":[%zu,%zu]}",
                               4 * begin, 4 * used);
    }
    at += (size_t)snprintf(header + at, sizeof header - at, "}");
    while (at % 8) header[at++] = ' ';
    checkpoint c = {.size = 8 + at + 4 * used};
    c.bytes = malloc(c.size);
    assert_non_null(c.bytes);
    const uint64_t length = at;
    memcpy(c.bytes, &length, 8);
    memcpy(c.bytes + 8, header, at);
    memcpy(c.bytes + 8 + at, data, 4 * used);
    return c;
}

/* ---- one forward ----------------------------------------------------------------------------- */

/* The prediction of one lane with text 0; canvas `picture` of the golden file, or none for the
 * plain network. */
static float *predict(rig *r, const ie_unet_config *config, const checkpoint *c, const golden *io,
                      int picture)
{
    ie_weights *weights;
    ie_unet *unet;
    ie_unet_slots slots;
    const ie_tensor tokens = golden_get(io, "text.tokens"), z = golden_get(io, "z");
    NEED(ie_weights_open_memory(&weights, c->bytes, c->size, "made in the test", err));
    NEED(ie_unet_open(&unet, config, (int)tokens.dim[1], weights, r->backend, err));
    NEED(ie_unet_load(unet, weights, (ie_load_watch){0}, err));
    NEED(ie_unet_slots_plan(&slots, unet, 1, false, err));
    NEED(ie_unet_slots_open(&slots, unet, err));
    const ie_tensor device_tokens = rig_upload(r, tokens);
    const int32_t *length = golden_get(io, "text.length").data;
    NEED(
        ie_unet_set_text(unet, &slots, 0, ie_slice(device_tokens, 0, 0, 1), length[0], &r->x, err));
    if (config->conditioning.resolution) {
        const ie_tensor rgb = rig_upload(r, golden_get(io, "canvas.rgb"));
        const ie_tensor mask = rig_upload(r, golden_get(io, "canvas.mask"));
        NEED(ie_unet_set_condition(unet, &slots, 0, ie_slice(rgb, 0, picture, picture + 1),
                                   ie_slice(mask, 0, picture, picture + 1), &r->x, err));
    }
    NEED(ie_upload(r->backend, slots.z, z.data, err));
    const int64_t one = 1;
    float v = golden_scalar(io, "v");
    int32_t zero = 0;
    ie_unet_lanes lanes = {.v = rig_upload(r, ie_view(&v, IE_F32, 1, &one)),
                           .request = rig_upload(r, ie_view(&zero, IE_I32, 1, &one)),
                           .text = rig_upload(r, ie_view(&zero, IE_I32, 1, &one))};
    const int64_t dim[4] = {1, z.dim[1], z.dim[2], 3};
    ie_tensor pred;
    NEED(ie_arena_tensor(&r->arena, &pred, IE_F32, 4, dim, err));
    NEED(ie_unet_forward(unet, &slots, &lanes, pred, &r->x, err));
    float *values = rig_values(r, pred);
    ie_unet_slots_close(&slots);
    ie_unet_close(&unet);
    ie_weights_close(&weights);
    return values;
}

static void zeroed_conditioning_equals_the_plain_network(void **state)
{
    (void)state;
    rig r;
    if (!rig_open(&r, device, bf16, WORKSPACE)) skip();
    golden weights = golden_open("unet-adm/model.safetensors"),
           io = golden_open("unet-adm/io.safetensors");
    ie_unet_config config;
    NEED(ie_unet_config_read(&config, golden_path("unet-adm/config.json"), err));
    ie_unet_config plain = config;
    plain.conditioning.resolution = plain.conditioning.count = 0;
    const checkpoint started = make_checkpoint(&weights, 3, false),
                     imagen = make_checkpoint(&weights, 3, true);
    const checkpoint trained =
        make_checkpoint(&weights, 1 << 20, false); /* keeps everything: the control */

    const size_t bytes = (size_t)ie_numel(golden_get(&io, "z")) / 3 * sizeof(float);
    float *want = predict(&r, &plain, &imagen, &io, 0);
    float *first = predict(&r, &config, &started, &io, 0),
          *second = predict(&r, &config, &started, &io, 1);
    float *control = predict(&r, &config, &trained, &io, 0);
    assert_memory_equal(want, first, bytes);
    assert_memory_equal(want, second, bytes);
    assert_true(memcmp(want, control, bytes) != 0);

    float *const all[] = {want, first, second, control};
    for (int i = 0; i < 4; i++) free(all[i]);
    free(started.bytes);
    free(imagen.bytes);
    free(trained.bytes);
    golden_close(&io);
    golden_close(&weights);
    rig_close(&r);
}

int main(int argc, char **argv)
{
    if (argc > 1) device = argv[1];
    bf16 = argc > 2 && !strcmp(argv[2], "bf16");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zeroed_conditioning_equals_the_plain_network)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
