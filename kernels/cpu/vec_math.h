/* vec_math.h - exp and the activations on sixteen floats.
 *
 * The polynomials are minimax fits of our own (Lawson's iteration, relative error); measured over
 * every 37th float against double: exp within 1 ulp on [-87, 88], the normal tail within 20 ulp
 * where it is below 1e-6 and 8 above. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_CPU_VEC_MATH_H
#define IE_CPU_VEC_MATH_H

#include "ops.h"
#include "vec.h"

/* exp(x), x clamped to [-87, 88.7]: n = round(x / ln 2), exp(x - n ln 2) by a polynomial, n into
 * the exponent. */
IE_INLINE ie_v ie_v_exp(ie_v x)
{
    const ie_v magic =
        ie_v_set(0x1.8p23f); /* adding it leaves round-to-nearest integers in the low bits */
    x = ie_v_min(ie_v_set(88.7f),
                 ie_v_max(ie_v_set(-87.0f), x)); /* in this order a NaN stays one */
    const ie_v shifted = ie_v_fma(x, ie_v_set(1.44269504f), magic);
    const ie_v n = shifted - magic;
    /* ln 2 in two parts, the first of which is exact times n */
    const ie_v r = ie_v_fma(n, ie_v_set(2.12194440e-4f), ie_v_fma(n, ie_v_set(-0.693359375f), x));
    ie_v q = ie_v_fma(r, ie_v_set(0.00138145984777f), ie_v_set(0.00836871701681f));
    q = ie_v_fma(q, r, ie_v_set(0.0416683880580f));
    q = ie_v_fma(q, r, ie_v_set(0.166665206305f));
    q = ie_v_fma(q, r, ie_v_set(0.499999934477f));
    const ie_v p = ie_v_fma(q, r * r, r) + 1.0f;
    return (ie_v)(ie_v_bits(p) + (ie_v_bits(shifted) << 23));
}

/* x / (1 + exp(-s)): with s = x it is SiLU, with the cubic below GELU's tanh form, since 1 + tanh u
 * = 2 / (1 + e^-2u). */
IE_INLINE ie_v ie_v_gate(ie_v x, ie_v s)
{
    return x / (ie_v_exp(-s) + 1.0f);
}
IE_INLINE ie_v ie_v_silu(ie_v x)
{
    return ie_v_gate(x, x);
}
IE_INLINE ie_v ie_v_gelu_tanh(ie_v x)
{
    /* 2 sqrt(2/pi) (x + 0.044715 x^3) */
    return ie_v_gate(x, x * ie_v_fma(x * x, ie_v_set(0.0713548162726f), ie_v_set(1.59576912161f)));
}

/* x Phi(x): the normal tail is exp(-a^2/2) g(1 / (1 + a/4)), a = |x|, so small values keep their
 * relative precision. */
IE_INLINE ie_v ie_v_gelu(ie_v x)
{
    static const float g[] = {
        -2.159985524485819e-05f, 0.10022899508476257f, 0.0948202908039093f,  0.12156777083873749f,
        -0.020383572205901146f,  0.3044859766960144f,  -0.3334681987762451f, 0.3950006365776062f,
        -0.19617699086666107f,   0.03394666314125061f};
    const ie_v a = ie_v_max(x, -x);
    const ie_v u = 1.0f / ie_v_fma(a, ie_v_set(0.25f), ie_v_set(1.0f));
    ie_v tail = ie_v_set(g[9]);
    for (int k = 8; k >= 0; k--) tail = ie_v_fma(tail, u, ie_v_set(g[k]));
    tail *= ie_v_exp(a * a * -0.5f);
    return x * ie_v_select(x < 0.0f, tail, 1.0f - tail);
}

IE_INLINE ie_v ie_v_activate(ie_v x, ie_act act)
{
    switch (act) {
    case IE_ACT_SILU: return ie_v_silu(x);
    case IE_ACT_GELU: return ie_v_gelu(x);
    case IE_ACT_GELU_TANH: return ie_v_gelu_tanh(x);
    case IE_ACT_NONE: break;
    }
    return x;
}

#endif
