#include "cli/bus_options.h"

#include "common/fs.h"
#include "common/memory.h"
#include "common/units.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

enum
{
  FILE_MAX = 1 << 20,
};

/* Of properties' names; what has others may be half a password. */
static const char name_bytes[] =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

void
bus_args_init (struct bus_args *args)
{
  const char *url = getenv ("SHOAL_BUS");
  *args = (struct bus_args){ .url = url != NULL && url[0] != '\0' ? url : NULL };
}

void
bus_args_release (struct bus_args *args)
{
  strlist_release (&args->properties);
}

static int
set_bus (void *context, const char *value, struct error *err)
{
  (void) err;
  ((struct bus_args *) context)->url = value;
  ((struct bus_args *) context)->named = true;
  return 0;
}

static int
set_property (void *context, const char *value, struct error *err)
{
  struct bus_args *args = context;
  size_t length = strspn (value, name_bytes);
  if (length == 0 || value[length] != '=')
    return error_set (
        err, ERROR_USER,
        "expected PROPERTY=VALUE, as sasl.username=me (what was given isn't shown: it "
        "may have a password in it)");
  strlist_take (&args->properties, xstrndup (value, length));
  strlist_add (&args->properties, value + length + 1);
  return 0;
}

static int
set_patience (void *context, const char *value, struct error *err)
{
  return units_parse_duration (value, &((struct bus_args *) context)->patience_ms, err);
}

/* The other settings of a registry, and where a password is, come from the environment as well. */
static int
set_registry (void *context, const char *value, struct error *err)
{
  (void) context;
  return setenv ("SHOAL_SCHEMA_REGISTRY", value, 1) == 0 ? 0
                                                         : error_errno (err, errno, "%s", value);
}

const struct option_spec bus_options[] = {
  { 0, "bus", NULL, "URL", "kafka://HOST:PORT[,…][/PREFIX] or sqlite:FILE; default: SHOAL_BUS",
    GROUP_OTHER, false, set_bus },
  { 'X', "property", NULL, "NAME=VALUE", "a property of librdkafka; also: SHOAL_KAFKA_CONFIG=FILE",
    GROUP_OTHER, false, set_property },
  { 0, "schema-registry", NULL, "URL", "of Avro schemas; default: SHOAL_SCHEMA_REGISTRY",
    GROUP_OTHER, false, set_registry },
  { 0, "connect-timeout", NULL, "DURATION", "for a first answer of the bus; default 10s",
    GROUP_OTHER, false, set_patience },
  { 0 },
};

/* ---- the properties file ---------------------------------------------------------------- */

static char *
trim (char *text)
{
  while (isspace ((unsigned char) *text))
    text++;
  size_t length = strlen (text);
  while (length > 0 && isspace ((unsigned char) text[length - 1]))
    text[--length] = '\0';
  return text;
}

static bool
is_given (const struct bus_args *args, const char *name, size_t given)
{
  for (size_t i = 0; i < given; i += 2)
    if (strcmp (args->properties.items[i], name) == 0)
      return true;
  return false;
}

/* Lines of NAME=VALUE as Kafka's own tools read them; # and ! begin a comment. */
static int
read_properties (struct bus_args *args, const char *path, struct error *err)
{
  auto_buffer struct buffer text = { 0 };
  if (fs_read_file (AT_FDCWD, path, FILE_MAX, &text, err) != 0)
    return error_wrap (err, "SHOAL_KAFKA_CONFIG");
  size_t given = args->properties.count;
  char *rest = text.data;
  int number = 0;
  for (char *line = strsep (&rest, "\n"); line != NULL; line = strsep (&rest, "\n"))
    {
      number++;
      line = trim (line);
      if (line[0] == '\0' || line[0] == '#' || line[0] == '!')
        continue;
      char *equals = strchr (line, '=');
      if (equals == NULL || equals == line)
        return error_set (err, ERROR_USER, "%s: line %d isn't NAME=VALUE", path, number);
      *equals = '\0';
      const char *name = trim (line);
      if (is_given (args, name, given))
        continue;
      strlist_add (&args->properties, name);
      strlist_add (&args->properties, trim (equals + 1));
    }
  return 0;
}

int
bus_args_finish (struct bus_args *args, struct error *err)
{
  const char *path = getenv ("SHOAL_KAFKA_CONFIG");
  return path == NULL || path[0] == '\0' ? 0 : read_properties (args, path, err);
}

struct bus_options
bus_args_options (const struct bus_args *args, const char *client)
{
  return (struct bus_options){ .client = client,
                               .patience_ms = args->patience_ms,
                               .properties = &args->properties };
}

bool
bus_args_is_fleet (const struct bus_args *args)
{
  return args->url != NULL && strncmp (args->url, "sqlite:", strlen ("sqlite:")) != 0;
}
