/* exec_check.h - what the files of exec share: shape predicates, cost, the decision to run, native
 * codes to statuses. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_EXEC_CHECK_H
#define IE_EXEC_CHECK_H

#include "exec.h"

#define REQUIRE(condition)                                                                      \
    do {                                                                                        \
        if (!(condition))                                                                       \
            return ie_fail(err, IE_BAD_ARGUMENT, "%s: %s does not hold", __func__, #condition); \
    } while (0)

/* Rank and the first `rank` dimensions. */
static inline bool shaped(ie_tensor t, int rank, int64_t d0, int64_t d1, int64_t d2, int64_t d3)
{
    const int64_t want[IE_MAX_RANK] = {d0, d1, d2, d3};
    if (t.rank != rank) return false;
    for (int i = 0; i < rank; i++) {
        if (t.dim[i] != want[i]) return false;
    }
    return true;
}

static inline bool same_shape(ie_tensor a, ie_tensor b)
{
    return shaped(a, b.rank, b.dim[0], b.dim[1], b.dim[2], b.dim[3]);
}

/* Room for the name of an operation that is about to be counted; NULL: nobody asks for it. */
static inline char *name_for(const ie_exec *x, char room[IE_OPERATION_TEXT])
{
    return x->tally ? room : NULL;
}

static inline void spend(ie_exec *x, const char *name, ie_cost cost)
{
    x->cost.flop += cost.flop;
    x->cost.bytes += cost.bytes;
    x->cost.times.matrix += cost.times.matrix;
    x->cost.times.memory += cost.times.memory;
    x->cost.times.launch += cost.times.launch;
    if (x->tally) ie_tally_add(x->tally, name, &cost);
}

/* Of an operation that is bound by what it moves; `of` gives the shape. */
static inline void spend_stream(ie_exec *x, double flop, double bytes, const char *what,
                                ie_tensor of)
{
    char name[IE_OPERATION_TEXT] = "";
    spend(x, name, ie_cost_stream(x->backend->model, flop, bytes, what, of, name_for(x, name)));
}

/* Does this executor compute, or only count? */
static inline bool runs(const ie_exec *x)
{
    return !x->arena->measuring;
}

static inline ie_status native(const ie_exec *x, int code, const char *what, ie_error *err)
{
    if (code == 0) return IE_OK;
    return ie_backend_failed(x->backend, what, code, err);
}

#endif
