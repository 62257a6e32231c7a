/* exec_rows.c - checks, cost and dispatch of the operations on tokens, of the conditioning image
 * and of the sampler. SPDX-License-Identifier: Apache-2.0 */
#include "exec_check.h"

static ie_status check_rows(ie_exec *x, const char *what, ie_tensor y, ie_tensor in, ie_tensor w,
                            ie_tensor length, ie_error *err)
{
    const ie_dtype act = x->backend->act;
    REQUIRE(y.rank == 3 && same_shape(y, in) && ie_contiguous(y) && ie_contiguous(in));
    REQUIRE((in.dtype == IE_F32 || in.dtype == act) && (y.dtype == IE_F32 || y.dtype == act));
    REQUIRE(shaped(w, 1, y.dim[2], 0, 0, 0) && w.dtype == IE_F32);
    REQUIRE(!ie_present(length) ||
            (shaped(length, 1, y.dim[0], 0, 0, 0) && length.dtype == IE_I32));
    spend_stream(x, 6.0 * (double)ie_numel(y), (double)(ie_bytes(y) + ie_bytes(in)), what, y);
    return IE_OK;
}

ie_status ie_exec_layer_norm(ie_exec *x, const ie_norm_layer *layer, ie_tensor y, ie_tensor in,
                             ie_tensor length, ie_error *err)
{
    const ie_tensor w = layer->w, b = layer->b;
    IE_TRY(check_rows(x, "layer_norm", y, in, w, length, err));
    REQUIRE(same_shape(w, b) && b.dtype == IE_F32);
    if (!runs(x)) return IE_OK;
    return native(x,
                  x->backend->ops->layer_norm(x->backend->stream, y, in, w, b, length, layer->eps),
                  "layer norm", err);
}

ie_status ie_exec_rms_norm(ie_exec *x, ie_tensor y, ie_tensor in, ie_tensor w, ie_tensor length,
                           float eps, ie_error *err)
{
    IE_TRY(check_rows(x, "rms_norm", y, in, w, length, err));
    return native(
        x, runs(x) ? x->backend->ops->rms_norm(x->backend->stream, y, in, w, length, eps) : 0,
        "RMS norm", err);
}

ie_status ie_exec_embed(ie_exec *x, ie_tensor y, ie_tensor table, ie_tensor ids, ie_error *err)
{
    REQUIRE(ids.rank == 2 && ids.dtype == IE_I32 && table.rank == 2 && y.dtype == IE_F32);
    REQUIRE(shaped(y, 3, ids.dim[0], ids.dim[1], table.dim[1], 0) && ie_contiguous(y));
    spend_stream(x, 0, 2.0 * (double)ie_bytes(y), "embed", y);
    return native(x, runs(x) ? x->backend->ops->embed(x->backend->stream, y, table, ids) : 0,
                  "embedding", err);
}

ie_status ie_exec_mask_image(ie_exec *x, ie_tensor y, ie_tensor rgb, ie_tensor mask, ie_error *err)
{
    REQUIRE(y.rank == 4 && y.dim[3] == 4 && ie_contiguous(y));
    REQUIRE(shaped(rgb, 4, y.dim[0], y.dim[1], y.dim[2], 3) && rgb.dtype == IE_U8 &&
            ie_contiguous(rgb));
    REQUIRE(shaped(mask, 4, y.dim[0], y.dim[1], y.dim[2], 1) && mask.dtype == IE_U8 &&
            ie_contiguous(mask));
    spend_stream(x, 0, (double)(ie_bytes(y) + ie_bytes(rgb) + ie_bytes(mask)), "mask_image", y);
    return native(x, runs(x) ? x->backend->ops->mask_image(x->backend->stream, y, rgb, mask) : 0,
                  "masked image", err);
}

ie_status ie_exec_noise(ie_exec *x, ie_tensor z, int64_t slot, ie_noise_key key, ie_error *err)
{
    REQUIRE(z.rank == 4 && z.dtype == IE_F32 && ie_contiguous(z) && slot >= 0 && slot < z.dim[0]);
    spend_stream(x, 0, (double)ie_bytes(z) / (double)z.dim[0], "noise", z);
    return native(
        x,
        runs(x) ? x->backend->ops->noise(x->backend->stream, z, slot, key.seed, key.stage, key.step)
                : 0,
        "noise", err);
}

ie_status ie_exec_augment(ie_exec *x, ie_tensor y, int64_t slot, ie_tensor in, ie_noising how,
                          ie_error *err)
{
    REQUIRE(y.rank == 4 && y.dtype == IE_F32 && ie_contiguous(y) && slot >= 0 && slot < y.dim[0]);
    REQUIRE(in.rank == 3 && in.dim[2] == y.dim[3] && in.dtype == IE_F32 && ie_contiguous(in));
    spend_stream(x, 0, (double)ie_bytes(y) / (double)y.dim[0], "augment", y);
    if (!runs(x)) return IE_OK;
    return native(x,
                  x->backend->ops->augment(x->backend->stream, y, slot, in, how.alpha, how.sigma,
                                           how.key.seed, how.key.stage, how.key.step),
                  "augmentation", err);
}

ie_status ie_exec_sample(ie_exec *x, ie_sample_args args, ie_error *err)
{
    const ie_tensor z = args.z, pred = args.pred, steps = args.steps, known = args.known;
    REQUIRE(z.rank == 4 && z.dtype == IE_F32 && ie_contiguous(z) && ie_contiguous(pred));
    REQUIRE(pred.rank == 4 && pred.dim[1] == z.dim[1] && pred.dim[2] == z.dim[2] &&
            pred.dim[3] >= z.dim[3]);
    REQUIRE(shaped(steps, 2, steps.dim[0], sizeof(ie_step), 0, 0) && steps.dtype == IE_U8);
    REQUIRE(!ie_present(known) || (shaped(known, 4, z.dim[0], z.dim[1], z.dim[2], z.dim[3] + 1) &&
                                   known.dtype == IE_U8 && ie_contiguous(known)));
    const double values = (double)(steps.dim[0] * z.dim[1] * z.dim[2] * z.dim[3]);
    const double read = (double)(steps.dim[0] * ie_bytes(known)) / (double)z.dim[0];
    spend_stream(x, (ie_present(known) ? 14.0 : 12.0) * values, 4.0 * sizeof(float) * values + read,
                 "sample", z);
    IE_TRY(ie_arena_take(x->arena, &args.scratch, x->backend->ops->sample_scratch(&args), err));
    const int code = runs(x) ? x->backend->ops->sample(x->backend->stream, &args) : 0;
    ie_arena_give(x->arena, args.scratch);
    return native(x, code, "sampler", err);
}
