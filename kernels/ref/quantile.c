/* quantile.c - an exact quantile by selection (Hoare's algorithm): order statistics without a full
 * sort. SPDX-License-Identifier: Apache-2.0 */
#include "ref.h"

static void swap(double *a, double *b)
{
    const double t = *a;
    *a = *b;
    *b = t;
}

/* Put the k-th smallest value at values[k], nothing larger before it and nothing smaller after it.
 * */
static void select_kth(double *values, int64_t count, int64_t k)
{
    int64_t first = 0, last = count - 1;
    while (first < last) {
        const double pivot = values[first + (last - first) / 2];
        int64_t i = first, j = last;
        while (i <= j) {
            while (values[i] < pivot) i++;
            while (values[j] > pivot) j--;
            if (i <= j) swap(&values[i++], &values[j--]);
        }
        if (k <= j) {
            last = j;
        } else if (k >= i) {
            first = i;
        } else {
            return; /* between the two parts lies the pivot itself */
        }
    }
}

double ie_ref_quantile(double *values, int64_t count, double q)
{
    const double position = q * (double)(count - 1);
    int64_t k = (int64_t)position;
    if (k < 0) k = 0;
    if (k > count - 1) k = count - 1;
    select_kth(values, count, k);
    const double low = values[k];
    if (k == count - 1) return low;
    double high = values[k + 1]; /* the smallest of what is not smaller */
    for (int64_t i = k + 2; i < count; i++) {
        if (values[i] < high) high = values[i];
    }
    /* Equal neighbours may be infinite, and infinity - infinity is not a number. */
    return high > low ? low + (position - (double)k) * (high - low) : low;
}
