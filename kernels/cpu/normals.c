/* normals.c - the normals of rng.h, sixteen Philox blocks at a time.
 *
 * The words are those of ie_philox. The transform is the same Box-Muller with logarithm, sine and
 * cosine as polynomials (our own minimax fits); each is within 2 ulp of its argument's exact value
 * on the whole range it meets here. SPDX-License-Identifier: Apache-2.0 */
#include "sampler.h"
#include "vec_math.h"

/* Block l of word i of the counter, and of the result, is w[i][l]. */
typedef struct words {
    uint32_t w[4][IE_LANES];
} words;

static void philox(words *c, uint64_t key)
{
    uint32_t low = (uint32_t)key, high = (uint32_t)(key >> 32);
    for (int round = 0; round < 10; round++) {
        for (int l = 0; l < IE_LANES; l++) {
            const uint64_t p0 = (uint64_t)0xD2511F53u * c->w[0][l];
            const uint64_t p1 = (uint64_t)0xCD9E8D57u * c->w[2][l];
            c->w[0][l] = (uint32_t)(p1 >> 32) ^ c->w[1][l] ^ low;
            c->w[2][l] = (uint32_t)(p0 >> 32) ^ c->w[3][l] ^ high;
            c->w[1][l] = (uint32_t)p1;
            c->w[3][l] = (uint32_t)p0;
        }
        low += 0x9E3779B9u;
        high += 0xBB67AE85u;
    }
}

/* 32 random bits to (0, 1), exactly as ie_unit. */
static inline ie_v unit(const uint32_t *bits)
{
    ie_vu u;
    memcpy(&u, bits, sizeof u);
    return (__builtin_convertvector((ie_vi)(u >> 9), ie_v) + 0.5f) * 0x1p-23f;
}

/* log(x), x normal and positive: x = 2^e (1 + f) with 1 + f in [sqrt 1/2, sqrt 2), f - f^2/2 + f^3
 * q(f). */
static inline ie_v logarithm(ie_v x)
{
    static const float q[] = {0.3333331259687923f,   -0.25000009784877325f, 0.20002119555872994f,
                              -0.16667985792561882f, 0.14219521148122055f,  -0.12405752519460955f,
                              0.11888591100775688f,  -0.1167482525487461f,  0.0674459074210061f};
    const ie_vi bits = (ie_vi)x, exponent = (bits - 0x3f3504f3) >> 23;
    const ie_v e = __builtin_convertvector(exponent, ie_v),
               f = (ie_v)(bits - (exponent << 23)) - 1.0f;
    ie_v p = ie_v_set(q[8]);
    for (int k = 7; k >= 0; k--) p = ie_v_fma(p, f, ie_v_set(q[k]));
    p = ie_v_fma(p * f - 0.5f, f * f, f);
    return ie_v_fma(e, ie_v_set(0.693359375f), ie_v_fma(e, ie_v_set(-2.12194440e-4f), p));
}

/* Sine and cosine of x in [0, 2 pi]: x less n pi/2, in three parts of which the first two are
 * exact. */
static inline void sine_cosine(ie_v x, ie_v *sine, ie_v *cosine)
{
    const ie_v magic = ie_v_set(0x1.8p23f), shifted = x * 0.636619772f + magic, n = shifted - magic;
    const ie_v r = ((x - n * 1.5703125f) - n * 4.837512969970703125e-4f) - n * 7.54978995489e-8f,
               z = r * r;
    ie_v s = ie_v_fma(z, ie_v_set(-1.949494908330962e-4f), ie_v_set(8.331973105669022e-3f));
    s = ie_v_fma(ie_v_fma(s, z, ie_v_set(-0.16666650772094727f)), z * r, r);
    ie_v c = ie_v_fma(z, ie_v_set(2.4437729734927416e-5f), ie_v_set(-1.388736185617745e-3f));
    c = ie_v_fma(ie_v_fma(c, z, ie_v_set(0.04166664555668831f)), z * z, 1.0f - z * 0.5f);
    const ie_vi quarter = (ie_vi)shifted, odd = -(quarter & 1);
    *sine = (ie_v)((ie_vi)ie_v_select(odd, c, s) ^ ((quarter & 2) << 30));
    *cosine = (ie_v)((ie_vi)ie_v_select(odd, s, c) ^ (((quarter + 1) & 2) << 30));
}

void ie_cpu_normals(float out[IE_NOISE_RUN], ie_noise_key key, int64_t first)
{
    words c;
    for (int l = 0; l < IE_LANES; l++) {
        c.w[0][l] = (uint32_t)(first / 4) + (uint32_t)l;
        c.w[1][l] = 0;
        c.w[2][l] = key.step;
        c.w[3][l] = key.stage;
    }
    philox(&c, key.seed);
    for (int64_t word = 0; word < 4; word += 2) {
        ie_v sine, cosine;
        const ie_v radius = ie_v_sqrt(logarithm(unit(c.w[word])) * -2.0f);
        sine_cosine(unit(c.w[word + 1]) * 6.28318530717958648f, &sine, &cosine);
        cosine *= radius;
        sine *= radius;
        for (int64_t l = 0; l < IE_LANES; l++) {
            out[4 * l + word] = cosine[l];
            out[4 * l + word + 1] = sine[l];
        }
    }
}
