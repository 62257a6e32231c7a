/* cmd_batch.c - imagen-editor batch: its options, and what --help says of them.
 * SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include "batch_drive.h"
#include "batch_run.h"
#include "machine.h"
#include "mask.h"

#include <stddef.h>
#include <string.h>

static const char *const sampler_names[] = {"ddpm", "ddim", NULL};
static const char *const precision_names[] = {"f32", "bf16", "auto", NULL}; /* ie_precision */
static const char *const format_names[] = {"png", "jpg", "webp", NULL};

static ie_status read_failures(void *field, const char *text, ie_error *err)
{
    return ie_failure_limit_parse(field, text, err);
}

/* Checked here, read again for every item. */
static ie_status read_steps(void *field, const char *text, ie_error *err)
{
    ie_steps_spec steps;
    *(const char **)field = text;
    return ie_steps_spec_parse(&steps, text, err);
}

static ie_status read_guidance(void *field, const char *text, ie_error *err)
{
    ie_guidance_spec guidance = {0};
    *(const char **)field = text;
    IE_APP_TRY(ie_guidance_spec_parse(&guidance, text, err));
    ie_guidance_spec_release(&guidance);
    return IE_OK;
}

/* clang-format off */
#define AT(field) .offset = offsetof(ie_batch_values, field)
static const ie_option options[] = {
    {.name = "manifest", .value = "MANIFEST", .kind = IE_OPTION_TEXT, AT(manifest), .operand = true,
     .help = "the edits, one a line: .jsonl (the short form below, or OpenAI's Batch form for "
     "/v1/images/edits) or .csv"},
    {.name = "output-dir", .value = "DIR", .kind = IE_OPTION_TEXT, AT(output_dir),
     .help = "where results go, and the job's ledger, from which it is resumed; made if missing"},
    {.name = "images", .value = "DIR", .kind = IE_OPTION_TEXT, AT(images),
     .help = "instead of a manifest: a folder of images,"},
    {.name = "masks", .value = "DIR", .kind = IE_OPTION_TEXT, AT(masks),
     .help = "one of masks with the same names,"},
    {.name = "prompts", .value = "FILE", .kind = IE_OPTION_TEXT, AT(prompts),
     .help = "and a .csv with the columns image (or id), prompt, and any field of the short form"},
    {.name = "input-root", .value = "DIR", .kind = IE_OPTION_TEXT, AT(input_root),
     .help = "where a manifest's paths begin (default: the manifest's folder); none can leave it"},
    {.name = "shard", .value = "I/N", .kind = IE_OPTION_TEXT, AT(shard),
     .help = "only part I of N, from 0; auto: as Slurm's job array says; auto/N: part "
     "SLURM_ARRAY_TASK_ID or JOB_COMPLETION_INDEX of N"},
    {.name = "check", .kind = IE_OPTION_FLAG, AT(check),
     .help = "check every line, see that every file is there, and stop"},
    {.name = "model", .value = "DIR", .kind = IE_OPTION_TEXT, AT(model),
     .help = "the model (default: IMAGEN_EDITOR_MODEL, else the shipped one)"},
    {.name = "seed", .value = "N", .kind = IE_OPTION_UINT64, AT(seed),
     .help = "of the job (default 0): the seed of an item that has none follows from it and the "
     "item's id"},
    {.name = "in-flight", .value = "N", .kind = IE_OPTION_INT, AT(in_flight),
     .help = "items being read, edited or written at once (1 to 256; default: what keeps the lanes "
     "busy); fewer when memory runs out", .low = 1, .high = IE_BATCH_MAX_IN_FLIGHT},
    {.name = "lanes", .value = "N", .kind = IE_OPTION_INT, AT(lanes),
     .help = "rows of a forward pass (2 to 512, default: the engine's); an item takes two, or one "
     "where guidance is 1; fewer when memory runs out", .low = 2, .high = 512},
    {.name = "max-failures", .value = "N|P%", .kind = IE_OPTION_CUSTOM, AT(max_failures),
     .help = "give up when more items than this have failed (default: never)",
     .read = read_failures},
    {.name = "retry-failed", .kind = IE_OPTION_FLAG, AT(retry_failed),
     .help = "try items again that failed before, quarantined ones too"},
    {.name = "verify", .kind = IE_OPTION_FLAG, AT(verify),
     .help = "read the outputs of items that are done, and compare their SHA-256"},
    {.name = "contact-sheet", .value = "FILE", .kind = IE_OPTION_TEXT, AT(contact_sheet),
     .help = "an image of the first 200 items: image, mask, result"},
    {.name = "report", .value = "FILE", .kind = IE_OPTION_TEXT, AT(report),
     .help = "an HTML page with pictures, prompts, seeds and failures; needs no other file"},
    {.name = "format", .value = "NAME", .kind = IE_OPTION_CHOICE, AT(format),
     .help = "of outputs that the manifest does not name: png (default), jpg, webp",
     .choices = format_names},
    {.name = "steps", .value = "B,S1,S2", .kind = IE_OPTION_CUSTOM, AT(steps_text),
     .help = "as for edit, of items that do not say otherwise", .read = read_steps},
    {.name = "guidance", .value = "SPEC", .kind = IE_OPTION_CUSTOM, AT(guidance_text),
     .help = "as for edit, of items that do not say otherwise", .read = read_guidance},
    {.name = "sampler", .value = "NAME", .kind = IE_OPTION_CHOICE, AT(sampler),
     .help = "ddpm or ddim (default: the model's)", .choices = sampler_names},
    {.name = "mask-edit", .value = "WHAT", .kind = IE_OPTION_CHOICE, AT(mask_edit),
     .help = "which pixels of masks are the edit: white (default), black, or transparent",
     .choices = ie_mask_edit_names},
    {.name = "feather", .value = "PX", .kind = IE_OPTION_INT, AT(feather),
     .help = "as for edit (0 to 512, default 0)", .low = 0, .high = IE_EDIT_MAX_FEATHER},
    {.name = "device", .value = "NAME", .kind = IE_OPTION_TEXT, AT(device),
     .help = "auto (default), cpu, ref, cuda or cuda:N"},
    {.name = "precision", .value = "WHAT", .kind = IE_OPTION_CHOICE, AT(precision),
     .help = "f32, bf16 or auto (default: bf16 on a GPU, else f32), of weights and activations",
     .choices = precision_names},
    {.name = "threads", .value = "N", .kind = IE_OPTION_INT, AT(threads),
     .help = "CPU threads (0 to 1024, default 0: all cores)", .low = 0, .high = 1024},
    {.name = "quality", .value = "N", .kind = IE_OPTION_INT, AT(quality),
     .help = "of JPEG outputs (1 to 100, default 95)", .low = 1, .high = 100},
    {.name = "no-metadata", .kind = IE_OPTION_FLAG, AT(no_metadata),
     .help = "leave prompt, seed, model and settings out of PNG outputs"},
    {.name = "max-pixels", .value = "N", .kind = IE_OPTION_INT, AT(max_megapixels),
     .help = "largest image to read, in megapixels (1 to 512, default 256)",
     .low = 1, .high = IE_IMAGE_MAX_MEGAPIXELS},
    {.name = "quiet", .kind = IE_OPTION_FLAG, AT(quiet), .help = "print errors only"},
    {.name = "json", .kind = IE_OPTION_FLAG, AT(json),
     .help = "progress as JSON on stdout, an object a line: the default if stderr is no terminal"},
};
#undef AT
/* clang-format on */

