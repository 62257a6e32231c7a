/* test_edit_job.c - what an edit checks and names before a model is opened.
 * SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include "edit_job.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void save(void **state, const char *name, ie_image image)
{
    ie_error err = {0};
    const ie_write_options options = {.quality = 95};
    assert_says(ie_image_write(&image, in_folder(state, name), &options, &err), IE_OK, &err, "");
    ie_image_release(&image);
}

static ie_image box_mask(int width, int height)
{
    ie_image mask;
    assert_int_equal(ie_image_create(&mask, width, height, 1, 8, NULL), IE_OK);
    memset(mask.pixels.data, 255, (size_t)width);
    return mask;
}

/* A folder with images and a mask that fits them. */
static int images_make(void **state)
{
    if (folder_make(state)) return -1;
    save(state, "rgb.png", noise_image(9, 7, 3, 8, 1));
    save(state, "rgba16.png", noise_image(9, 7, 4, 16, 1));
    save(state, "mask.png", box_mask(9, 7));
    save(state, "small.png", box_mask(7, 9));
    return 0;
}

/* Names are below the folder; *out's texts live until the next call. */
static ie_edit_values values_of(void **state, const char *image, const char *mask,
                                const char *output)
{
    static char paths[3][PATH_MAX];
    const char *const names[3] = {image, mask, output};
    for (int i = 0; i < 3; i++) {
        (void)snprintf(paths[i], PATH_MAX, "%s/%s", (const char *)*state, names[i]);
    }
    return (ie_edit_values){.image = paths[0],
                            .mask = paths[1],
                            .output = paths[2],
                            .prompt = "a fish",
                            .count = 1,
                            .max_megapixels = 1};
}

static void a_good_job_is_prepared(void **state)
{
    ie_edit_job job;
    ie_error err = {0};
    const ie_edit_values v = values_of(state, "rgba16.png", "mask.png", "out.png");
    assert_says(ie_edit_job_prepare(&job, &v, &err), IE_OK, &err, "");
    assert_int_equal(job.image.pixels.channels, 4);
    assert_int_equal(job.image.pixels.bits, 16);
    assert_int_equal(job.result.pixels.channels, 4);
    assert_int_equal(job.result.pixels.bits, 16);
    assert_int_equal(job.mask.pixels.channels, 1);
    assert_int_equal(((uint8_t *)job.mask.pixels.data)[8], 255);
    assert_int_equal(((uint8_t *)job.mask.pixels.data)[9], 0);
    ie_edit_job_release(&job);
    assert_int_equal(folder_entries(*state), 4); /* nothing was written */
}

typedef struct refusal {
    const char *image, *mask, *output;
    void (*change)(ie_edit_values *v);
    ie_status status;
    const char *says;
} refusal;

static void empty_prompt(ie_edit_values *v)
{
    v->prompt = "";
}
static void latin_prompt(ie_edit_values *v)
{
    v->prompt = "caf\xe9";
}
static void last_seed(ie_edit_values *v)
{
    v->seed = UINT64_MAX, v->count = 2;
}
static void quality(ie_edit_values *v)
{
    v->quality = 90;
}
static void both_ways(ie_edit_values *v)
{
    v->quiet = v->json = true;
}
static void plan(ie_edit_values *v)
{
    v->device = "plan";
}
static void stages_nowhere(ie_edit_values *v)
{
    v->save_stages = "/proc/stages";
}
static void stages_in_file(ie_edit_values *v)
{
    v->save_stages = v->image;
}
static void clear_mask(ie_edit_values *v)
{
    v->mask_edit = 3;
}

