/* test_args.c - command lines: what is read, what is refused, what --help says.
 * SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include "args.h"
#include "commands.h"

#include <stdlib.h>
#include <string.h>

typedef struct toy_values {
    const char *image, *output;
    bool quiet;
    int count, colour;
    uint64_t seed;
    int marks; /* how often --mark was given */
} toy_values;

static ie_status read_mark(void *field, const char *text, ie_error *err)
{
    if (strcmp(text, "ok") != 0)
        return ie_app_fail(err, IE_BAD_ARGUMENT, "--mark %s: say ok", text);
    ++*(int *)field;
    return IE_OK;
}

static const char *const colours[] = {"red", "green", NULL};
static const ie_option options[] = {
    {.name = "image",
     .value = "FILE",
     .kind = IE_OPTION_TEXT,
     .help = "the image",
     .offset = offsetof(toy_values, image),
     .required = true},
    {.name = "output",
     .value = "FILE",
     .kind = IE_OPTION_TEXT,
     .help = "the output",
     .offset = offsetof(toy_values, output)},
    {.name = "quiet",
     .kind = IE_OPTION_FLAG,
     .help = "hush",
     .offset = offsetof(toy_values, quiet)},
    {.name = "count",
     .value = "N",
     .kind = IE_OPTION_INT,
     .help = "how many (-3 to 40)",
     .offset = offsetof(toy_values, count),
     .low = -3,
     .high = 40},
    {.name = "seed",
     .value = "N",
     .kind = IE_OPTION_UINT64,
     .help = "of noise",
     .offset = offsetof(toy_values, seed)},
    {.name = "colour",
     .value = "WHAT",
     .kind = IE_OPTION_CHOICE,
     .help = "which",
     .offset = offsetof(toy_values, colour),
     .choices = colours},
    {.name = "mark",
     .value = "ok",
     .kind = IE_OPTION_CUSTOM,
     .help = "mark",
     .offset = offsetof(toy_values, marks),
     .read = read_mark,
     .repeats = true},
};
static const char *const examples[] = {"imagen-editor toy --image a.png", NULL};
static const ie_command toy = {.name = "toy",
                               .summary = "A toy.",
                               .options = options,
                               .option_count = COUNT(options),
                               .examples = examples};

/* Words of `line` become the arguments. */
static ie_status parse(const char *line, toy_values *values, ie_args_action *action, ie_error *err)
{
    static char copy[512];
    char *argv[32];
    int argc = 0;
    (void)snprintf(copy, sizeof copy, "%s", line);
    for (char *word = strtok(copy, " "); word; word = strtok(NULL, " ")) argv[argc++] = word;
    *values = (toy_values){0};
    return ie_args_parse(&toy, argc, argv, values, action, err);
}

static void a_full_line_is_read(void **state)
{
    (void)state;
    toy_values v;
    ie_args_action action;
    ie_error err = {0};
    assert_says(parse("--image=a=b.png --count -3 --seed 18446744073709551615 --quiet --colour "
                      "green --mark ok --mark=ok --output --odd",
                      &v, &action, &err),
                IE_OK, &err, "");
    assert_int_equal(action, IE_ARGS_RUN);
    assert_string_equal(v.image, "a=b.png");
    assert_string_equal(v.output, "--odd");
    assert_int_equal(v.count, -3);
    assert_true(v.seed == UINT64_MAX);
    assert_true(v.quiet);
    assert_int_equal(v.colour, 2);
    assert_int_equal(v.marks, 2);
}

