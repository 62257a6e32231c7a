/* check_cuda.c - the CUDA table against the oracle of the harness: on a device, or on the simulator
 * that it is linked with. SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

#include "cuda_ops.h"

#include <stdio.h>

int main(int argc, char **argv)
{
    int arch = 0;
    if (ie_cuda_arch(&arch)) {
        printf("SKIP: no CUDA device\n");
        return 77;
    }
    const int code = ie_cuda_probe();
    if (code) {
        printf("FAIL: the device does not run kernels of this build (%d)\n", code);
        return 1;
    }
    return check_ops(check_on_device(ie_cuda_ops()), CHECK_IN_BF16, argc - 1, argv + 1) > 0;
}
