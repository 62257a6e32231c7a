/* host_in_c.c - host code as a backend writes it, in plain C: part of cudasim_runtime.
 * SPDX-License-Identifier: Apache-2.0 */
#include <cuda.h>
#include <cuda_runtime_api.h>

#include <string.h>

int host_in_c(void);

/* 0, or the number of the step that went wrong. */
int host_in_c(void)
{
    const int values[4] = {1, 2, 3, 4};
    int back[4] = {0}, count = 0, major = 0;
    void *device = NULL;
    cudaStream_t stream = NULL;
    cudaEvent_t event = NULL;
    if (cudaGetDeviceCount(&count) != cudaSuccess || count != 1) return 1;
    if (cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0) != cudaSuccess)
        return 2;
    if (cudaMalloc(&device, sizeof values) != cudaSuccess) return 3;
    if (cudaStreamCreate(&stream) != cudaSuccess || cudaEventCreate(&event) != cudaSuccess)
        return 4;
    if (cudaMemcpyAsync(device, values, sizeof values, cudaMemcpyHostToDevice, stream)) return 5;
    if (cudaEventRecord(event, stream) != cudaSuccess) return 6;
    if (cudaEventSynchronize(event) != cudaSuccess) return 7;
    if (cudaMemcpy(back, device, sizeof back, cudaMemcpyDeviceToHost) != cudaSuccess) return 8;
    if (memcmp(values, back, sizeof back) != 0) return 9;
    if (cudaEventDestroy(event) || cudaStreamDestroy(stream) || cudaFree(device)) return 10;
    return strcmp(cudaGetErrorName(cudaGetLastError()), "cudaSuccess") == 0 ? 0 : 11;
}
