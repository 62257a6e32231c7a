/* stream.h - work that the host has enqueued.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CUDASIM_STREAM_H
#define CUDASIM_STREAM_H

#include "cuda_runtime_api.h"

#include <functional>
#include <memory>

namespace cudasim
{
using Work = std::function<void()>;

/* Runs it now or later, in the stream's order, or appends it to the graph that is captured. */
cudaError_t enqueue(cudaStream_t stream, Work work);
/* The same for a grid: one that may begin early does before the grid that it follows, unless
 * CUDASIM_ASYNC=eager. */
struct Grid;
cudaError_t enqueue_grid(cudaStream_t stream, std::shared_ptr<const Grid> grid);
bool is_capturing(cudaStream_t stream);
/* Everything that the null stream waits for: all streams but the non-blocking ones. */
void drain_blocking_streams();
void drain(cudaStream_t stream);

cudaError_t remember_error(cudaError_t error); /* for cudaGetLastError; returns it */
cudaError_t device_state(); /* what every call fails with once the device has failed */
} /* namespace cudasim */

#endif
