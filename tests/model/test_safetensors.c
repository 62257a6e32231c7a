/* test_safetensors.c - one file of weights: views of a valid one, every corruption refused by name.
 * SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include "memory.h"
#include "weights.h"

#include <endian.h>
#include <string.h>

/* Six tensors, 56 bytes of data; b comes before a in the file. */
static const char valid[] =
    "{\"__metadata__\": {\"format\": \"pt\"},"
    " \"a\": {\"dtype\": \"F32\", \"shape\": [2, 3], \"data_offsets\": [8, 32]},"
    " \"b\": {\"dtype\": \"BF16\", \"shape\": [4, 1, 1, 1], \"data_offsets\": [0, 8]},"
    " \"half\": {\"dtype\": \"F16\", \"shape\": [2], \"data_offsets\": [40, 44]},"
    " \"long\": {\"dtype\": \"I64\", \"shape\": [1], \"data_offsets\": [32, 40]},"
    " \"scalar\": {\"dtype\": \"F32\", \"shape\": [], \"data_offsets\": [44, 48]},"
    " \"ids\": {\"dtype\": \"I32\", \"shape\": [2], \"data_offsets\": [48, 56]}}";

enum { VALID_DATA = 56 };

static ie_status open_image(ie_weights **w, const image *f, ie_error *err)
{
    return ie_weights_open_memory(w, f->bytes, f->size, "w.safetensors", err);
}

/* ---- valid files ----------------------------------------------------------------------------- */

static void tensors_are_views_of_the_file(void **state)
{
    (void)state;
    const image f = image_build(valid, VALID_DATA);
    const unsigned char *data = f.bytes + f.size - VALID_DATA;
    ie_error err = {0};
    ie_weights *w = NULL;
    ie_tensor t;
    assert_int_equal(open_image(&w, &f, &err), IE_OK);
    assert_int_equal(ie_weights_count(w), 6);
    assert_int_equal(ie_weights_get(w, &t, "a", 2, (int64_t[]){2, 3}, &err), IE_OK);
    assert_ptr_equal(t.data, data + 8);
    assert_int_equal(t.dtype, IE_F32);
    assert_int_equal(t.rank, 2);
    assert_int_equal(t.dim[1], 3);
    assert_int_equal(t.stride[0], 3);
    assert_int_equal(ie_weights_get(w, &t, "b", 4, (int64_t[]){4, 1, 1, 1}, &err), IE_OK);
    assert_ptr_equal(t.data, data);
    assert_int_equal(t.dtype, IE_BF16);
    assert_int_equal(ie_weights_get(w, &t, "half", 1, (int64_t[]){2}, &err), IE_OK);
    assert_int_equal(t.dtype, IE_F16);
    assert_true(ie_weights_has(w, "scalar"));
    assert_false(ie_weights_has(w, "__metadata__"));
    ie_weights_close(&w);
    assert_null(w);
    ie_weights_close(&w);
}

static void tensors_are_listed_in_order_of_name(void **state)
{
    (void)state;
    static const char *const names[] = {"a", "b", "half", "ids", "long", "scalar"};
    const image f = image_build(valid, VALID_DATA);
    ie_weights *w = NULL;
    assert_int_equal(open_image(&w, &f, NULL), IE_OK);
    for (uint64_t i = 0; i < COUNT(names); i++) {
        ie_tensor t;
        assert_string_equal(ie_weights_at(w, i, &t), names[i]);
        const bool has_view = i != 4 && i != 5; /* no view of I64, nor of a scalar */
        assert_int_equal(ie_present(t), has_view);
    }
    ie_weights_close(&w);
}

