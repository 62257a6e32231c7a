/* attention.h - the contract is in ops.h.  SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_CPU_ATTENTION_H
#define IE_CPU_ATTENTION_H

#include "isa.h"
#include "ops.h"

uint64_t ie_cpu_attention_scratch(const ie_attention_args *a);
int ie_cpu_attention(ie_stream *s, const ie_attention_args *a);

#endif
