#include "cli/options.h"

#include "common/memory.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

enum
{
  OPTIONS_MAX = 128,
  LONG_BASE = 256, /* getopt's value of a long option: this and its number */
  HELP_VALUE = LONG_BASE + OPTIONS_MAX,
  HELP_COLUMN = 30, /* where the texts begin */
  HELP_WIDTH = 95,
};

enum option_order
{
  BEFORE_OPERANDS, /* what follows the first operand isn't ours */
  ANYWHERE,
};

/* ---- nearest name ----------------------------------------------------------------------- */

static size_t
least (size_t a, size_t b, size_t c)
{
  size_t least = a < b ? a : b;
  return least < c ? least : c;
}

size_t
options_distance (const char *a, const char *b)
{
  size_t width = strlen (b) + 1;
  auto_free size_t *row = xcalloc (width, sizeof *row);
  for (size_t j = 0; j < width; j++)
    row[j] = j;
  for (size_t i = 0; a[i] != '\0'; i++)
    {
      size_t diagonal = row[0];
      row[0] = i + 1;
      for (size_t j = 1; j < width; j++)
        {
          size_t above = row[j];
          row[j] = least (above + 1, row[j - 1] + 1, diagonal + (a[i] != b[j - 1]));
          diagonal = above;
        }
    }
  return row[width - 1];
}

/* ---- the parser's view of the tables ---------------------------------------------------- */

struct option_entry
{
  const struct option_spec *spec;
  void *context;
};

struct parser
{
  struct option_entry entries[OPTIONS_MAX];
  size_t count;
  struct option longs[2 * OPTIONS_MAX + 2]; /* for getopt_long: names and aliases */
  size_t long_count;
  char letters[2 * OPTIONS_MAX + 4];
};

static bool
is_optional (const struct option_spec *spec)
{
  return spec->argument != NULL && spec->argument[0] == '[';
}

/* … and is never the next word. */
static bool
is_attached (const struct option_spec *spec)
{
  return is_optional (spec) && spec->argument[1] == '=';
}

static void
add_long (struct parser *parser, const char *name, int has_argument, int value)
{
  parser->longs[parser->long_count++] =
      (struct option){ .name = name, .has_arg = has_argument, .val = value };
}

static void
add_spec (struct parser *parser, const struct option_spec *spec, void *context)
{
  int value = LONG_BASE + (int) parser->count;
  parser->entries[parser->count++] = (struct option_entry){ spec, context };
  int has_argument = is_optional (spec)       ? optional_argument
                     : spec->argument != NULL ? required_argument
                                              : no_argument;
  add_long (parser, spec->name, has_argument, value);
  if (spec->alias != NULL)
    add_long (parser, spec->alias, has_argument, value);
  if (spec->letter != '\0')
    {
      size_t length = strlen (parser->letters);
      parser->letters[length] = spec->letter;
      if (spec->argument != NULL)
        parser->letters[length + 1] = ':';
    }
}

static void
parser_init (struct parser *parser, const struct option_set *sets, size_t count,
             enum option_order order)
{
  *parser = (struct parser){ .letters = "" };
  (void) strcpy (parser->letters, order == BEFORE_OPERANDS ? "+:h" : ":h");
  for (size_t i = 0; i < count; i++)
    for (const struct option_spec *spec = sets[i].specs; spec != NULL && spec->name != NULL; spec++)
      add_spec (parser, spec, sets[i].context);
  add_long (parser, "help", no_argument, HELP_VALUE);
}

static const struct option_entry *
find_entry (const struct parser *parser, int value)
{
  if (value >= LONG_BASE)
    return &parser->entries[value - LONG_BASE];
  for (size_t i = 0; i < parser->count; i++)
    if (parser->entries[i].spec->letter == (char) value)
      return &parser->entries[i];
  return NULL;
}

/* ---- what is wrong ---------------------------------------------------------------------- */

/* The known long option nearest to NAME, NULL when none is near. */
static const char *
nearest (const struct parser *parser, const char *name)
{
  const char *best = NULL;
  size_t best_distance = strlen (name) / 3 + 2;
  for (size_t i = 0; i < parser->long_count; i++)
    {
      size_t distance = options_distance (name, parser->longs[i].name);
      if (distance < best_distance)
        {
          best = parser->longs[i].name;
          best_distance = distance;
        }
    }
  return best;
}

static int
complain_of_long (const struct parser *parser, const char *given, struct error *err)
{
  auto_free char *name = xstrndup (given + 2, strcspn (given + 2, "="));
  auto_buffer struct buffer candidates = { 0 };
  int matches = 0;
  for (size_t i = 0; i < parser->long_count; i++)
    {
      const char *known = parser->longs[i].name;
      if (strcmp (known, name) == 0)
        return error_set (err, ERROR_USER, "--%s takes no argument", name);
      if (strncmp (known, name, strlen (name)) == 0)
        buffer_printf (&candidates, "%s--%s", matches++ > 0 ? ", " : "", known);
    }
  if (matches > 1)
    return error_set (err, ERROR_USER, "--%s could be %s", name, candidates.data);
  const char *near = nearest (parser, name);
  if (near == NULL)
    return error_set (err, ERROR_USER, "unknown option --%s (--help lists them)", name);
  return error_set (err, ERROR_USER, "unknown option --%s: did you mean --%s?", name, near);
}

static int
options_refuse (const struct parser *parser, char **argv, struct error *err)
{
  if (optopt == 0 || optopt >= LONG_BASE)
    return complain_of_long (parser, argv[optind - 1], err);
  return error_set (err, ERROR_USER, "unknown option -%c (--help lists them)", optopt);
}