static void what_nobody_asked_for_is_named(void **state)
{
    (void)state;
    const image f =
        image_build("{\"x\": {\"dtype\": \"F32\", \"shape\": [1], \"data_offsets\": [0, 4]},"
                    " \"y\": {\"dtype\": \"F32\", \"shape\": [1], \"data_offsets\": [4, 8]}}",
                    8);
    ie_weights *w = NULL;
    ie_tensor t;
    assert_int_equal(open_image(&w, &f, NULL), IE_OK);
    assert_string_equal(ie_weights_unused(w), "x");
    assert_int_equal(ie_weights_get(w, &t, "x", 1, (int64_t[]){1}, NULL), IE_OK);
    assert_string_equal(ie_weights_unused(w), "y");
    assert_int_equal(ie_weights_get(w, &t, "y", 1, (int64_t[]){2}, NULL), IE_BAD_MODEL);
    assert_string_equal(ie_weights_unused(w), "y"); /* a refusal is no use */
    assert_int_equal(ie_weights_get(w, &t, "y", 1, (int64_t[]){1}, NULL), IE_OK);
    assert_null(ie_weights_unused(w));
    ie_weights_close(&w);
}

static void a_tensor_that_does_not_fit_is_named_with_both_shapes(void **state)
{
    (void)state;
    static const struct {
        const char *name, *tensor;
        int rank;
        int64_t dim[4];
        const char *says;
    } wrong[] = {
        {"missing", "c", 2, {1, 2}, "tensor c [1, 2] is missing"},
        {"transposed", "a", 2, {3, 2}, "tensor a has shape [2, 3], but must have [3, 2]"},
        {"another rank", "a", 1, {6}, "tensor a has shape [2, 3], but must have [6]"},
        {"a scalar", "scalar", 1, {1}, "tensor scalar has shape [], but must have [1]"},
        {"integers", "ids", 1, {2}, "tensor ids has type I32, but must have F32, F16 or BF16"},
        {"long integers", "long", 1, {1}, "tensor long has type I64"},
    };
    const image f = image_build(valid, VALID_DATA);
    ie_weights *w = NULL;
    assert_int_equal(open_image(&w, &f, NULL), IE_OK);
    for (size_t i = 0; i < COUNT(wrong); i++) {
        ie_error err = {0};
        ie_tensor t;
        const ie_status status =
            ie_weights_get(w, &t, wrong[i].tensor, wrong[i].rank, wrong[i].dim, &err);
        assert_refused(wrong[i].name, status, IE_BAD_MODEL, &err, wrong[i].says);
        assert_false(ie_present(t));
    }
    ie_weights_close(&w);
}

static void files_without_tensors_and_empty_tensors_are_legal(void **state)
{
    (void)state;
    ie_weights *w = NULL;
    image f = image_build("{}", 0);
    assert_int_equal(open_image(&w, &f, NULL), IE_OK);
    assert_int_equal(ie_weights_count(w), 0);
    assert_null(ie_weights_unused(w));
    ie_weights_close(&w);
    f = image_build("{\"x\": {\"dtype\": \"F32\", \"shape\": [1], \"data_offsets\": [0, 4]},"
                    " \"none\": {\"dtype\": \"F32\", \"shape\": [3, 0], \"data_offsets\": [0, 0]}}",
                    4);
    assert_int_equal(open_image(&w, &f, NULL), IE_OK);
    ie_weights_close(&w);
}

/* ---- corrupt headers ------------------------------------------------------------------------- */

#define T(dtype, shape, range) \
    "{\"x\": {\"dtype\": " dtype ", \"shape\": " shape ", \"data_offsets\": " range "}}"