static void defaults(void *values)
{
    ie_batch_values *v = values;
    v->max_megapixels = IE_IMAGE_MEGAPIXELS;
}

static ie_status check_sources(const ie_batch_values *v, ie_error *err)
{
    const int folders = !!v->images + !!v->masks + !!v->prompts;
    if (!v->manifest && folders != 3) {
        return ie_app_fail(err, IE_BAD_ARGUMENT,
                           "batch needs a MANIFEST, or --images, --masks and --prompts: "
                           "imagen-editor batch --help");
    }
    if (v->manifest && folders) {
        return ie_app_fail(err, IE_BAD_ARGUMENT,
                           "a MANIFEST and --images, --masks, --prompts exclude each other");
    }
    if (v->images && v->input_root) {
        return ie_app_fail(err, IE_BAD_ARGUMENT, "--images and --input-root exclude each other");
    }
    return IE_OK;
}

static ie_status run(void *values, ie_error *err)
{
    const ie_batch_values *v = values;
    IE_APP_TRY(check_sources(v, err));
    if (!v->output_dir && !v->check) {
        return ie_app_fail(err, IE_BAD_ARGUMENT,
                           "batch needs --output-dir DIR: imagen-editor batch --help");
    }
    if (v->quiet && v->json) {
        return ie_app_fail(err, IE_BAD_ARGUMENT, "--quiet and --json exclude each other");
    }
    if (v->device && ie_machine_only_plans(v->device)) {
        return ie_app_fail(err, IE_BAD_ARGUMENT, "--device %s computes no pixels", v->device);
    }
    return ie_batch_drive(v, err);
}

