/* args_help.c - --help from the table of options, and suggestions for misspelt names.
 * SPDX-License-Identifier: Apache-2.0 */
#include "args.h"

#include <string.h>

enum { HELP_COLUMN = 30, LINE = 96, MAX_NAME = 63 };

/* Words of `text` in lines that begin at `column`, where the cursor already is. '\n' in the text
 * begins a new line. */
static void print_wrapped(FILE *stream, const char *text, int column)
{
    int at = column;
    while (*text) {
        const int length = (int)strcspn(text, " \n");
        if (at > column && at + 1 + length > LINE) {
            fprintf(stream, "\n%*s", column, "");
            at = column;
        } else if (at > column) {
            fputc(' ', stream);
            at++;
        }
        fprintf(stream, "%.*s", length, text);
        at += length;
        text += length;
        if (*text == '\n') {
            fprintf(stream, "\n%*s", column, "");
            at = column;
        }
        if (*text) text++;
    }
    fputc('\n', stream);
}

static void print_entry(FILE *stream, const char *name, const char *value, const char *help)
{
    const int used = name
                         ? fprintf(stream, "  --%s%s%s", name, value ? " " : "", value ? value : "")
                         : fprintf(stream, "  %s", value);
    if (used + 2 > HELP_COLUMN) {
        fprintf(stream, "\n%*s", HELP_COLUMN, "");
    } else {
        fprintf(stream, "%*s", HELP_COLUMN - used, "");
    }
    print_wrapped(stream, help, HELP_COLUMN);
}

static void print_codes(FILE *stream, const ie_exit_code *codes)
{
    fprintf(stream, "exit codes:\n");
    for (; codes->meaning; codes++) {
        fprintf(stream, "  %-4d ", codes->code);
        print_wrapped(stream, codes->meaning, 7);
    }
}

void ie_args_help(const ie_command *command, FILE *stream)
{
    fprintf(stream, "usage: imagen-editor %s", command->name);
    for (int i = 0; i < command->option_count; i++) {
        const ie_option *o = &command->options[i];
        if (o->operand) fprintf(stream, o->required ? " %s" : " [%s]", o->value);
        if (o->required && !o->operand) fprintf(stream, " --%s %s", o->name, o->value);
    }
    fprintf(stream, " [options]\n\n%s\n\noptions:\n", command->summary);
    for (int i = 0; i < command->option_count; i++) {
        const ie_option *o = &command->options[i];
        print_entry(stream, o->operand ? NULL : o->name, o->value, o->help);
    }
    print_entry(stream, "help", NULL, "this text");
    print_entry(stream, "version", NULL, "the version");
    if (command->notes) {
        fputc('\n', stream);
        print_wrapped(stream, command->notes, 0);
    }
    fprintf(stream, "\nexamples:\n");
    for (int i = 0; command->examples[i]; i++) fprintf(stream, "  %s\n", command->examples[i]);
    fputc('\n', stream);
    if (command->exit_codes) {
        print_codes(stream, command->exit_codes);
    } else {
        ie_args_exit_codes(stream);
    }
}

void ie_args_exit_codes(FILE *stream)
{
    static const ie_exit_code codes[] = {
        {0, "done"},
        {1, "internal error"},
        {2, "the command line is wrong"},
        {3, "the image, the mask or the prompt cannot be used"},
        {4, "the model cannot be used"},
        {5, "out of memory"},
        {6, "the device failed or is absent"},
        {7, "the output cannot be written"},
        {130, "interrupted; files already finished stay, no partial file does"},
        {0, NULL},
    };
    print_codes(stream, codes);
}

/* Insertions, deletions, replacements and swaps of neighbours that turn a into b (optimal string
 * alignment). */
static int edit_distance(const char *a, const char *b)
{
    const int rows = (int)strlen(a), columns = (int)strlen(b);
    int d[3][MAX_NAME + 2];
    for (int j = 0; j <= columns; j++) d[0][j] = j;
    for (int i = 1; i <= rows; i++) {
        int *now = d[i % 3];
        const int *before = d[(i + 2) % 3], *before2 = d[(i + 1) % 3];
        now[0] = i;
        for (int j = 1; j <= columns; j++) {
            int best = before[j - 1] + (a[i - 1] != b[j - 1]);
            if (before[j] + 1 < best) best = before[j] + 1;
            if (now[j - 1] + 1 < best) best = now[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                before2[j - 2] + 1 < best) {
                best = before2[j - 2] + 1;
            }
            now[j] = best;
        }
    }
    return d[rows % 3][columns];
}

const char *ie_args_suggest(const char *text, const char *const *names)
{
    const char *best = NULL;
    const int length = (int)strlen(text);
    if (length < 2 || length > MAX_NAME) return NULL;
    int least = (length + 1) / 3 + 1; /* errors in over a third of the word: a guess, not a hint */
    for (int i = 0; names[i]; i++) {
        const int distance = strlen(names[i]) <= MAX_NAME ? edit_distance(text, names[i]) : least;
        if (distance < least) {
            least = distance;
            best = names[i];
        }
    }
    return best;
}
