/* args.h - command lines from one table of options per command: parsing, legal ranges in errors,
 * --help.
 *
 * "--name value" and "--name=value". Every option but a repeatable one is given at most once.
 * --help and --version belong to every command. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_APPS_ARGS_H
#define IE_APPS_ARGS_H

#include "fail.h"

#include <stdbool.h>
#include <stdio.h>

typedef enum ie_option_kind {
    IE_OPTION_FLAG,   /* bool: true when given */
    IE_OPTION_TEXT,   /* const char *: points into the command line */
    IE_OPTION_INT,    /* int in low .. high */
    IE_OPTION_UINT64, /* uint64_t */
    IE_OPTION_CHOICE, /* int: 1 + index into choices; 0 stays "not given" */
    IE_OPTION_CUSTOM, /* read() decides */
} ie_option_kind;

typedef struct ie_option {
    const char *name;  /* without the dashes */
    const char *value; /* what --help calls the value; NULL for a flag */
    size_t offset;     /* of the field in the command's struct of values */
    const char *help;
    const char *const *choices; /* ends with NULL */
    /* `field` is the struct + offset. The sentence of a failure begins with the option's name. */
    ie_status (*read)(void *field, const char *text, ie_error *err);
    ie_option_kind kind;
    int low, high; /* of IE_OPTION_INT */
    bool required, repeats;
    bool operand; /* given by itself, without --name; at most one option of a command is */
} ie_option;

typedef struct ie_exit_code {
    int code;
    const char *meaning;
} ie_exit_code;

typedef struct ie_command {
    const char *name;    /* "edit" */
    const char *summary; /* one line */
    const ie_option *options;
    int option_count;
    const char *const *examples; /* lines, end with NULL */
    const char *notes;           /* a paragraph or several under the options */
    size_t values_bytes;         /* of the struct the options are read into; zeroed, then: */
    void (*defaults)(void *values);
    ie_status (*run)(void *values, ie_error *err);
    void (*release)(void *values); /* what the options own; NULL: nothing */
    /* The command's own exit codes: from a status, and their list, which ends with a NULL meaning.
     * NULL: the status itself, and what ie_args_exit_codes prints. */
    int (*exit_code)(ie_status status);
    const ie_exit_code *exit_codes;
} ie_command;

typedef enum ie_args_action { IE_ARGS_RUN, IE_ARGS_HELP, IE_ARGS_VERSION } ie_args_action;

/* Read argv into the struct `values` points to. argv holds the arguments after the command's name.
 * IE_BAD_ARGUMENT with one sentence. --help and --version win over whatever else is wrong. */
ie_status ie_args_parse(const ie_command *command, int argc, char **argv, void *values,
                        ie_args_action *action, ie_error *err);

/* The text of --help, generated from the table. */
void ie_args_help(const ie_command *command, FILE *stream);

/* The exit codes, one per line: those of every command that has no others. */
void ie_args_exit_codes(FILE *stream);

/* The one of `names` (ends with NULL) that a misspelt `text` may mean; NULL when none is near. */
const char *ie_args_suggest(const char *text, const char *const *names);

/* The whole of `text` as a number in low .. high. */
bool ie_parse_int(const char *text, int low, int high, int *out);
bool ie_parse_uint64(const char *text, uint64_t *out);

#endif