static void wrong_lines_are_refused_with_what_is_legal(void **state)
{
    (void)state;
    static const struct {
        const char *line, *says;
    } cases[] = {
        {"", "toy needs --image FILE: imagen-editor toy --help"},
        {"--quiet", "toy needs --image FILE"},
        {"--image", "--image needs a value: --image FILE"},
        {"--image --quiet", "--image needs a value"},
        {"--image a --count 41", "--count 41: legal is -3 to 40"},
        {"--image a --count -4", "--count -4: legal is -3 to 40"},
        {"--image a --count 4x", "--count 4x: legal is -3 to 40"},
        {"--image a --count=", "--count : legal is -3 to 40"},
        {"--image a --count 99999999999999999999", "legal is -3 to 40"},
        {"--image a --seed -1", "--seed -1: legal is 0 to 18446744073709551615"},
        {"--image a --seed 18446744073709551616", "legal is 0 to 18446744073709551615"},
        {"--image a --colour blue", "--colour blue: legal are red, green"},
        {"--image a --quiet=1", "--quiet takes no value"},
        {"--image a --image b", "--image is given twice"},
        {"--image a --mark no", "--mark no: say ok"},
        {"--iamge a", "toy has no option --iamge; did you mean --image?"},
        {"--clour=red", "toy has no option --clour; did you mean --colour?"},
        {"--hepl", "did you mean --help?"},
        {"--zzzzzz a", "toy has no option --zzzzzz: imagen-editor toy --help lists them"},
        {"a.png", "toy takes options only, and \"a.png\" is none"},
        {"--", "takes options only"},
        {"-q", "takes options only"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        toy_values v;
        ie_args_action action;
        ie_error err = {0};
        assert_says(parse(cases[i].line, &v, &action, &err), IE_BAD_ARGUMENT, &err, cases[i].says);
    }
}

static void help_and_version_win_over_errors(void **state)
{
    (void)state;
    toy_values v;
    ie_args_action action;
    assert_int_equal(parse("--wrong --help", &v, &action, NULL), IE_OK);
    assert_int_equal(action, IE_ARGS_HELP);
    assert_int_equal(parse("--version", &v, &action, NULL), IE_OK);
    assert_int_equal(action, IE_ARGS_VERSION);
    assert_int_equal(parse("-h", &v, &action, NULL), IE_OK);
    assert_int_equal(action, IE_ARGS_HELP);
}

static void suggestions_are_near(void **state)
{
    (void)state;
    static const char *const names[] = {"mask", "mask-edit", "max-pixels", "steps", "box", NULL};
    static const struct {
        const char *text, *near;
    } cases[] = {
        {"stpes", "steps"},
        {"step", "steps"},
        {"maskedit", "mask-edit"},
        {"maks", "mask"},
        {"bx", "box"},
        {"max-pixles", "max-pixels"},
        {"foo", NULL},
        {"s", NULL},
        {"", NULL},
        {"completely-else", NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *near = ie_args_suggest(cases[i].text, names);
        if (cases[i].near) {
            assert_non_null(near);
            assert_string_equal(near, cases[i].near);
        } else {
            assert_null(near);
        }
    }
    char longer[300];
    memset(longer, 'a', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    assert_null(ie_args_suggest(longer, names));
}

static char *help_of(const ie_command *command)
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    ie_args_help(command, stream);
    (void)fclose(stream);
    return text;
}

/* What the table says and what the words say must agree: the legal range stands in both. */
static void help_names_every_option_and_its_range(void **state)
{
    (void)state;
    const ie_command *const commands[] = {&toy, &ie_command_mask};
    for (size_t i = 0; i < COUNT(commands); i++) {
        char *text = help_of(commands[i]);
        for (int k = 0; k < commands[i]->option_count; k++) {
            const ie_option *o = &commands[i]->options[k];
            char wanted[128];
            (void)snprintf(wanted, sizeof wanted, "\n  --%s%s%s", o->name, o->value ? " " : "",
                           o->value ? o->value : "");
            if (!strstr(text, wanted)) print_error("--help lacks%s\n", wanted);
            assert_non_null(strstr(text, wanted));
            if (o->kind == IE_OPTION_INT) {
                (void)snprintf(wanted, sizeof wanted, "%d to %d", o->low, o->high);
                if (!strstr(o->help, wanted)) print_error("--%s lacks %s\n", o->name, wanted);
                assert_non_null(strstr(o->help, wanted));
            }
        }
        assert_non_null(strstr(text, "examples:\n  imagen-editor"));
        assert_non_null(strstr(text, "\n  130  interrupted"));
        for (const char *line = text; *line;) {
            const size_t length = strcspn(line, "\n");
            assert_true(length <= 100);
            assert_true(length == 0 || line[length - 1] != ' ');
            line += length + (line[length] == '\n');
        }
        free(text);
    }
}

static void an_operand_needs_no_name(void **state)
{
    (void)state;
    static const ie_option with_operand[] = {
        {.name = "list",
         .value = "LIST",
         .kind = IE_OPTION_TEXT,
         .help = "the list",
         .offset = offsetof(toy_values, image),
         .operand = true,
         .required = true},
        {.name = "quiet",
         .kind = IE_OPTION_FLAG,
         .help = "hush",
         .offset = offsetof(toy_values, quiet)},
    };
    ie_command command = toy;
    command.options = with_operand;
    command.option_count = COUNT(with_operand);
    static const struct {
        const char *arguments[3];
        int count;
        const char *says; /* NULL: read */
    } cases[] = {
        {{"a.txt"}, 1, NULL},
        {{"a.txt", "--quiet"}, 2, NULL},
        {{"--quiet", "a.txt"}, 2, NULL},
        {{"--quiet"}, 1, "toy needs LIST"},
        {{"a.txt", "b.txt"}, 2, "toy takes one LIST, and \"b.txt\" is a second"},
        {{"--list", "a.txt"}, 2, "toy has no option --list"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        toy_values values = {0};
        ie_args_action action;
        ie_error err = {0};
        char *arguments[3];
        memcpy(arguments, cases[i].arguments, sizeof arguments);
        const ie_status status =
            ie_args_parse(&command, cases[i].count, arguments, &values, &action, &err);
        if (cases[i].says) {
            assert_says(status, IE_BAD_ARGUMENT, &err, cases[i].says);
        } else {
            assert_int_equal(status, IE_OK);
            assert_string_equal(values.image, "a.txt");
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_operand_needs_no_name),
        cmocka_unit_test(a_full_line_is_read),
        cmocka_unit_test(wrong_lines_are_refused_with_what_is_legal),
        cmocka_unit_test(help_and_version_win_over_errors),
        cmocka_unit_test(suggestions_are_near),
        cmocka_unit_test(help_names_every_option_and_its_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
