/* args.c - parsing a command line by its table. SPDX-License-Identifier: Apache-2.0 */
#include "args.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_OPTIONS = 64 };

bool ie_parse_uint64(const char *text, uint64_t *out)
{
    if (!isdigit((unsigned char)text[0])) return false; /* strtoull takes "-1" for the largest */
    char *end;
    errno = 0;
    const unsigned long long value = strtoull(text, &end, 10);
    if (errno || *end) return false;
    *out = value;
    return true;
}

bool ie_parse_int(const char *text, int low, int high, int *out)
{
    const bool minus = text[0] == '-';
    uint64_t magnitude;
    if (!ie_parse_uint64(text + minus, &magnitude) || magnitude > INT32_MAX) return false;
    const int value = minus ? -(int)magnitude : (int)magnitude;
    if (value < low || value > high) return false;
    *out = value;
    return true;
}

static const ie_option *find_option(const ie_command *command, const char *name, size_t length)
{
    for (int i = 0; i < command->option_count; i++) {
        const ie_option *o = &command->options[i];
        if (!o->operand && strlen(o->name) == length && !memcmp(o->name, name, length)) return o;
    }
    return NULL;
}

static ie_status unknown_option(const ie_command *command, const char *text, ie_error *err)
{
    const char *names[MAX_OPTIONS + 3] = {"help", "version"};
    int count = 2;
    for (int i = 0; i < command->option_count && i < MAX_OPTIONS; i++) {
        if (!command->options[i].operand) names[count++] = command->options[i].name;
    }
    char name[64];
    (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(text + 2, "="), text + 2);
    const char *near = ie_args_suggest(name, names);
    if (near) {
        return ie_app_fail(err, IE_BAD_ARGUMENT, "%s has no option --%s; did you mean --%s?",
                           command->name, name, near);
    }
    return ie_app_fail(err, IE_BAD_ARGUMENT,
                       "%s has no option --%s: imagen-editor %s --help lists them", command->name,
                       name, command->name);
}

static ie_status read_choice(const ie_option *o, int *field, const char *text, ie_error *err)
{
    char list[128] = "";
    for (int i = 0; o->choices[i]; i++) {
        if (!strcmp(text, o->choices[i])) {
            *field = 1 + i;
            return IE_OK;
        }
        const size_t used = strlen(list);
        (void)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", o->choices[i]);
    }
    return ie_app_fail(err, IE_BAD_ARGUMENT, "--%s %s: legal are %s", o->name, text, list);
}

static ie_status read_value(const ie_option *o, void *field, const char *text, ie_error *err)
{
    switch (o->kind) {
    case IE_OPTION_FLAG: *(bool *)field = true; return IE_OK;
    case IE_OPTION_TEXT: *(const char **)field = text; return IE_OK;
    case IE_OPTION_INT:
        if (ie_parse_int(text, o->low, o->high, field)) return IE_OK;
        return ie_app_fail(err, IE_BAD_ARGUMENT, "--%s %s: legal is %d to %d", o->name, text,
                           o->low, o->high);
    case IE_OPTION_UINT64:
        if (ie_parse_uint64(text, field)) return IE_OK;
        return ie_app_fail(err, IE_BAD_ARGUMENT, "--%s %s: legal is 0 to 18446744073709551615",
                           o->name, text);
    case IE_OPTION_CHOICE: return read_choice(o, field, text, err);
    case IE_OPTION_CUSTOM: return o->read(field, text, err);
    }
    return ie_app_fail(err, IE_BAD_ARGUMENT, "--%s: unknown kind of option", o->name);
}

/* Is this argument, where a value is expected, rather the next option? */
static bool looks_like_option(const ie_command *command, const char *text)
{
    if (strncmp(text, "--", 2) != 0) return false;
    return find_option(command, text + 2, strcspn(text + 2, "=")) != NULL;
}

static ie_status parse_operand(const ie_command *command, const char *text, bool *given,
                               void *values, ie_error *err)
{
    for (int i = 0; i < command->option_count; i++) {
        const ie_option *o = &command->options[i];
        if (!o->operand) continue;
        if (given[i]) {
            return ie_app_fail(err, IE_BAD_ARGUMENT, "%s takes one %s, and \"%s\" is a second",
                               command->name, o->value, text);
        }
        given[i] = true;
        return read_value(o, (char *)values + o->offset, text, err);
    }
    return ie_app_fail(err, IE_BAD_ARGUMENT,
                       "%s takes options only, and \"%s\" is none: imagen-editor %s --help",
                       command->name, text, command->name);
}

/* Reads the option at argv[*at] and moves *at past it. */
static ie_status parse_option(const ie_command *command, int argc, char **argv, int *at,
                              bool *given, void *values, ie_error *err)
{
    char *text = argv[(*at)++];
    if (strncmp(text, "--", 2) != 0 || text[2] == '\0') {
        return parse_operand(command, text, given, values, err);
    }
    const size_t length = strcspn(text + 2, "=");
    const ie_option *o = find_option(command, text + 2, length);
    if (!o) return unknown_option(command, text, err);
    const char *value = text[2 + length] == '=' ? text + 2 + length + 1 : NULL;
    if (o->kind == IE_OPTION_FLAG && value) {
        return ie_app_fail(err, IE_BAD_ARGUMENT, "--%s takes no value", o->name);
    }
    if (o->kind != IE_OPTION_FLAG && !value) {
        if (*at >= argc || looks_like_option(command, argv[*at])) {
            return ie_app_fail(err, IE_BAD_ARGUMENT, "--%s needs a value: --%s %s", o->name,
                               o->name, o->value);
        }
        value = argv[(*at)++];
    }
    bool *seen = &given[o - command->options];
    if (*seen && !o->repeats) {
        return ie_app_fail(err, IE_BAD_ARGUMENT, "--%s is given twice", o->name);
    }
    *seen = true;
    return read_value(o, (char *)values + o->offset, value, err);
}

ie_status ie_args_parse(const ie_command *command, int argc, char **argv, void *values,
                        ie_args_action *action, ie_error *err)
{
    bool given[MAX_OPTIONS] = {false};
    *action = IE_ARGS_RUN;
    for (int i = 0; i < argc; i++) {
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) *action = IE_ARGS_HELP;
        if (!strcmp(argv[i], "--version")) *action = IE_ARGS_VERSION;
        if (*action != IE_ARGS_RUN) return IE_OK;
    }
    for (int at = 0; at < argc;) {
        IE_APP_TRY(parse_option(command, argc, argv, &at, given, values, err));
    }
    for (int i = 0; i < command->option_count; i++) {
        const ie_option *o = &command->options[i];
        if (o->required && !given[i]) {
            return ie_app_fail(err, IE_BAD_ARGUMENT, "%s needs %s%s%s%s: imagen-editor %s --help",
                               command->name, o->operand ? "" : "--", o->operand ? "" : o->name,
                               o->operand ? "" : " ", o->value, command->name);
        }
    }
    return IE_OK;
}
