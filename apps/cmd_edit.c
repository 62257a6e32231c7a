/* cmd_edit.c - imagen-editor edit: its options, and what --help says of them.
 * SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include "edit_run.h"
#include "json_lines.h"
#include "mask.h"

#include <stddef.h>

static const char *const sampler_names[] = {"ddpm", "ddim", NULL};
static const char *const precision_names[] = {"f32", "bf16", "auto", NULL}; /* ie_precision */

static ie_status read_steps(void *field, const char *text, ie_error *err)
{
    return ie_steps_spec_parse(field, text, err);
}

static ie_status read_guidance(void *field, const char *text, ie_error *err)
{
    return ie_guidance_spec_parse(field, text, err);
}

/* clang-format off */
#define AT(field) .offset = offsetof(ie_edit_values, field)
static const ie_option options[] = {
    {.name = "image", .value = "FILE", .kind = IE_OPTION_TEXT, AT(image),
     .help = "the image: PNG, JPEG or WebP, of any size",
     .required = true},
    {.name = "mask", .value = "FILE", .kind = IE_OPTION_TEXT, AT(mask),
     .help = "black and white, of the image's size: white may change", .required = true},
    {.name = "prompt", .value = "TEXT", .kind = IE_OPTION_TEXT, AT(prompt),
     .help = "what the white part shall show",
     .required = true},
    {.name = "output", .value = "FILE", .kind = IE_OPTION_TEXT, AT(output),
     .help = "where to write; the extension says how: .png, .jpg, .jpeg, .webp (lossless)",
     .required = true},
    {.name = "model", .value = "DIR", .kind = IE_OPTION_TEXT, AT(model),
     .help = "the model (default: IMAGEN_EDITOR_MODEL, else the shipped one)"},
    {.name = "seed", .value = "N", .kind = IE_OPTION_UINT64, AT(seed),
     .help = "of the noise (default 0): the same seed, the same result"},
    {.name = "count", .value = "N", .kind = IE_OPTION_INT, AT(count),
     .help = "how many results, with seed, seed+1, ... (1 to 1000, default 1); with more than one, "
     "out.png becomes out-1.png, out-2.png, ...", .low = 1, .high = IE_EDIT_MAX_COUNT},
    {.name = "steps", .value = "B,S1,S2", .kind = IE_OPTION_CUSTOM, AT(steps),
     .help = "denoising steps of each stage, 1 to 4096; fewer numbers are the first stages; 0 or "
     "empty: the model's default", .read = read_steps},
    {.name = "guidance", .value = "SPEC", .kind = IE_OPTION_CUSTOM, AT(guidance),
     .help = "how strongly each stage follows the prompt, stages separated by /: a weight, "
     "HIGH~LOW@HOLD@TAIL, or a list; see below", .read = read_guidance},
    {.name = "sampler", .value = "NAME", .kind = IE_OPTION_CHOICE, AT(sampler),
     .help = "ddpm or ddim (default: the model's)",
     .choices = sampler_names},
    {.name = "device", .value = "NAME", .kind = IE_OPTION_TEXT, AT(device),
     .help = "auto (default), cpu, ref, cuda or cuda:N"},
    {.name = "mask-edit", .value = "WHAT", .kind = IE_OPTION_CHOICE, AT(mask_edit),
     .help = "which pixels of the mask are the edit: white (default), black, or transparent",
     .choices = ie_mask_edit_names},
    {.name = "feather", .value = "PX", .kind = IE_OPTION_INT, AT(feather),
     .help = "fade the result in over PX pixels inside the mask's edge (0 to 512, default 0); a "
     "grey mask is then cut at 50 %", .low = 0, .high = IE_EDIT_MAX_FEATHER},
    {.name = "save-stages", .value = "DIR", .kind = IE_OPTION_TEXT, AT(save_stages),
     .help = "also write each stage's image, as DIR/NAME-<stage>.png"},
    {.name = "precision", .value = "WHAT", .kind = IE_OPTION_CHOICE, AT(precision),
     .help = "f32, bf16 or auto (default: bf16 on a GPU, else f32), of weights and activations",
     .choices = precision_names},
    {.name = "threads", .value = "N", .kind = IE_OPTION_INT, AT(threads),
     .help = "CPU threads (0 to 1024, default 0: all cores)",
     .low = 0, .high = 1024},
    {.name = "quality", .value = "N", .kind = IE_OPTION_INT, AT(quality),
     .help = "of a JPEG output (1 to 100, default 95)",
     .low = 1, .high = 100},
    {.name = "no-metadata", .kind = IE_OPTION_FLAG, AT(no_metadata),
     .help = "leave prompt, seed, model and settings out of a PNG output"},
    {.name = "max-pixels", .value = "N", .kind = IE_OPTION_INT, AT(max_megapixels),
     .help = "largest image to read, in megapixels (1 to 512, default 256)",
     .low = 1, .high = IE_IMAGE_MAX_MEGAPIXELS},
    {.name = "quiet", .kind = IE_OPTION_FLAG, AT(quiet),
     .help = "print errors only"},
    {.name = "json", .kind = IE_OPTION_FLAG, AT(json),
     .help = "progress and results as JSON on stdout, an object a line"},
};
#undef AT
/* clang-format on */