/* What a scheduler does next follows from the code: nothing, look, give up, try elsewhere. */
static int exit_code(ie_status status)
{
    switch (status) {
    case IE_OK: return 0;
    case IE_BAD_INPUT: return 3;
    case IE_BAD_ARGUMENT:
    case IE_BAD_MODEL: return 42;
    case IE_NO_MEMORY:
    case IE_DEVICE:
    case IE_IO: return 75;
    case IE_CANCELLED: return 143;
    case IE_BUSY:
    case IE_LATE:
    case IE_UNFINISHED: break; /* nothing asks for them */
    }
    return 1;
}

static const ie_exit_code exit_codes[] = {
    {0, "every item is done"},
    {1, "internal error"},
    {3, "every item has ended, and some have failed: the ledger says why"},
    {42, "it cannot be done as it stands: command line, manifest, model, too many failures"},
    {75, "it may work elsewhere or later: memory, device, disk"},
    {143, "told to end (SIGTERM, SIGINT, SIGUSR1) and ended in order; the same command goes on"},
    {0, NULL},
};

static const char *const examples[] = {
    "imagen-editor batch jobs.jsonl --check",
    "imagen-editor batch jobs.jsonl --output-dir out --report report.html",
    "imagen-editor batch --images in --masks masks --prompts prompts.csv --output-dir out",
    "imagen-editor batch jobs.jsonl --output-dir out --shard 0/8 --max-failures 5%",
    "imagen-editor status out",
    NULL,
};

const ie_command ie_command_batch = {
    .name = "batch",
    .summary = "Make many edits, from a list; what was done already is not done again.",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .examples = examples,
    .notes =
        "short form, an object a line:\n"
        "{\"id\": \"a1\", \"image\": \"a.jpg\", \"mask\": \"a-mask.png\", \"prompt\": \"a fish\"}\n"
        "and, where wanted, \"seed\", \"count\", \"steps\", \"guidance\" as for edit, and "
        "\"output\", a path below the output folder (default: the id, with every byte but letters, "
        "digits and ._- as %XX, and .png). A .csv has the same names in its first line. In "
        "OpenAI's form images are data: URLs, or files by image_path and mask_path; a mask's "
        "transparent part is the edit.\n\n"
        "Every line is checked before anything is done. An item that fails (a damaged image, an "
        "empty prompt) fails alone. An output appears complete or not at all and replaces nothing. "
        "The first SIGTERM, SIGINT or SIGUSR1 ends what is in flight and then the job, a second "
        "one at once. Run again, the command does what is left; items that failed are left alone "
        "unless their line has changed or --retry-failed is given. An item during which the "
        "process died by itself is tried again alone, and not a third time.",
    .values_bytes = sizeof(ie_batch_values),
    .defaults = defaults,
    .run = run,
    .exit_code = exit_code,
    .exit_codes = exit_codes,
};
