/* check_cpu.c - the fast CPU table against the oracle of the harness.
 * SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

int main(int argc, char **argv)
{
    return check_ops(ie_cpu_ops(), CHECK_IN_F32 | CHECK_IN_BF16, argc - 1, argv + 1) > 0;
}
