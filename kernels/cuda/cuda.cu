/* cuda.cu - the table of the CUDA backend, and what a host program asks before it uses it.
 *
 * probe      word[0] = 1, 2 or 3: a device that runs it runs the others, which are compiled for the
 *            same targets; 2 where that is sm_90 or later, 3 where it is sm_90a. One thread, 4
 *            bytes.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cuda_ops.h"

#include "launch.h"

__global__ void __launch_bounds__(1) probe(int *word)
{
    wait_for_last_grid();
    *word = 1 + PTX_SM90 + PTX_SM90A;
}

int ie_cuda_probe(void)
{
    int *word = nullptr, value = 0;
    cudaError_t code = cudaMalloc(reinterpret_cast<void **>(&word), sizeof *word);
    if (code != cudaSuccess) return static_cast<int>(code);
    int failed = launch(probe, dim3(1), dim3(1), 0, nullptr, word);
    if (!failed) {
        code = cudaMemcpy(&value, word, sizeof value, cudaMemcpyDeviceToHost);
        failed = static_cast<int>(code);
    }
    (void)cudaFree(word);
    int arch = 0;
    if (!failed) failed = device_arch(&arch);
    /* Code for an older chip would not wait for the grid before, and has no conv90. */
    const int least = arch < 90 ? 1 : arch == 90 ? 3 : 2;
    if (!failed && value < least) failed = static_cast<int>(cudaErrorNotSupported);
    return failed;
}

int ie_cuda_arch(int *arch)
{
    return device_arch(arch);
}

const char *ie_cuda_failed_kernel(void)
{
    const char *name = nullptr;
    const void *kernel = failed_kernel;
    failed_kernel = nullptr;
    if (!kernel || cudaFuncGetName(&name, kernel) != cudaSuccess) return nullptr;
    return name;
}

const char *ie_cuda_last_kernel(void)
{
    const char *name = nullptr;
    return last_kernel && cudaFuncGetName(&name, last_kernel) == cudaSuccess ? name : nullptr;
}

static const ie_ops *table()
{
    static const ie_ops ops = [] {
        ie_ops t = {};
        t.name = "cuda";
        t.conv_bytes = ie_cuda_conv_bytes;
        t.conv_prepare = ie_cuda_conv_prepare;
        t.conv_scratch = ie_cuda_conv_scratch;
        t.conv = ie_cuda_conv;
        t.conv_release = ie_cuda_conv_release;
        t.linear_bytes = ie_cuda_linear_bytes;
        t.linear_prepare = ie_cuda_linear_prepare;
        t.linear_scratch = ie_cuda_linear_scratch;
        t.linear = ie_cuda_linear;
        t.linear_release = ie_cuda_linear_release;
        t.attention_scratch = ie_cuda_attention_scratch;
        t.attention = ie_cuda_attention;
        t.moments = ie_cuda_moments;
        t.gather = ie_cuda_gather;
        t.add_rows = ie_cuda_add_rows;
        t.add = ie_cuda_add;
        t.sinusoid = ie_cuda_sinusoid;
        t.layer_norm = ie_cuda_layer_norm;
        t.rms_norm = ie_cuda_rms_norm;
        t.embed = ie_cuda_embed;
        t.mask_image = ie_cuda_mask_image;
        t.noise = ie_cuda_noise;
        t.augment = ie_cuda_augment;
        t.sample_scratch = ie_cuda_sample_scratch;
        t.sample = ie_cuda_sample;
        return t;
    }();
    return &ops;
}

const ie_ops *ie_cuda_ops(void)
{
    return table();
}
