/* main.c - an outside program in C: argv[1] is the version it expects, argv[2] a model directory.
 *
 * It opens a directory that does not exist, which must be explained, and then edits a small picture with the model.
 * SPDX-License-Identifier: Apache-2.0 */
#include <imagen_editor.h>

#include <stdio.h>
#include <string.h>

enum { SIDE = 24 };

static int open_fails_with_a_sentence(void)
{
    ie_engine *engine = NULL;
    ie_error err = {0};
    const ie_status status = ie_engine_open(&engine, "/nonexistent/model", NULL, &err);
    printf("open: %s: %s\n", ie_status_text(status), err.text);
    return status == IE_BAD_MODEL && !engine && err.status == status &&
           strstr(err.text, "/nonexistent");
}

static ie_pixels view(unsigned char *data, int channels)
{
    const ie_pixels p = {data, SIDE, SIDE, channels, 8, (size_t)(SIDE * channels)};
    return p;
}

/* The left half may change: something there must, and nothing on the right. */
static int edit_changes_the_masked_half_alone(const char *model)
{
    static unsigned char image[SIDE * SIDE * 3], output[sizeof image], mask[SIDE * SIDE];
    for (int i = 0; i < SIDE * SIDE; i++) {
        mask[i] = i % SIDE < SIDE / 2 ? 255 : 0;
        for (int c = 0; c < 3; c++) image[3 * i + c] = (unsigned char)(i * (c + 3));
    }
    ie_engine *engine = NULL;
    ie_error err = {0};
    ie_request request;
    ie_request_default(&request);
    request.image = view(image, 3);
    request.mask = view(mask, 1);
    request.output = view(output, 3);
    request.prompt = "a glass fish bowl";
    if (ie_engine_open(&engine, model, NULL, &err) || ie_edit(engine, &request, 1, &err)) {
        printf("edit: %s\n", err.text);
        ie_engine_close(&engine);
        return 0;
    }
    ie_engine_close(&engine);
    int changed = 0, spilt = 0;
    for (int i = 0; i < SIDE * SIDE; i++) {
        const int differs = memcmp(image + 3 * i, output + 3 * i, 3) != 0;
        changed += mask[i] && differs;
        spilt += !mask[i] && differs;
    }
    printf("edit: %d pixels changed, %d of them outside the mask\n", changed + spilt, spilt);
    return changed > 0 && spilt == 0;
}

int main(int argc, char **argv)
{
    if (argc != 3) return 2;
    printf("version: %s\n", ie_version());
    if (strcmp(ie_version(), argv[1]) != 0) return 1;
    if (!open_fails_with_a_sentence()) return 1;
    return edit_changes_the_masked_half_alone(argv[2]) ? 0 : 1;
}
