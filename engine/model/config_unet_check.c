/* config_unet_check.c - what the values of a U-Net's config.json must agree on: group norms divide
 * their channels, strides reach the resolution, heads divide widths. Each value alone is already in
 * its range. SPDX-License-Identifier: Apache-2.0 */
#include "config_parts.h"

/* Every group norm of engine/MODEL.md section 4 is over the channels of a level, over `width` (the
 * first block of adm, the head of efficient), or over a concatenation of those. What divides the
 * parts divides the sum, so the parts are all there is to check. */
static ie_status check_groups(const ie_unet_config *c, const ie_json *root, ie_error *err)
{
    const int groups = c->norm_groups;
    if ((c->layout == IE_LAYOUT_ADM || c->head.norm) && c->width % groups) {
        return ie_json_fail(root, err, "norm_groups is %d, which does not divide width (%d)",
                            groups, c->width);
    }
    for (int i = 0; i < c->level_count; i++) {
        if (c->levels[i].channels % groups == 0) continue;
        return ie_json_fail(root, err,
                            "norm_groups is %d, which does not divide levels[%d].channels (%d)",
                            groups, i, c->levels[i].channels);
    }
    return IE_OK;
}

static ie_status check_levels(const ie_unet_config *c, const ie_json *root, ie_error *err)
{
    int product = 1;
    for (int i = 0; i < c->level_count; i++) {
        const int stride = c->levels[i].stride;
        product *= stride;
        /* One more skip is popped than pushed in a level that does not begin with a halving. */
        if (c->layout == IE_LAYOUT_ADM && stride != (i == 0 ? 1 : 2)) {
            return ie_json_fail(root, err,
                                "levels[%d].stride is %d; in layout \"adm\" the first level has "
                                "stride 1 and every other one 2",
                                i, stride);
        }
    }
    if (c->resolution % product) {
        return ie_json_fail(root, err,
                            "resolution is %d, which the product of the levels' strides (%d) does "
                            "not divide",
                            c->resolution, product);
    }
    return IE_OK;
}

static ie_status check_conditioning(const ie_unet_config *c, const ie_json *root, ie_error *err)
{
    const int kernel = c->conditioning.kernel;
    int64_t product = 1;
    if (c->conditioning.resolution == 0) {
        if (c->conditioning.count == 0) return IE_OK;
        return ie_json_fail(root, err,
                            "conditioning.resolution is 0 (none): strides must be empty");
    }
    for (int i = 0; i < c->conditioning.count; i++) {
        const int stride = c->conditioning.strides[i];
        product *= stride;
        if (kernel % 2 == 0 && kernel != stride) {
            return ie_json_fail(root, err,
                                "conditioning.kernel is %d; it must be odd or equal to every "
                                "stride, but strides[%d] is %d",
                                kernel, i, stride);
        }
    }
    if (product * c->resolution != c->conditioning.resolution) {
        return ie_json_fail(root, err,
                            "conditioning.strides have the product %lld, which does not lead from "
                            "conditioning.resolution (%d) to resolution (%d)",
                            (long long)product, c->conditioning.resolution, c->resolution);
    }
    return IE_OK;
}

static ie_status check_widths(const ie_unet_config *c, const ie_json *root, ie_error *err)
{
    const int text_width = c->text.project > 0 ? c->text.project : c->text.width;
    if (c->low_resolution > c->resolution) {
        return ie_json_fail(root, err, "low_resolution is %d, which is above resolution (%d)",
                            c->low_resolution, c->resolution);
    }
    if (c->time.width % 2) {
        return ie_json_fail(root, err, "time.width is %d; it must be even", c->time.width);
    }
    if (text_width % c->text.pool_heads) {
        return ie_json_fail(root, err, "text.pool_heads is %d, which does not divide text.%s (%d)",
                            c->text.pool_heads, c->text.project > 0 ? "project" : "width",
                            text_width);
    }
    if (c->layout == IE_LAYOUT_ADM && !c->skip_concat) {
        return ie_json_fail(root, err, "skip_join must be \"concat\" in layout \"adm\"");
    }
    return IE_OK;
}

ie_status ie_unet_config_check(const ie_unet_config *c, const ie_json *root, ie_error *err)
{
    IE_TRY(check_widths(c, root, err));
    IE_TRY(check_conditioning(c, root, err));
    IE_TRY(check_levels(c, root, err));
    return check_groups(c, root, err);
}
