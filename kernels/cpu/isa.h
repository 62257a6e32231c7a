/* isa.h - one source, several instruction sets.
 *
 * Every file of this folder but cpu.c and onednn.c is compiled once per level: base (what the
 * compiler assumes anyway), avx2 (x86-64-v3), avx512 (x86-64-v4) and avx512bf16 (with that
 * extension). IE_CPU_ISA is the level's name; names that cross files carry it as a suffix, so the
 * code reads as if there were one level. cpu.c picks the table at run time.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_CPU_ISA_H
#define IE_CPU_ISA_H

#ifndef IE_CPU_ISA
#define IE_CPU_ISA base
#endif
#define IE_ISA_JOIN_(a, b) a##_##b
#define IE_ISA_JOIN(a, b)  IE_ISA_JOIN_(a, b)
#define IE_ISA(name)       IE_ISA_JOIN(name, IE_CPU_ISA)

#define ie_cpu_table             IE_ISA(ie_cpu_table)
#define ie_cpu_plan_conv         IE_ISA(ie_cpu_plan_conv)
#define ie_cpu_pack_rows         IE_ISA(ie_cpu_pack_rows)
#define ie_cpu_pack_pixels       IE_ISA(ie_cpu_pack_pixels)
#define ie_cpu_epilogue          IE_ISA(ie_cpu_epilogue)
#define ie_cpu_norm_factors      IE_ISA(ie_cpu_norm_factors)
#define ie_cpu_merge_moments     IE_ISA(ie_cpu_merge_moments)
#define ie_cpu_conv_bytes        IE_ISA(ie_cpu_conv_bytes)
#define ie_cpu_conv_prepare      IE_ISA(ie_cpu_conv_prepare)
#define ie_cpu_conv_scratch      IE_ISA(ie_cpu_conv_scratch)
#define ie_cpu_conv              IE_ISA(ie_cpu_conv)
#define ie_cpu_conv_release      IE_ISA(ie_cpu_conv_release)
#define ie_cpu_linear_bytes      IE_ISA(ie_cpu_linear_bytes)
#define ie_cpu_linear_prepare    IE_ISA(ie_cpu_linear_prepare)
#define ie_cpu_linear_scratch    IE_ISA(ie_cpu_linear_scratch)
#define ie_cpu_linear            IE_ISA(ie_cpu_linear)
#define ie_cpu_linear_release    IE_ISA(ie_cpu_linear_release)
#define ie_cpu_row_product       IE_ISA(ie_cpu_row_product)
#define ie_cpu_activate          IE_ISA(ie_cpu_activate)
#define ie_cpu_store_row         IE_ISA(ie_cpu_store_row)
#define ie_cpu_gate_row          IE_ISA(ie_cpu_gate_row)
#define ie_cpu_weights_to_float  IE_ISA(ie_cpu_weights_to_float)
#define ie_cpu_attention_scratch IE_ISA(ie_cpu_attention_scratch)
#define ie_cpu_attention         IE_ISA(ie_cpu_attention)
#define ie_cpu_moments           IE_ISA(ie_cpu_moments)
#define ie_cpu_gather            IE_ISA(ie_cpu_gather)
#define ie_cpu_add_rows          IE_ISA(ie_cpu_add_rows)
#define ie_cpu_add               IE_ISA(ie_cpu_add)
#define ie_cpu_sinusoid          IE_ISA(ie_cpu_sinusoid)
#define ie_cpu_layer_norm        IE_ISA(ie_cpu_layer_norm)
#define ie_cpu_rms_norm          IE_ISA(ie_cpu_rms_norm)
#define ie_cpu_embed             IE_ISA(ie_cpu_embed)
#define ie_cpu_mask_image        IE_ISA(ie_cpu_mask_image)
#define ie_cpu_noise             IE_ISA(ie_cpu_noise)
#define ie_cpu_augment           IE_ISA(ie_cpu_augment)
#define ie_cpu_sample_scratch    IE_ISA(ie_cpu_sample_scratch)
#define ie_cpu_sample            IE_ISA(ie_cpu_sample)
#define ie_cpu_quantile_bytes    IE_ISA(ie_cpu_quantile_bytes)
#define ie_cpu_normals           IE_ISA(ie_cpu_normals)
#define ie_cpu_quantile          IE_ISA(ie_cpu_quantile)

#endif
