/* test_golden_ops.c - the lowest rung of the parity ladder: every single operation of
 * tests/golden/ops.safetensors on every device and precision, within the bounds stored beside it.
 * Arguments: device (ref, cpu) and precision (f32, bf16).
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "golden_ops.h"

static const char *device = "ref";
static bool bf16;

enum { WORKSPACE = 1 << 20 };

typedef struct ops_row {
    const char *name;
    bool (*run)(const ops_case *c);
} ops_row;

static const ops_row table[] = {
    {"conv_k3", ops_conv},
    {"conv_block", ops_conv},
    {"conv_up2", ops_conv},
    {"conv_down2", ops_conv},
    {"conv_stride2", ops_conv},
    {"conv_k1", ops_conv},
    {"conv_gelu", ops_conv},
    {"conv_silu_only", ops_conv},
    {"linear_silu", ops_linear},
    {"linear_tokens", ops_linear},
    {"linear_gated", ops_linear},
    {"layer_norm", ops_norm},
    {"rms_norm", ops_norm},
    {"moments", ops_moments},
    {"attention_two", ops_attention},
    {"attention_text", ops_attention},
    {"sinusoid", ops_sinusoid},
    {"mask_image", ops_mask_image},
    {"philox", ops_philox},
    {"noise_initial", ops_noise},
    {"noise_step", ops_noise},
    {"augment", ops_augment},
    {"augment_none", ops_augment},
    {"quantile", ops_quantile},
    {"sample_ddpm_epsilon", ops_sample},
    {"sample_ddim_epsilon", ops_sample},
    {"sample_ddpm_v", ops_sample},
    {"sample_ddim_v", ops_sample},
    {"sample_within", ops_sample},
};

enum { ROWS = sizeof table / sizeof table[0] };

static void every_operation_agrees_with_the_reference(void **state)
{
    (void)state;
    golden g = golden_open("ops.safetensors");
    int bad = 0;
    for (int i = 0; i < ROWS; i++) {
        rig r;
        if (!rig_open(&r, device, bf16, WORKSPACE)) skip();
        bad += !table[i].run(&(ops_case){.r = &r, .g = &g, .name = table[i].name});
        rig_close(&r);
    }
    golden_close(&g);
    assert_int_equal(bad, 0);
}

static bool listed(const char *tensor)
{
    for (int i = 0; i < ROWS; i++) {
        const size_t length = strlen(table[i].name);
        if (!strncmp(tensor, table[i].name, length) && tensor[length] == '.') return true;
    }
    return false;
}

static void no_case_of_the_file_is_left_out(void **state)
{
    (void)state;
    golden g = golden_open("ops.safetensors");
    for (uint64_t i = 0; i < ie_weights_count(g.file); i++) {
        ie_tensor t;
        const char *name = ie_weights_at(g.file, i, &t);
        if (!listed(name)) fail_msg("nothing runs the case of %s", name);
    }
    golden_close(&g);
}

int main(int argc, char **argv)
{
    if (argc > 1) device = argv[1];
    bf16 = argc > 2 && !strcmp(argv[2], "bf16");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operation_agrees_with_the_reference),
        cmocka_unit_test(no_case_of_the_file_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
