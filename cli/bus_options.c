#include "cli/bus_options.h"

#include "cli/properties.h"
#include "common/fs.h"
#include "common/memory.h"
#include "common/units.h"

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
  free (args->made);
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
    return error_set (err, ERROR_USER,
                      "expected NAME=VALUE, e.g. sasl.username=me (the given value isn't shown, as "
                      "it may contain a password)");
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

/* A bus without senders that aren't ours has nothing to sign: the name of a key that counts for
 * nothing is refused (bus_args_finish). */
static int
set_job_key (void *context, const char *value, struct error *err)
{
  ((struct bus_args *) context)->signs = true;
  return setenv ("SHOAL_JOB_KEY", value, 1) == 0 ? 0 : error_errno (err, errno, "%s", value);
}

const struct option_spec bus_options[] = {
  { 0, "bus", NULL, "URL", "kafka://HOST:PORT[,…][/PREFIX] or sqlite:FILE (default SHOAL_BUS)",
    GROUP_OTHER, false, set_bus },
  { 'X', "property", NULL, "NAME=VALUE",
    "librdkafka property, or a file of them in SHOAL_KAFKA_CONFIG", GROUP_OTHER, false,
    set_property },
  { 0, "schema-registry", NULL, "URL",
    "URL of the Avro schema registry (default SHOAL_SCHEMA_REGISTRY)", GROUP_OTHER, false,
    set_registry },
  { 0, "job-key", NULL, "FILE",
    "file of keys to sign and verify records with (default SHOAL_JOB_KEY)", GROUP_OTHER, false,
    set_job_key },
  { 0, "connect-timeout", NULL, "DURATION",
    "how long to wait for the broker at startup (default 10s)", GROUP_OTHER, true, set_patience },
  { 0 },
};

/* ---- the properties file ---------------------------------------------------------------- */

static bool
is_given (const struct bus_args *args, const char *name, size_t given)
{
  for (size_t i = 0; i < given; i += 2)
    if (strcmp (args->properties.items[i], name) == 0)
      return true;
  return false;
}

static int
bus_options_read_file (struct bus_args *args, const char *path, struct error *err)
{
  auto_buffer struct buffer text = { 0 };
  auto_strlist struct strlist found = { 0 };
  if (fs_read_file (AT_FDCWD, path, FILE_MAX, &text, err) != 0)
    return error_wrap (err, "SHOAL_KAFKA_CONFIG");
  if (properties_read (buffer_bytes (&text), &found, err) != 0)
    return error_wrap (err, "%s", path);
  size_t given = args->properties.count;
  for (size_t i = 0; i < found.count; i += 2)
    if (!is_given (args, found.items[i], given))
      {
        strlist_add (&args->properties, found.items[i]);
        strlist_add (&args->properties, found.items[i + 1]);
      }
  return 0;
}

/* Takes the brokers out of the properties; NULL when they aren't there. The caller frees. */
static char *
take_brokers (struct bus_args *args)
{
  struct strlist rest = { 0 };
  char *brokers = NULL;
  for (size_t i = 0; i < args->properties.count; i += 2)
    {
      const char *name = args->properties.items[i];
      const char *value = args->properties.items[i + 1];
      if (strcmp (name, "bootstrap.servers") == 0 || strcmp (name, "metadata.broker.list") == 0)
        {
          free (brokers);
          brokers = xstrdup (value);
          continue;
        }
      strlist_add (&rest, name);
      strlist_add (&rest, value);
    }
  strlist_release (&args->properties);
  args->properties = rest;
  return brokers;
}

/* The brokers of the properties are the bus, unless it is named with brokers of its own. */
static void
name_bus (struct bus_args *args)
{
  static const char scheme[] = "kafka://";
  size_t length = strlen (scheme);
  auto_free char *brokers = take_brokers (args);
  bool named = args->url != NULL;
  if (brokers == NULL || (named && strncmp (args->url, scheme, length) != 0))
    return;
  const char *prefix = named ? args->url + length : "";
  if (prefix[0] != '\0' && prefix[0] != '/')
    return;
  args->made = xasprintf ("%s%s%s", scheme, brokers, prefix);
  args->url = args->made;
}

int
bus_args_finish (struct bus_args *args, struct error *err)
{
  const char *path = getenv ("SHOAL_KAFKA_CONFIG");
  if (path != NULL && path[0] != '\0' && bus_options_read_file (args, path, err) != 0)
    return -1;
  name_bus (args);
  if (args->signs && args->url != NULL && !bus_args_is_fleet (args))
    return error_set (
        err, ERROR_USER,
        "--job-key: records on %s are not signed: access to it is controlled by its file mode",
        args->url);
  return 0;
}

int
bus_args_need (struct bus_args *args, struct error *err)
{
  if (bus_args_finish (args, err) != 0)
    return -1;
  return args->url != NULL ? 0
                           : error_set (err, ERROR_USER,
                                        "no bus given: use --bus URL, SHOAL_BUS, or "
                                        "bootstrap.servers in the file SHOAL_KAFKA_CONFIG");
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