static const struct {
    const char *name, *header;
    size_t data;
    const char *says;
} corrupt[] = {
    {"an array", "[1, 2]  ", 0, "must begin with '{'"},
    {"a leading space", " {}", 0, "must begin with '{'"},
    {"half an object", "{\"x\": ", 0, "not valid JSON"},
    {"text behind the object", "{} x", 0, "not valid JSON"},
    {"a name twice",
     "{\"x\": {\"dtype\": \"U8\", \"shape\": [1], \"data_offsets\": [0, 1]},"
     " \"x\": {\"dtype\": \"U8\", \"shape\": [1], \"data_offsets\": [1, 2]}}",
     2, "duplicate"},
    {"a tensor that is a number", "{\"x\": 1}", 0, "x must be an object"},
    {"metadata that is no object", "{\"__metadata__\": 1}", 0, "__metadata__ must be an object"},
    {"metadata of numbers", "{\"__metadata__\": {\"a\": 1}}", 0, "nothing but strings"},
    {"no dtype", "{\"x\": {\"shape\": [1], \"data_offsets\": [0, 4]}}", 4, "x has no dtype"},
    {"an unknown dtype", T("\"F31\"", "[1]", "[0, 4]"), 4, "x has no dtype that is known"},
    {"a dtype in lower case", T("\"f32\"", "[1]", "[0, 4]"), 4, "x has no dtype that is known"},
    {"a dtype that is a number", T("32", "[1]", "[0, 4]"), 4, "x has no dtype that is known"},
    {"no shape", "{\"x\": {\"dtype\": \"F32\", \"data_offsets\": [0, 4]}}", 4, "x has no shape"},
    {"a shape that is a number", T("\"F32\"", "1", "[0, 4]"), 4, "x has no shape"},
    {"a negative dimension", T("\"F32\"", "[-1]", "[0, 4]"), 4, "whole numbers from 0 on"},
    {"a fractional dimension", T("\"F32\"", "[1.0]", "[0, 4]"), 4, "whole numbers from 0 on"},
    {"five dimensions", T("\"F32\"", "[1, 1, 1, 1, 1]", "[0, 4]"), 4, "has 5 dimensions"},
    {"an overflowing shape", T("\"F32\"", "[4294967296, 4294967296]", "[0, 4]"), 4, "overflows"},
    {"a shape that overflows to the right size",
     T("\"U8\"", "[9223372036854775807, 3, 2]", "[0, 4]"), 4, "overflows"},
    {"an overflow behind a zero", T("\"F32\"", "[0, 4294967296, 4294967296]", "[0, 0]"), 0,
     "overflows"},
    {"no offsets", "{\"x\": {\"dtype\": \"F32\", \"shape\": [1]}}", 4, "no data_offsets of two"},
    {"one offset", T("\"F32\"", "[1]", "[4]"), 4, "no data_offsets of two"},
    {"three offsets", T("\"F32\"", "[1]", "[0, 4, 8]"), 8, "no data_offsets of two"},
    {"a negative offset", T("\"F32\"", "[1]", "[-4, 0]"), 4, "no data_offsets of two"},
    {"offsets backwards", T("\"F32\"", "[1]", "[4, 0]"), 4, "outside the file's 4 bytes"},
    {"offsets past the end", T("\"F32\"", "[2]", "[0, 8]"), 4, "outside the file's 4 bytes"},
    {"offsets far past the end", T("\"F32\"", "[1]", "[9223372036854775800, 9223372036854775804]"),
     4, "outside the file's"},
    {"a range larger than the shape", T("\"F32\"", "[1]", "[0, 8]"), 8,
     "x has 8 bytes, but its shape and type need 4"},
    {"a range smaller than the shape", T("\"F32\"", "[3]", "[0, 8]"), 8, "need 12"},
    {"another key",
     "{\"x\": {\"dtype\": \"U8\", \"shape\": [1], \"data_offsets\": [0, 1], \"a\": 1}}", 1,
     "a key other than"},
    {"a hole before the first", T("\"F32\"", "[1]", "[4, 8]"), 8,
     "hole of 4 bytes before tensor x"},
    {"a hole between two",
     "{\"x\": {\"dtype\": \"U8\", \"shape\": [1], \"data_offsets\": [0, 1]},"
     " \"y\": {\"dtype\": \"U8\", \"shape\": [1], \"data_offsets\": [3, 4]}}",
     4, "hole of 2 bytes before tensor y"},
    {"an overlap",
     "{\"x\": {\"dtype\": \"U8\", \"shape\": [3], \"data_offsets\": [0, 3]},"
     " \"y\": {\"dtype\": \"U8\", \"shape\": [2], \"data_offsets\": [2, 4]}}",
     4, "tensor y overlaps"},
    {"the same bytes twice",
     "{\"x\": {\"dtype\": \"U8\", \"shape\": [4], \"data_offsets\": [0, 4]},"
     " \"y\": {\"dtype\": \"U8\", \"shape\": [4], \"data_offsets\": [0, 4]}}",
     4, "overlaps"},
    {"bytes behind the last", T("\"F32\"", "[1]", "[0, 4]"), 5, "1 trailing bytes"},
    {"bytes without a tensor", "{}", 3, "3 trailing bytes"},
    {"a tensor out of line",
     "{\"x\": {\"dtype\": \"U8\", \"shape\": [2], \"data_offsets\": [0, 2]},"
     " \"y\": {\"dtype\": \"F32\", \"shape\": [1], \"data_offsets\": [2, 6]}}",
     6, "does not begin at a multiple of its type's 4 bytes"},
};

