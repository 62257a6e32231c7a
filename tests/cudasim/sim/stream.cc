/* stream.cc - streams, events and graphs. With CUDASIM_ASYNC=lazy the work of a stream runs when
 * somebody waits for it, with eager when it is enqueued, with rand at some time between: a host
 * program that forgets to wait reads old bytes in one of them.
 * SPDX-License-Identifier: Apache-2.0 */
#include "stream.h"
#include "config.h"
#include "report.h"
#include "state.h"

#include <cstdint>
#include <deque>
#include <memory>
#include <set>
#include <vector>

/* An event is its last recording: a number on a stream. */
struct CUevent_st {
    cudaStream_t stream = nullptr; /* where it was recorded last; null: never */
    uint64_t recorded = 0, reached = 0;
    CUgraph_st *graph = nullptr;
};

/* A grid, or other work. */
struct Task {
    std::shared_ptr<const cudasim::Grid> grid;
    cudasim::Work work;
};

struct Item {
    Task task;
    CUevent_st *waits_for = nullptr; /* until it has reached `recording` */
    uint64_t recording = 0;
};

struct CUstream_st {
    bool blocking = true;
    std::deque<Item> items;
    CUgraph_st *graph = nullptr; /* that captures it */
    bool unjoined = false;       /* captured work that the graph's own stream did not wait for */
};

struct CUgraph_st {
    cudaStream_t origin = nullptr;
    std::vector<Task> nodes; /* in an order that is legal */
    std::set<cudaStream_t> joined;
};

struct CUgraphExec_st {
    std::vector<Task> nodes;
};

namespace cudasim
{
static std::set<cudaStream_t> streams;
static std::set<cudaEvent_t> events;

/* The grid that comes next in the stream, when it begins before this one has run. */
static std::shared_ptr<const Grid> begins_early(const CUstream_st &stream)
{
    if (stream.items.empty()) return nullptr;
    const auto &next = stream.items.front().task.grid;
    return next && next->may_begin_early && !happens_now() ? next : nullptr;
}

static void run_next(cudaStream_t stream)
{
    const Item item = std::move(stream->items.front());
    stream->items.pop_front();
    if (item.waits_for && events.count(item.waits_for)) {
        CUevent_st &event = *item.waits_for;
        while (event.reached < item.recording && !event.stream->items.empty()) {
            run_next(event.stream);
        }
    }
    if (item.task.grid) run_grid(item.task.grid, begins_early(*stream));
    if (item.task.work) item.task.work();
}

void drain(cudaStream_t stream)
{
    if (!stream) {
        drain_blocking_streams();
        return;
    }
    while (!stream->items.empty()) run_next(stream);
}

void drain_blocking_streams()
{
    for (cudaStream_t stream : streams) {
        if (stream->blocking) drain(stream);
    }
}

bool is_capturing(cudaStream_t stream)
{
    return stream && stream->graph;
}

static void after_enqueue(cudaStream_t stream)
{
    const Async async = config().async;
    if (async == Async::eager) drain(stream);
    if (async != Async::random) return;
    for (cudaStream_t other : streams) {
        while (!other->items.empty() && random_bits() % 2) run_next(other);
    }
}

static cudaError_t enqueue_task(cudaStream_t stream, Task task)
{
    if (const cudaError_t error = device_state()) return error;
    if (!stream) { /* the null stream waits for the blocking ones, and nothing for longer */
        drain_blocking_streams();
        if (task.grid) run_grid(task.grid, nullptr);
        if (task.work) task.work();
        return cudaSuccess;
    }
    if (!streams.count(stream)) return remember_error(cudaErrorInvalidResourceHandle);
    if (stream->graph) {
        stream->graph->nodes.push_back(std::move(task));
        stream->unjoined = stream != stream->graph->origin;
        return cudaSuccess;
    }
    stream->items.push_back({std::move(task), nullptr, 0});
    after_enqueue(stream);
    return cudaSuccess;
}

cudaError_t enqueue(cudaStream_t stream, Work work)
{
    return enqueue_task(stream, {nullptr, std::move(work)});
}

cudaError_t enqueue_grid(cudaStream_t stream, std::shared_ptr<const Grid> grid)
{
    return enqueue_task(stream, {std::move(grid), nullptr});
}

static cudaError_t open_stream(cudaStream_t *stream, bool blocking)
{
    *stream = nullptr;
    if (const cudaError_t error = device_state()) return error;
    auto opened = std::make_unique<CUstream_st>();
    opened->blocking = blocking;
    *stream = opened.release();
    streams.insert(*stream);
    return cudaSuccess;
}

static cudaError_t wait_in_capture(cudaStream_t stream, cudaEvent_t event)
{
    CUgraph_st *graph = stream->graph ? stream->graph : event->graph;
    if (!event->graph || event->graph != graph) {
        return remember_error(cudaErrorStreamCaptureUnsupported);
    }
    stream->graph = graph;
    graph->joined.insert(stream);
    if (stream == graph->origin) event->stream->unjoined = false;
    return cudaSuccess;
}
} /* namespace cudasim */

