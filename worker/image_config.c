#include "worker/image_config.h"

#include "common/fs.h"
#include "common/memory.h"
#include "common/path.h"
#include "common/signals.h"
#include "worker/image_id.h"

#include <fcntl.h>
#include <jansson.h>
#include <string.h>

#define DEFAULT_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

void
image_config_release (struct image_config *config)
{
  strlist_release (&config->entrypoint);
  strlist_release (&config->cmd);
  strlist_release (&config->env);
  free (config->workdir);
  free (config->user);
  free (config->id);
  image_platform_release (&config->platform);
  *config = (struct image_config){ 0 };
}

/* ---- JSON ------------------------------------------------------------------------------- */

static int
image_config_read_list (const json_t *object, const char *key, struct strlist *list,
                        struct error *err)
{
  const json_t *value = json_object_get (object, key);
  if (value == NULL || json_is_null (value))
    return 0;
  if (!json_is_array (value))
    return error_set (err, ERROR_USER, "image configuration: %s isn't a list", key);
  for (size_t i = 0; i < json_array_size (value); i++)
    {
      const char *item = json_string_value (json_array_get (value, i));
      if (item == NULL)
        return error_set (err, ERROR_USER, "image configuration: %s[%zu] isn't a string", key, i);
      strlist_add (list, item);
    }
  return 0;
}

/* "" is as good as nothing there. */
static int
read_string (const json_t *object, const char *key, char **string, struct error *err)
{
  const json_t *value = json_object_get (object, key);
  if (value == NULL || json_is_null (value))
    return 0;
  if (!json_is_string (value))
    return error_set (err, ERROR_USER, "image configuration: %s isn't a string", key);
  if (json_string_length (value) > 0)
    *string = xstrdup (json_string_value (value));
  return 0;
}

/* Normal, like any path of a job: it is made where the image lacks it. */
static int
read_workdir (const json_t *object, struct image_config *config, struct error *err)
{
  auto_free char *path = NULL;
  if (read_string (object, "WorkingDir", &path, err) != 0)
    return -1;
  if (path == NULL)
    return 0;
  config->workdir = path_normal (path, err);
  return config->workdir != NULL ? 0 : error_wrap (err, "image configuration: WorkingDir");
}

static int
image_config_read_stop_signal (const json_t *object, struct image_config *config, struct error *err)
{
  auto_free char *name = NULL;
  if (read_string (object, "StopSignal", &name, err) != 0)
    return -1;
  config->stop_signal = name == NULL ? 0 : signal_parse (name, err);
  return config->stop_signal >= 0 ? 0 : error_wrap (err, "image configuration: StopSignal");
}

static int
image_config_read_config (const json_t *root, struct image_config *config, struct error *err)
{
  if (!json_is_object (root))
    return error_set (err, ERROR_USER, "image configuration: not a JSON object");
  config->id = image_id (root);
  image_platform_read (root, &config->platform);
  const json_t *object = json_object_get (root, "config");
  if (object == NULL || json_is_null (object))
    return 0;
  if (!json_is_object (object))
    return error_set (err, ERROR_USER, "image configuration: config isn't an object");
  if (image_config_read_list (object, "Entrypoint", &config->entrypoint, err) != 0
      || image_config_read_list (object, "Cmd", &config->cmd, err) != 0
      || image_config_read_list (object, "Env", &config->env, err) != 0
      || read_string (object, "User", &config->user, err) != 0
      || image_config_read_stop_signal (object, config, err) != 0)
    return -1;
  return read_workdir (object, config, err);
}

int
image_config_check_platform (const struct image_config *config, const struct job *job,
                             const char *name, struct error *err)
{
  auto_image_platform struct image_platform wanted = { 0 };
  if (job->platform == NULL)
    return 0;
  if (image_platform_parse (job->platform, &wanted, err) != 0)
    return error_wrap (err, "--platform");
  if (image_platform_fits (&wanted, &config->platform) > 0)
    return 0;
  auto_free char *there = image_platform_format (&config->platform);
  return error_set (
      err, ERROR_USER,
      "image \"%s\" is for %s here, not for --platform %s: import or pull it for that "
      "platform",
      name, there, job->platform);
}

int
image_config_parse (struct bytes json, struct image_config *config, struct error *err)
{
  if (json.size > IMAGE_CONFIG_MAX)
    return error_set (err, ERROR_USER, "image configuration: more than %d bytes", IMAGE_CONFIG_MAX);
  json_error_t why;
  json_t *root = json_loadb (json.size > 0 ? json.data : "", json.size, 0, &why);
  if (root == NULL)
    return error_set (err, ERROR_USER, "image configuration: line %d: %s", why.line, why.text);
  int result = image_config_read_config (root, config, err);
  json_decref (root);
  if (result != 0)
    image_config_release (config);
  return result;
}

int
image_config_load (const char *path, struct image_config *config, struct error *err)
{
  auto_buffer struct buffer json = { 0 };
  /* It was read when it came: what is wrong now is the store's. */
  if (fs_read_file (AT_FDCWD, path, IMAGE_CONFIG_MAX, &json, err) != 0)
    return error_blame_machine (err);
  if (image_config_parse (buffer_bytes (&json), config, err) != 0)
    return error_wrap (err, "%s", path);
  return 0;
}

/* ---- command and variables -------------------------------------------------------------- */

int
image_config_command (const struct image_config *config, const struct job *job,
                      const struct strlist *command, struct strlist *argv, struct error *err)
{
  strlist_extend (argv, job->has_entrypoint ? &job->entrypoint : &config->entrypoint);
  if (command->count > 0)
    strlist_extend (argv, command);
  else if (!job->has_entrypoint)
    strlist_extend (argv, &config->cmd);
  if (argv->count > 0 && argv->items[0][0] != '\0')
    return 0;
  return error_set (
      err, ERROR_USER,
      "nothing to run: the image has no command: give one after the image name, or --entrypoint");
}

static size_t
name_length (const char *variable)
{
  return strcspn (variable, "=");
}

static char **
find_variable (const struct strlist *env, const char *variable)
{
  size_t length = name_length (variable);
  for (size_t i = 0; i < env->count; i++)
    if (name_length (env->items[i]) == length && memcmp (env->items[i], variable, length) == 0)
      return &env->items[i];
  return NULL;
}

/* What isn't NAME=value sets nothing: it must not take a variable away either. */
static void
merge_env (struct strlist *env, const struct strlist *more)
{
  for (size_t i = 0; i < more->count; i++)
    {
      if (more->items[i][name_length (more->items[i])] != '=')
        continue;
      char **there = find_variable (env, more->items[i]);
      if (there == NULL)
        {
          strlist_add (env, more->items[i]);
          continue;
        }
      free (*there);
      *there = xstrdup (more->items[i]);
    }
}

void
image_config_env (const struct image_config *config, const struct job *job,
                  const struct strlist *extra, struct strlist *env)
{
  strlist_add (env, DEFAULT_PATH);
  merge_env (env, &config->env);
  merge_env (env, &job->env);
  merge_env (env, extra);
}

void
image_config_home (struct strlist *env, const char *home)
{
  if (find_variable (env, "HOME=") == NULL)
    strlist_addf (env, "HOME=%s", home);
}
