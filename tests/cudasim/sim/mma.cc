/* mma.cc - mma.sync: one warp multiplies 16 x K by K x 8, K = 16 for bf16 and 32 for 8-bit numbers.
 * Sums are f32 in order of k, which a tensor core does not promise: compare with tolerances.
 *
 * With g = lane / 4, t = lane % 4 and E = 32 bits / element, register i of a lane holds E elements:
 *   a  row g + 8 (i % 2), columns E t + 4 E (i / 2) on      [16][K]
 *   b  column g, rows E t + 4 E i on                        [K][8]
 *   c, d  element i: row g + 8 (i / 2), column 2 t + i % 2  [16][8]
 * SPDX-License-Identifier: Apache-2.0 */
#include "number.h"
#include "report.h"
#include "state.h"

namespace cudasim
{
namespace
{
struct Fragment {
    float *d;
    const uint32_t *a, *b;
    const float *c;
    Number number;
};

struct Tile {
    float a[16][32], b[32][8], d[16][8];
};
} /* namespace */

static void gather(const Fragment &f, unsigned lane, Tile &tile)
{
    const unsigned g = lane / 4, t = lane % 4, per = 4 / bytes_of(f.number);
    for (unsigned i = 0; i < 4; i++) {
        for (unsigned e = 0; e < per; e++) {
            tile.a[g + 8 * (i % 2)][per * t + 4 * per * (i / 2) + e] =
                from_register(f.a[i], f.number, e);
        }
    }
    for (unsigned i = 0; i < 2; i++) {
        for (unsigned e = 0; e < per; e++) {
            tile.b[per * t + 4 * per * i + e][g] = from_register(f.b[i], f.number, e);
        }
    }
    for (unsigned i = 0; i < 4; i++) tile.d[g + 8 * (i / 2)][2 * t + i % 2] = f.c[i];
}

static void multiply(Tile &tile, unsigned k_end)
{
    for (unsigned m = 0; m < 16; m++) {
        for (unsigned k = 0; k < k_end; k++) {
            for (unsigned n = 0; n < 8; n++) tile.d[m][n] += tile.a[m][k] * tile.b[k][n];
        }
    }
}

void mma(float *d, const uint32_t *a, const uint32_t *b, const float *c, Number number)
{
    Fragment mine = {d, a, b, c, number};
    meet_warp(~0u, "mma.sync", &mine, CUDASIM_CALLER, [](Meeting &meeting) {
        Tile tile;
        const auto *first = static_cast<Fragment *>(meeting.argument[0]);
        for (unsigned lane = 0; lane < WARP; lane++) {
            const auto *f = static_cast<Fragment *>(meeting.argument[lane]);
            if (f->number != first->number) fail("mma.sync: lanes multiply different numbers");
            gather(*f, lane, tile);
        }
        multiply(tile, 32 / bytes_of(first->number));
        for (unsigned lane = 0; lane < WARP; lane++) {
            float *out = static_cast<Fragment *>(meeting.argument[lane])->d;
            const unsigned g = lane / 4, t = lane % 4;
            for (unsigned i = 0; i < 4; i++) out[i] = tile.d[g + 8 * (i / 2)][2 * t + i % 2];
        }
    });
}
} /* namespace cudasim */