static void defaults(void *values)
{
    ie_edit_values *v = values;
    v->count = 1;
    v->max_megapixels = IE_IMAGE_MEGAPIXELS;
}

static void release(void *values)
{
    ie_guidance_spec_release(&((ie_edit_values *)values)->guidance);
}

static ie_status run(void *values, ie_error *err)
{
    const ie_edit_values *v = values;
    ie_edit_job job;
    ie_status status = ie_edit_job_prepare(&job, v, err);
    if (status == IE_OK) status = ie_edit_run(&job, err);
    ie_edit_job_release(&job);
    if (status != IE_OK && v->json) {
        ie_jsonl j;
        ie_jsonl_begin(&j, stdout);
        ie_jsonl_text(&j, "event", "error");
        ie_jsonl_int(&j, "status", status);
        ie_jsonl_text(&j, "text", err->text);
        ie_jsonl_end(&j);
    }
    return status;
}

static const char *const examples[] = {
    "imagen-editor edit --image photo.jpg --mask mask.png --prompt \"a glass fish bowl\" \\",
    "    --output edited.png",
    "imagen-editor edit --image photo.jpg --mask mask.png --prompt \"a red bicycle\" \\",
    "    --output bicycle.png --seed 7 --count 4 --steps 100,50,20 --guidance 30~1/5/1",
    "imagen-editor edit --image cutout.png --mask cutout.png --mask-edit transparent \\",
    "    --prompt \"a wooden floor\" --output floor.png --feather 4 --save-stages stages",
    NULL,
};

const ie_command ie_command_edit = {
    .name = "edit",
    .summary = "Make the masked part of an image anew, from a prompt.",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .examples = examples,
    .notes =
        "The result has the image's size, bits and transparency. What the mask keeps comes back "
        "unchanged, byte for byte, in PNG and WebP. The colour profile is kept, camera data is "
        "not. A mask with transparency is refused unless "
        "--mask-edit transparent says that clear pixels are the edit.\n\n"
        "guidance: 1 is the model as it is, more follows the prompt more closely (0 to 1000). "
        "30~1@0.1 is 30 for the first tenth of the steps, then 1 and 30 in turn (@0.1 may be left "
        "out); 30~1@0.1@0.4 is 1 for the last four tenths. 8,4,2,1 is one weight for each step. "
        "30~1/5/1 is one for each of three stages; stages left out or empty, as in /5, keep the "
        "model's default.",
    .values_bytes = sizeof(ie_edit_values),
    .defaults = defaults,
    .run = run,
    .release = release,
};
