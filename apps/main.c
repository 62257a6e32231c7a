/* main.c - imagen-editor: finds the subcommand, reads its options, runs it, reports.
 * SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"
#include "console.h"

#include <stdlib.h>
#include <string.h>

enum { EXIT_INTERNAL = 1 };

static const ie_command *const commands[] = {
    &ie_command_edit, &ie_command_batch, &ie_command_status, &ie_command_mask, &ie_command_inspect};
enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

static void print_help(FILE *stream)
{
    fprintf(stream, "usage: imagen-editor COMMAND [options]\n\n"
                    "Edit images from text: the masked part of an image is made anew to fit a "
                    "prompt.\n\ncommands:\n");
    for (int i = 0; i < COMMAND_COUNT; i++) {
        fprintf(stream, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
    }
    fprintf(stream,
            "\nexamples:\n"
            "  imagen-editor mask --image photo.jpg --ellipse 512,400,160,120 --output mask.png\n"
            "  imagen-editor edit --image photo.jpg --mask mask.png \\\n"
            "      --prompt \"a glass fish bowl\" --output edited.png\n"
            "  imagen-editor batch jobs.jsonl --output-dir out\n"
            "  imagen-editor inspect\n"
            "  imagen-editor edit --help\n\n");
    ie_args_exit_codes(stream);
}

static void print_version(void)
{
    printf("imagen-editor %d.%d.%d", IE_VERSION_MAJOR, IE_VERSION_MINOR, IE_VERSION_PATCH);
    printf(" (library %s)\n", ie_version());
}

/* What was printed must have arrived, or `imagen-editor inspect > full-disk` would succeed. */
static int finish(ie_status status, const ie_error *err)
{
    if (status == IE_OK && (fflush(stdout) || ferror(stdout))) {
        ie_note("cannot write to the standard output");
        return IE_IO;
    }
    if (status == IE_OK) return 0;
    ie_note("%s", err->text[0] ? err->text : ie_status_text(status));
    return (int)status;
}

static int run_command(const ie_command *command, int argc, char **argv)
{
    ie_error err = {0};
    ie_args_action action = IE_ARGS_RUN;
    void *values = calloc(1, command->values_bytes);
    if (!values) {
        ie_note("out of memory");
        return IE_NO_MEMORY;
    }
    command->defaults(values);
    ie_status status = ie_args_parse(command, argc, argv, values, &action, &err);
    if (status == IE_OK) {
        switch (action) {
        case IE_ARGS_HELP: ie_args_help(command, stdout); break;
        case IE_ARGS_VERSION: print_version(); break;
        case IE_ARGS_RUN: status = command->run(values, &err); break;
        }
    }
    if (command->release) command->release(values);
    free(values);
    const int code = finish(status, &err);
    return command->exit_code ? command->exit_code((ie_status)code) : code;
}

static int unknown_command(const char *text)
{
    const char *names[COMMAND_COUNT + 1] = {NULL};
    for (int i = 0; i < COMMAND_COUNT; i++) names[i] = commands[i]->name;
    const char *near = ie_args_suggest(text, names);
    if (near) {
        ie_note("there is no command %s; did you mean %s?", text, near);
    } else {
        ie_note("there is no command %s: legal are edit, batch, status, mask, inspect "
                "(imagen-editor --help)",
                text);
    }
    return IE_BAD_ARGUMENT;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return IE_BAD_ARGUMENT;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        print_help(stdout);
        return finish(IE_OK, NULL);
    }
    if (!strcmp(argv[1], "--version")) {
        print_version();
        return finish(IE_OK, NULL);
    }
    for (int i = 0; i < COMMAND_COUNT; i++) {
        if (!strcmp(commands[i]->name, argv[1])) {
            return run_command(commands[i], argc - 2, argv + 2);
        }
    }
    return unknown_command(argv[1]);
}