static int
options_refuse_missing (const struct parser *parser, struct error *err)
{
  const struct option_entry *entry = find_entry (parser, optopt);
  return error_set (err, ERROR_USER, "--%s needs an argument: --%s %s", entry->spec->name,
                    entry->spec->name, entry->spec->argument);
}

/* ---- parsing ---------------------------------------------------------------------------- */

/* An optional argument may be the next word when that is a number. */
static bool
is_number (const char *word)
{
  return word[0] != '\0' && strspn (word, "0123456789") == strlen (word);
}

static int
options_apply (const struct option_entry *entry, const char *value, struct error *err)
{
  if (entry->spec->set (entry->context, value, err) == 0)
    return 0;
  return error_wrap (err, "--%s", entry->spec->name);
}

static int
options_read (const struct option_set *sets, size_t count, int argc, char **argv,
              enum option_order order, struct error *err)
{
  struct parser parser;
  parser_init (&parser, sets, count, order);
  optind = 0; /* glibc: forget what an earlier parse left */
  opterr = 0;
  for (;;)
    {
      int value = getopt_long (argc, argv, parser.letters, parser.longs, NULL);
      if (value == -1)
        return optind;
      if (value == 'h' || value == HELP_VALUE)
        return OPTIONS_HELP;
      if (value == '?')
        return options_refuse (&parser, argv, err);
      if (value == ':')
        return options_refuse_missing (&parser, err);
      const struct option_entry *entry = find_entry (&parser, value);
      const char *argument = entry->spec->argument == NULL ? NULL : optarg;
      if (argument == NULL && is_optional (entry->spec) && !is_attached (entry->spec)
          && optind < argc && is_number (argv[optind]))
        argument = argv[optind++];
      if (options_apply (entry, argument, err) != 0)
        return -1;
    }
}

int
options_parse (const struct option_set *sets, size_t count, int argc, char **argv,
               struct error *err)
{
  return options_read (sets, count, argc, argv, BEFORE_OPERANDS, err);
}

int
options_operands (const struct option_set *sets, size_t count, int argc, char **argv, int min,
                  int max, const char *synopsis, struct error *err)
{
  int first = options_read (sets, count, argc, argv, ANYWHERE, err);
  if (first < 0)
    return first;
  int operands = argc - first;
  if (operands < min)
    return error_set (err, ERROR_USER, "missing argument: shoal %s", synopsis);
  if (max >= 0 && operands > max)
    return error_set (err, ERROR_USER, "unexpected argument \"%s\": shoal %s", argv[first + max],
                      synopsis);
  return first;
}

/* ---- help ------------------------------------------------------------------------------- */

/* "-v, --volume SRC:PATH" */
static char *
options_describe (const struct option_spec *spec)
{
  char letter[] = { '-', spec->letter, ',', ' ', '\0' };
  return xasprintf ("%s--%s%s%s", spec->letter == '\0' ? "    " : letter, spec->name,
                    spec->argument == NULL || is_attached (spec) ? "" : " ",
                    spec->argument == NULL ? "" : spec->argument);
}

static void
put_line (struct buffer *out, const struct option_spec *spec)
{
  auto_free char *option = options_describe (spec);
  if (strlen (option) + 4 > HELP_COLUMN)
    buffer_printf (out, "  %s\n  %*s", option, HELP_COLUMN - 2, "");
  else
    buffer_printf (out, "  %-*s", HELP_COLUMN - 2, option);
  buffer_printf (out, "%s\n", spec->help);
}

/* The minor options by name, filled into lines. */
static void
put_names (struct buffer *out, const struct option_spec *const *tables, size_t count)
{
  size_t column = 0;
  for (size_t i = 0; i < count && tables[i] != NULL; i++)
    for (const struct option_spec *spec = tables[i]; spec->name != NULL; spec++)
      {
        if (!spec->minor || spec->help == NULL)
          continue;
        auto_free char *name = xasprintf ("--%s", spec->name);
        if (column == 0)
          buffer_puts (out, "Further options (described in `shoal help options`):\n ");
        if (column == 0 || column + strlen (name) + 2 > HELP_WIDTH)
          {
            buffer_puts (out, column == 0 ? "" : "\n ");
            column = 1;
          }
        buffer_printf (out, " %s", name);
        column += strlen (name) + 1;
      }
  if (column > 0)
    buffer_putc (out, '\n');
}

void
options_help (struct buffer *out, const struct option_spec *const *tables, size_t count, bool brief)
{
  static const char *const titles[GROUPS] = {
    [GROUP_INPUT] = "Inputs and slicing",
    [GROUP_OUTPUT] = "Outputs",
    [GROUP_CONTAINER] = "Container",
    [GROUP_LIMITS] = "Limits",
    [GROUP_FAILURE] = "Failures",
    [GROUP_RUN] = "Execution",
    [GROUP_OTHER] = "Options",
  };
  for (int group = 0; group < GROUPS; group++)
    {
      bool titled = brief;
      for (size_t i = 0; i < count && tables[i] != NULL; i++)
        for (const struct option_spec *spec = tables[i]; spec->name != NULL; spec++)
          {
            if ((int) spec->group != group || spec->help == NULL || (brief && spec->minor))
              continue;
            if (!titled)
              buffer_printf (out, "%s%s\n", out->size > 0 ? "\n" : "", titles[group]);
            titled = true;
            put_line (out, spec);
            if (!brief && spec->alias != NULL)
              buffer_printf (out, "  %*s(also --%s)\n", HELP_COLUMN - 2, "", spec->alias);
          }
    }
  if (brief)
    put_names (out, tables, count);
}

int
options_choose (int (*from_name) (const char *name), const char *value, const char *list,
                struct error *err)
{
  int choice = from_name (value);
  return choice >= 0 ? choice : error_set (err, ERROR_USER, "\"%s\" is none of %s", value, list);
}
