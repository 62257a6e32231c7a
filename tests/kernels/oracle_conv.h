/* oracle_conv.h - convolution by its definition, with the bound of what a backend may be off by.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_ORACLE_CONV_H
#define IE_ORACLE_CONV_H

#include "check.h"

typedef struct conv_problem {
    ie_conv_spec spec;
    ie_conv_args args; /* of all lanes */
    ie_tensor weight, bias;
    ie_conv *conv; /* made ready by the table under test */
} conv_problem;

/* Fills want and bound of y, and of the moments when `moments` is not NULL. */
void oracle_conv(const conv_problem *p, check_output *y, check_output *moments);

#endif
