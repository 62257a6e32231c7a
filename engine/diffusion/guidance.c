/* guidance.c - guidance schedules. SPDX-License-Identifier: Apache-2.0 */
#include "guidance.h"

#include <math.h>

static ie_status check_weight(float w, const char *what, ie_error *err)
{
    if (isfinite(w) && w >= 0 && w <= IE_GUIDANCE_LIMIT) return IE_OK;
    return ie_fail(err, IE_BAD_ARGUMENT, "%s: guidance weight %g is outside 0 .. %g", what,
                   (double)w, (double)IE_GUIDANCE_LIMIT);
}

static ie_status check_share(float share, const char *how, const char *what, ie_error *err)
{
    if (share >= 0 && share <= 1) return IE_OK;
    return ie_fail(err, IE_BAD_ARGUMENT, "%s: the share of steps held %s, %g, is outside 0 .. 1",
                   what, how, (double)share);
}

/* 0.1 of 30 steps is 3: the share is a float, so its product may lie a hair above. */
static int share_of(float share, int steps)
{
    return (int)ceil((double)share * steps - 1e-3);
}

ie_status ie_guidance_check(const ie_guidance *g, int steps, const char *what, ie_error *err)
{
    switch (g->kind) {
    case IE_GUIDANCE_DEFAULT: return IE_OK;
    case IE_GUIDANCE_CONSTANT: return check_weight(g->high, what, err);
    case IE_GUIDANCE_OSCILLATE:
        IE_TRY(check_weight(g->high, what, err));
        IE_TRY(check_weight(g->low, what, err));
        IE_TRY(check_share(g->hold, "high", what, err));
        return check_share(g->tail, "low at the end", what, err);
    case IE_GUIDANCE_LIST:
        if (!g->weights) {
            return ie_fail(err, IE_BAD_ARGUMENT, "%s: the list of guidance weights is missing",
                           what);
        }
        if (g->count != steps) {
            return ie_fail(err, IE_BAD_ARGUMENT, "%s: %d guidance weights for %d steps", what,
                           g->count, steps);
        }
        for (int i = 0; i < steps; i++) IE_TRY(check_weight(g->weights[i], what, err));
        return IE_OK;
    }
    return ie_fail(err, IE_BAD_ARGUMENT, "%s: unknown kind of guidance %d", what, (int)g->kind);
}

float ie_guidance_weight(const ie_guidance *g, int step, int steps)
{
    if (g->kind == IE_GUIDANCE_LIST) return g->weights[step];
    if (g->kind == IE_GUIDANCE_CONSTANT) return g->high;
    if (step == steps - 1 || step >= steps - share_of(g->tail, steps)) return g->low;
    const int held = share_of(g->hold, steps);
    if (step < held) return g->high;
    return (step - held) % 2 ? g->high : g->low;
}

int ie_guidance_passes(const ie_guidance *g, int steps)
{
    int passes = 0;
    for (int i = 0; i < steps; i++)
        passes += ie_guidance_needs_null(ie_guidance_weight(g, i, steps)) ? 2 : 1;
    return passes;
}
