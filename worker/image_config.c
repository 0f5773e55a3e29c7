#include "worker/image_config.h"

#include "common/fs.h"
#include "common/memory.h"
#include "common/path.h"
#include "worker/image_id.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define DEFAULT_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

enum
{
  ACCOUNTS_MAX = 4 << 20, /* bytes of an image's passwd or group */
  ACCOUNT_FIELDS = 4,     /* name, password, id, and passwd's group */
};

void
image_config_release (struct image_config *config)
{
  strlist_release (&config->entrypoint);
  strlist_release (&config->cmd);
  strlist_release (&config->env);
  free (config->workdir);
  free (config->user);
  free (config->id);
  *config = (struct image_config){ 0 };
}

/* ---- JSON ------------------------------------------------------------------------------- */

static int
read_list (const json_t *object, const char *key, struct strlist *list, struct error *err)
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
read_config (const json_t *root, struct image_config *config, struct error *err)
{
  if (!json_is_object (root))
    return error_set (err, ERROR_USER, "image configuration: not a JSON object");
  config->id = image_id (root);
  const json_t *object = json_object_get (root, "config");
  if (object == NULL || json_is_null (object))
    return 0;
  if (!json_is_object (object))
    return error_set (err, ERROR_USER, "image configuration: config isn't an object");
  if (read_list (object, "Entrypoint", &config->entrypoint, err) != 0
      || read_list (object, "Cmd", &config->cmd, err) != 0
      || read_list (object, "Env", &config->env, err) != 0
      || read_string (object, "User", &config->user, err) != 0)
    return -1;
  return read_workdir (object, config, err);
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
  int result = read_config (root, config, err);
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

/* ---- user ------------------------------------------------------------------------------- */

/* One line of passwd or group; the fields point into it. */
struct account
{
  const char *name;
  const char *id;
  const char *group; /* "" in group, where the fourth field is the members */
};

/* Whether TEXT is a number as the kernel counts users: not -1, which means "unchanged" there. */
static bool
parse_id (const char *text, uint32_t *id)
{
  uint64_t number = 0;
  if (*text == '\0')
    return false;
  for (; *text != '\0'; text++)
    {
      if (*text < '0' || *text > '9')
        return false;
      number = number * 10 + (uint64_t) (*text - '0');
      if (number >= UINT32_MAX)
        return false;
    }
  *id = (uint32_t) number;
  return true;
}

static bool
split_account (char *line, struct account *account)
{
  const char *fields[ACCOUNT_FIELDS] = { "", "", "", "" };
  for (size_t i = 0; i < ACCOUNT_FIELDS && line != NULL; i++)
    fields[i] = strsep (&line, ":");
  *account = (struct account){ .name = fields[0], .id = fields[2], .group = fields[3] };
  return *account->name != '\0' && *account->id != '\0';
}

/* Looks WHO, a name or a number, up in FILE of ROOTFS. TEXT keeps what ACCOUNT points to. 1 when
 * found, 0 when not; a file that isn't there has nobody in it. */
static int
find_account (const char *rootfs, const char *file, const char *who, struct buffer *text,
              struct account *account, struct error *err)
{
  auto_fd int root = fs_open_folder (AT_FDCWD, rootfs, err);
  if (root < 0)
    return error_blame_machine (err);
  struct error why = ERROR_INIT;
  auto_fd int fd = fs_open_beneath (root, file, O_RDONLY | O_NONBLOCK, 0, &why);
  if (fd < 0 && (why.code == ENOENT || why.code == ENOTDIR))
    return 0;
  if (fd < 0)
    return error_set (err, why.class, "the image's /%s", why.message);
  struct stat status;
  if (fstat (fd, &status) != 0 || !S_ISREG (status.st_mode) || status.st_size > ACCOUNTS_MAX)
    return error_set (err, ERROR_USER, "the image's /%s isn't a file of at most %d bytes", file,
                      ACCOUNTS_MAX);
  auto_free char *self = xasprintf ("/proc/self/fd/%d", fd);
  if (fs_read_file (AT_FDCWD, self, ACCOUNTS_MAX, text, err) != 0)
    return error_wrap (err, "the image's /%s", file);
  char *rest = text->size > 0 ? text->data : NULL;
  uint32_t wanted = 0;
  bool numeric = parse_id (who, &wanted);
  while (rest != NULL)
    {
      uint32_t id = 0;
      if (!split_account (strsep (&rest, "\n"), account))
        continue;
      if (numeric ? parse_id (account->id, &id) && id == wanted : strcmp (account->name, who) == 0)
        return 1;
    }
  return 0;
}

static int
resolve_user (const char *rootfs, const char *name, struct image_user *user, struct error *err)
{
  auto_buffer struct buffer text = { 0 };
  struct account account;
  bool numeric = parse_id (name, &user->uid);
  /* A number needs no passwd: one that can't be read is no reason to fail. */
  int found = find_account (rootfs, "etc/passwd", name, &text, &account, numeric ? NULL : err);
  if (numeric && found <= 0)
    return 0;
  if (found < 0)
    return -1;
  if (found == 0)
    return error_set (err, ERROR_USER, "user \"%s\" isn't in the image's /etc/passwd", name);
  if (!parse_id (account.id, &user->uid) || !parse_id (account.group, &user->gid))
    return error_set (err, ERROR_USER, "user \"%s\": bad line in the image's /etc/passwd", name);
  return 0;
}

static int
resolve_group (const char *rootfs, const char *name, struct image_user *user, struct error *err)
{
  if (parse_id (name, &user->gid))
    return 0;
  auto_buffer struct buffer text = { 0 };
  struct account account;
  int found = find_account (rootfs, "etc/group", name, &text, &account, err);
  if (found < 0)
    return -1;
  if (found == 0)
    return error_set (err, ERROR_USER, "group \"%s\" isn't in the image's /etc/group", name);
  if (!parse_id (account.id, &user->gid))
    return error_set (err, ERROR_USER, "group \"%s\": bad line in the image's /etc/group", name);
  return 0;
}

int
image_config_user (const struct image_config *config, const struct job *job, const char *rootfs,
                   struct image_user *user, struct error *err)
{
  *user = (struct image_user){ 0 };
  const char *asked = job->user != NULL ? job->user : config->user;
  if (asked == NULL)
    return 0;
  const char *colon = strchr (asked, ':');
  auto_free char *name =
      xstrndup (asked, colon == NULL ? strlen (asked) : (size_t) (colon - asked));
  /* As docker: "" and ":group" are root. */
  if (*name != '\0' && resolve_user (rootfs, name, user, err) != 0)
    return -1;
  if (colon == NULL || colon[1] == '\0')
    return 0;
  return resolve_group (rootfs, colon + 1, user, err);
}

int
image_user_check_rootless (const struct image_user *user, struct error *err)
{
  if (user->uid == 0 && user->gid == 0)
    return 0;
  return error_set (err, ERROR_USER,
                    "user %u:%u is not available, as the worker doesn't run as root: use --user "
                    "0:0, which maps to the worker's user",
                    (unsigned int) user->uid, (unsigned int) user->gid);
}