static void bad_jobs_are_refused_before_any_work(void **state)
{
    static const refusal cases[] = {
        {"rgb.png", "mask.png", "out.png", empty_prompt, IE_BAD_INPUT, "the prompt is empty"},
        {"rgb.png", "mask.png", "out.png", latin_prompt, IE_BAD_INPUT, "the prompt is not UTF-8"},
        {"rgb.png", "mask.png", "out.png", last_seed, IE_BAD_ARGUMENT, "beyond the largest seed"},
        {"rgb.png", "mask.png", "out.png", quality, IE_BAD_ARGUMENT, "--quality is for JPEG"},
        {"rgb.png", "mask.png", "out.png", both_ways, IE_BAD_ARGUMENT, "exclude each other"},
        {"rgb.png", "mask.png", "out.png", plan, IE_BAD_ARGUMENT, "plan computes no pixels"},
        {"rgb.png", "mask.png", "out.png", clear_mask, IE_BAD_INPUT, "has no transparency"},
        {"rgb.png", "mask.png", "out.png", stages_nowhere, IE_IO, "cannot make the folder"},
        {"rgb.png", "mask.png", "out.png", stages_in_file, IE_IO, "Not a directory"},
        {"none.png", "mask.png", "out.png", NULL, IE_BAD_INPUT, "cannot read"},
        {"rgb.png", "none.png", "out.png", NULL, IE_BAD_INPUT, "cannot read"},
        {"rgb.png", "rgb.png", "out.png", NULL, IE_BAD_INPUT, "has colours"},
        {"rgb.png", "small.png", "out.png", NULL, IE_BAD_INPUT, "is 7 x 9 pixels, but"},
        {"rgb.png", "mask.png", "out.tiff", NULL, IE_BAD_ARGUMENT, "legal are .png"},
        {"rgb.png", "mask.png", "none/out.png", NULL, IE_IO, "cannot write"},
#ifdef IE_HAVE_JPEG
        {"rgba16.png", "mask.png", "out.jpg", NULL, IE_BAD_ARGUMENT, "transparency"},
#endif
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const refusal *c = &cases[i];
        ie_edit_job job;
        ie_error err = {0};
        ie_edit_values v = values_of(state, c->image, c->mask, c->output);
        if (c->change) c->change(&v);
        assert_says(ie_edit_job_prepare(&job, &v, &err), c->status, &err, c->says);
        ie_edit_job_release(&job);
        assert_int_equal(folder_entries(*state), 4);
    }
}

static void several_results_are_numbered(void **state)
{
    (void)state;
    static const struct {
        const char *output;
        int count;
        const char *third, *stage;
    } cases[] = {
        {"out.png", 1, "out.png", "S/out-sr-256.png"},
        {"out.png", 3, "out-3.png", "S/out-3-sr-256.png"},
        {"a.b/x.y.jpg", 3, "a.b/x.y-3.jpg", "S/x.y-3-sr-256.png"},
        {"a.b/c", 3, "a.b/c-3", "S/c-3-sr-256.png"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char path[PATH_MAX];
        const ie_edit_values v = {
            .output = cases[i].output, .count = cases[i].count, .save_stages = "S"};
        assert_int_equal(ie_edit_output_path(path, &v, 2, NULL), IE_OK);
        assert_string_equal(path, cases[i].third);
        assert_int_equal(ie_edit_stage_path(path, &v, 2, "sr-256", NULL), IE_OK);
        assert_string_equal(path, cases[i].stage);
        assert_int_equal(ie_edit_stage_path(path, &v, 2, "../../etc/x", NULL), IE_OK);
        assert_non_null(strstr(path, "-.._.._etc_x.png"));
    }
    char longer[PATH_MAX + 8], path[PATH_MAX];
    memset(longer, 'a', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    const ie_edit_values v = {.output = longer, .count = 1};
    ie_error err = {0};
    assert_says(ie_edit_output_path(path, &v, 0, &err), IE_BAD_ARGUMENT, &err, "is too long");
}

static void the_folder_for_stages_is_made(void **state)
{
    struct stat info;
    ie_edit_job job;
    ie_edit_values v = values_of(state, "rgb.png", "mask.png", "out.png");
    v.save_stages = in_folder(state, "stages");
    for (int i = 0; i < 2; i++) { /* the second time it is there */
        assert_int_equal(ie_edit_job_prepare(&job, &v, NULL), IE_OK);
        ie_edit_job_release(&job);
        assert_int_equal(stat(in_folder(state, "stages"), &info), 0);
        assert_int_equal(folder_entries(in_folder(state, "stages")), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_good_job_is_prepared, images_make, folder_remove),
        cmocka_unit_test_setup_teardown(bad_jobs_are_refused_before_any_work, images_make,
                                        folder_remove),
        cmocka_unit_test(several_results_are_numbered),
        cmocka_unit_test_setup_teardown(the_folder_for_stages_is_made, images_make, folder_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
