/* failing_kernel.cu - a launch that the runtime refuses: more shared memory than a block can have.
 * SPDX-License-Identifier: Apache-2.0 */
#include "launch.h"

__global__ void asks_too_much(int *word)
{
    wait_for_last_grid();
    *word = 0;
}

extern "C" int launch_too_much(ie_stream *s)
{
    return launch(asks_too_much, dim3(1), dim3(32), 300 << 10, s, static_cast<int *>(nullptr));
}