static void every_corrupt_header_is_refused_by_name(void **state)
{
    (void)state;
    const int64_t live = ie_alloc_live();
    for (size_t i = 0; i < COUNT(corrupt); i++) {
        const image f = image_build(corrupt[i].header, corrupt[i].data);
        ie_error err = {0};
        ie_weights *w = NULL;
        const ie_status status = open_image(&w, &f, &err);
        assert_refused(corrupt[i].name, status, IE_BAD_MODEL, &err, corrupt[i].says);
        assert_int_equal(strncmp(err.text, "w.safetensors", 13), 0);
        assert_null(w);
    }
    assert_int_equal(ie_alloc_live(), live);
}

static void every_bad_header_length_is_refused(void **state)
{
    (void)state;
    static const uint64_t lengths[] = {0, 1, 4089, 100000001, UINT64_MAX, UINT64_MAX - 7};
    for (size_t i = 0; i < COUNT(lengths); i++) {
        image f = image_build("{}", 0);
        const uint64_t length = htole64(lengths[i]);
        ie_error err = {0};
        ie_weights *w = NULL;
        memcpy(f.bytes, &length, 8);
        f.size = sizeof f.bytes;
        assert_refused("length", open_image(&w, &f, &err), IE_BAD_MODEL, &err, "header's length");
    }
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    image f = image_build(valid, VALID_DATA);
    for (const size_t whole = f.size; f.size-- > 0;) {
        ie_error err = {0};
        ie_weights *w = NULL;
        assert_true(f.size < whole);
        assert_int_equal(open_image(&w, &f, &err), IE_BAD_MODEL);
        assert_int_equal(strncmp(err.text, "w.safetensors", 13), 0);
    }
}

static void memory_out_of_line_is_refused(void **state)
{
    (void)state;
    const image f = image_build("{}", 0);
    ie_weights *w = NULL;
    assert_int_equal(ie_weights_open_memory(&w, f.bytes + 4, 8, "w", NULL), IE_BAD_ARGUMENT);
}

/* ---- failing allocations --------------------------------------------------------------------- */

static ie_status open_valid(void *f, ie_error *err)
{
    ie_weights *w = NULL;
    const ie_status status = open_image(&w, f, err);
    ie_weights_close(&w);
    return status;
}

static void every_failing_allocation_is_reported_and_leaks_nothing(void **state)
{
    (void)state;
    image f = image_build(valid, VALID_DATA);
    sweep_allocations(open_valid, &f, 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensors_are_views_of_the_file),
        cmocka_unit_test(tensors_are_listed_in_order_of_name),
        cmocka_unit_test(what_nobody_asked_for_is_named),
        cmocka_unit_test(a_tensor_that_does_not_fit_is_named_with_both_shapes),
        cmocka_unit_test(files_without_tensors_and_empty_tensors_are_legal),
        cmocka_unit_test(every_corrupt_header_is_refused_by_name),
        cmocka_unit_test(every_bad_header_length_is_refused),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(memory_out_of_line_is_refused),
        cmocka_unit_test(every_failing_allocation_is_reported_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
