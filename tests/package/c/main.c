/* main.c - an outside program in C: argv: the version it expects, a model directory, a device.
 *
 * It opens a directory that does not exist, which must be explained, and then edits a small picture
 * with the model.
 * SPDX-License-Identifier: Apache-2.0 */
#include <imagen_editor.h>

#include <stdio.h>
#include <string.h>

enum { SIDE = 24 };

static ie_status open_on(const char *device, const char *model, ie_engine **engine, ie_error *err)
{
    ie_options options;
    ie_options_default(&options);
    options.device = device;
    return ie_engine_open(engine, model, &options, err);
}

static int open_fails_with_a_sentence(const char *device)
{
    ie_engine *engine = NULL;
    ie_error err = {0};
    const ie_status status = open_on(device, "/nonexistent/model", &engine, &err);
    printf("open: %s: %s\n", ie_status_text(status), err.text);
    return status == IE_BAD_MODEL && !engine && err.status == status &&
           strstr(err.text, "/nonexistent");
}

static ie_pixels view(unsigned char *data, int channels)
{
    const ie_pixels p = {data, SIDE, SIDE, channels, 8, (size_t)(SIDE * channels)};
    return p;
}

/* As little work as there can be: one step a stage, without a second pass. */
static ie_status edit(ie_engine *engine, ie_request *request, ie_error *err)
{
    ie_engine_info info;
    ie_engine_describe(engine, &info);
    for (int stage = 0; stage < info.stage_count; stage++) {
        request->steps[stage] = 1;
        request->guidance[stage] = (ie_guidance){.kind = IE_GUIDANCE_CONSTANT, .high = 1.0f};
    }
    return ie_edit(engine, request, 1, err);
}

/* The left half may change: something there must, and nothing on the right. */
static int edit_changes_the_masked_half_alone(const char *model, const char *device)
{
    static unsigned char image[SIDE * SIDE * 3], output[sizeof image], mask[SIDE * SIDE];
    for (int i = 0; i < SIDE * SIDE; i++) {
        mask[i] = i % SIDE < SIDE / 2 ? 255 : 0;
        for (int c = 0; c < 3; c++) image[3 * i + c] = (unsigned char)(i * (c + 3));
    }
    ie_request request;
    ie_request_default(&request);
    request.image = view(image, 3);
    request.mask = view(mask, 1);
    request.output = view(output, 3);
    request.prompt = "a glass fish bowl";

    ie_engine *engine = NULL;
    ie_error err = {0};
    const int failed = open_on(device, model, &engine, &err) || edit(engine, &request, &err);
    ie_engine_close(&engine);
    if (failed) {
        printf("edit: %s\n", err.text);
        return 0;
    }
    int changed = 0, spilt = 0;
    for (int i = 0; i < SIDE * SIDE; i++) {
        const int differs = memcmp(image + 3 * i, output + 3 * i, 3) != 0;
        changed += mask[i] && differs;
        spilt += !mask[i] && differs;
    }
    printf("edit: %d masked pixels changed, %d others\n", changed, spilt);
    return changed > 0 && spilt == 0;
}

int main(int argc, char **argv)
{
    if (argc != 4) return 2;
    printf("version: %s\n", ie_version());
    if (strcmp(ie_version(), argv[1]) != 0) return 1;
    if (!open_fails_with_a_sentence(argv[3])) return 1;
    return edit_changes_the_masked_half_alone(argv[2], argv[3]) ? 0 : 1;
}