using namespace cudasim;

/* ---- streams --------------------------------------------------------------------------------- */

cudaError_t cudaStreamCreate(cudaStream_t *stream)
{
    return open_stream(stream, true);
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags)
{
    return open_stream(stream, !(flags & cudaStreamNonBlocking));
}

cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
    if (!streams.count(stream)) return remember_error(cudaErrorInvalidResourceHandle);
    drain(stream);
    streams.erase(stream);
    delete stream;
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
    if (is_capturing(stream)) return remember_error(cudaErrorStreamCaptureUnsupported);
    drain(stream);
    return device_state();
}

cudaError_t cudaStreamQuery(cudaStream_t stream)
{
    if (const cudaError_t error = device_state()) return error;
    if (stream && !stream->items.empty()) {
        run_next(stream); /* time passes, so that a loop of queries ends */
        return cudaErrorNotReady;
    }
    return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize(void)
{
    for (cudaStream_t stream : streams) {
        if (stream->graph) return remember_error(cudaErrorStreamCaptureUnsupported);
        drain(stream);
    }
    return cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned)
{
    if (!events.count(event)) return remember_error(cudaErrorInvalidResourceHandle);
    if (is_capturing(stream) || event->graph) return wait_in_capture(stream, event);
    if (!event->stream) return cudaSuccess; /* never recorded, or reached at once */
    if (!stream) {
        while (event->reached < event->recorded) run_next(event->stream);
        return cudaSuccess;
    }
    stream->items.push_back({{}, event, event->recorded});
    after_enqueue(stream);
    return cudaSuccess;
}

/* ---- events ---------------------------------------------------------------------------------- */

cudaError_t cudaEventCreate(cudaEvent_t *event)
{
    *event = nullptr;
    if (const cudaError_t error = device_state()) return error;
    *event = std::make_unique<CUevent_st>().release();
    events.insert(*event);
    return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned)
{
    return cudaEventCreate(event);
}

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    if (!events.erase(event)) return remember_error(cudaErrorInvalidResourceHandle);
    for (cudaStream_t stream : streams) { /* what it still has to mark */
        for (Item &item : stream->items) {
            if (item.waits_for == event) item.waits_for = nullptr;
        }
    }
    delete event;
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
    if (!events.count(event)) return remember_error(cudaErrorInvalidResourceHandle);
    if (const cudaError_t error = device_state()) return error;
    event->stream = stream;
    event->graph = stream ? stream->graph : nullptr;
    if (event->graph) return cudaSuccess;
    const uint64_t recording = ++event->recorded;
    return enqueue(stream, [event, recording] {
        if (events.count(event)) event->reached = recording;
    });
}

cudaError_t cudaEventSynchronize(cudaEvent_t event)
{
    if (!events.count(event)) return remember_error(cudaErrorInvalidResourceHandle);
    if (event->graph) return remember_error(cudaErrorStreamCaptureUnsupported);
    while (event->reached < event->recorded) run_next(event->stream);
    return device_state();
}

cudaError_t cudaEventQuery(cudaEvent_t event)
{
    if (!events.count(event)) return remember_error(cudaErrorInvalidResourceHandle);
    if (event->reached == event->recorded) return cudaSuccess;
    run_next(event->stream);
    return cudaErrorNotReady;
}

/* ---- graphs ---------------------------------------------------------------------------------- */

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode)
{
    if (!stream || stream->graph) return remember_error(cudaErrorStreamCaptureUnsupported);
    if (const cudaError_t error = device_state()) return error;
    stream->graph = std::make_unique<CUgraph_st>().release();
    stream->graph->origin = stream;
    stream->graph->joined.insert(stream);
    return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph)
{
    *graph = nullptr;
    if (!stream || !stream->graph || stream->graph->origin != stream) {
        return remember_error(cudaErrorStreamCaptureUnmatched);
    }
    std::unique_ptr<CUgraph_st> ended(stream->graph);
    bool unjoined = false;
    for (cudaStream_t joined : ended->joined) {
        unjoined = unjoined || joined->unjoined;
        joined->graph = nullptr;
        joined->unjoined = false;
    }
    for (cudaEvent_t event : events) {
        if (event->graph == ended.get()) {
            event->graph = nullptr;
            event->stream = nullptr;
        }
    }
    if (unjoined) return remember_error(cudaErrorStreamCaptureUnmatched);
    *graph = ended.release();
    return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long)
{
    *exec = nullptr;
    if (const cudaError_t error = device_state()) return error;
    auto made = std::make_unique<CUgraphExec_st>();
    made->nodes = graph->nodes;
    *exec = made.release();
    return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream)
{
    for (const Task &node : exec->nodes) {
        const cudaError_t error = enqueue_task(stream, node);
        if (error != cudaSuccess) return error;
    }
    return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph)
{
    delete graph;
    return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec)
{
    delete exec;
    return cudaSuccess;
}
