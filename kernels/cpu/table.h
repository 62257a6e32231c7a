/* table.h - one complete table per instruction set; IE_CPU_X86 says that the three others were
 * compiled. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_CPU_TABLE_H
#define IE_CPU_TABLE_H

#include "ops.h"

const ie_ops *ie_cpu_table_base(void);
const ie_ops *ie_cpu_table_avx2(void);
const ie_ops *ie_cpu_table_avx512(void);
const ie_ops *ie_cpu_table_avx512bf16(void);

#endif
