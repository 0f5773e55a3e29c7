#include "worker/cdi.h"

#include "common/buffer.h"
#include "common/fs.h"
#include "common/memory.h"
#include "common/path.h"
#include "common/text.h"
#include "schemas/job_bounds.h"
#include "worker/cdi_yaml.h"

#include <dirent.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define CDI_FOLDERS "/etc/cdi:/var/run/cdi"

enum
{
  CDI_SIZE_MAX = 1 << 20, /* bytes of a specification */
  CDI_ENV_MAX = 1 << 20,  /* bytes of a job's variables by specifications: YAML can name one text
                             thousands of times, and Linux starts nothing with more than 2 MB */
};

/* A search for one device in one folder. */
struct cdi_search
{
  const struct device *device;
  json_t *spec;  /* the specification that has it … */
  json_t *entry; /* … and it, which is in there */
  char *path;
  size_t skipped;        /* files that the specification has no name for */
  struct error *trouble; /* with one of the files, the first one */
};

static void
cdi_search_release (struct cdi_search *search)
{
  json_decref (search->spec);
  free (search->path);
}
#define auto_cdi_search AUTO (cdi_search_release)

/* ---- members ---------------------------------------------------------------------------- */

static bool
cdi_is_one_of (const char *name, const char *const *names)
{
  for (size_t i = 0; names[i] != NULL; i++)
    if (strcmp (names[i], name) == 0)
      return true;
  return false;
}

/* Whether OBJECT, a WHAT, is one, and asks for nothing but NAMES. */
static int
cdi_check_members (const json_t *object, const char *what, const char *const *names,
                   struct error *err)
{
  const char *name;
  json_t *value;
  if (!json_is_object (object))
    return error_set (err, ERROR_USER, "%s: expected an object", what);
  json_object_foreach ((json_t *) (uintptr_t) object, name, value)
    {
      bool empty = json_is_null (value) || (json_is_array (value) && json_array_size (value) == 0);
      if (empty || cdi_is_one_of (name, names))
        continue;
      if (strcmp (name, "hooks") == 0)
        return error_set (err, ERROR_USER,
                          "%s: hooks aren't run: they are programs that would have the worker's "
                          "rights on this machine; use a specification without them (nvidia-ctk "
                          "cdi generate --disable-hook=all writes one)",
                          what);
      return error_set (err, ERROR_USER, "%s: %.100s isn't supported", what, name);
    }
  return 0;
}

/* Calls ADD with each item of the array NAME of OBJECT. */
static int
cdi_each (const json_t *object, const char *name, struct devices *devices,
          int (*add) (struct devices *devices, const json_t *item, struct error *err),
          struct error *err)
{
  const json_t *array = json_object_get (object, name);
  size_t i;
  json_t *item;
  if (array == NULL || json_is_null (array))
    return 0;
  if (!json_is_array (array))
    return error_set (err, ERROR_USER, "%s: expected an array", name);
  json_array_foreach (array, i, item)
    {
      if (add (devices, item, err) != 0)
        return error_wrap (err, "%s", name);
    }
  return 0;
}

/* *TEXT is the string NAME of OBJECT; NULL where there is none, or an empty one. */
static int
cdi_string (const json_t *object, const char *name, const char **text, struct error *err)
{
  const json_t *value = json_object_get (object, name);
  *text = json_string_value (value);
  if (value != NULL && !json_is_null (value) && *text == NULL)
    return error_set (err, ERROR_USER, "%s: expected a string", name);
  *text = *text != NULL && **text == '\0' ? NULL : *text;
  return 0;
}

/* The path NAME of OBJECT in its normal form; the caller frees. NULL with ERR. */
static char *
cdi_path (const json_t *object, const char *name, struct error *err)
{
  const char *text = json_string_value (json_object_get (object, name));
  if (text != NULL && text[0] == '/' && strlen (text) <= JOB_PATH_MAX)
    return path_normal (text, err);
  (void) error_set (err, ERROR_USER, "%s: expected an absolute path", name);
  return NULL;
}

/* ---- edits ------------------------------------------------------------------------------ */

static int
cdi_add_variable (struct devices *devices, const json_t *item, struct error *err)
{
  const char *text = json_string_value (item);
  if (text == NULL || strchr (text, '=') == NULL || text[0] == '=')
    return error_set (err, ERROR_USER, "expected strings NAME=VALUE");
  size_t size = strlen (text) + 1;
  if (size > JOB_WORD_MAX || devices->env_size + size > CDI_ENV_MAX)
    return error_set (err, ERROR_USER, "%.100s: more than %s", text,
                      size > JOB_WORD_MAX ? "128 KiB" : "1 MiB of variables");
  devices->env_size += size;
  strlist_add (&devices->env, text);
  return 0;
}

static int
cdi_add_gid (struct devices *devices, const json_t *item, struct error *err)
{
  json_int_t gid = json_integer_value (item);
  if (!json_is_integer (item) || gid < 0 || gid > JOB_USER_ID_MAX)
    return error_set (err, ERROR_USER, "expected numbers of groups");
  if (gid != 0) /* by the specification, none */
    devices_add_group (devices, (gid_t) gid);
  return 0;
}

static bool
cdi_says (const json_t *item, const char *name, json_int_t real)
{
  const json_t *value = json_object_get (item, name);
  return value == NULL || json_is_null (value)
         || (json_is_integer (value) && json_integer_value (value) == real);
}

/* What is said of the node SOURCE must be so: it is this machine's own that is shown. */
static int
cdi_check_node (const json_t *item, const char *source, struct error *err)
{
  struct stat status;
  if (stat (source, &status) != 0)
    return 0; /* who adds it says so */
  const json_t *kind = json_object_get (item, "type");
  const char *type = json_is_null (kind) ? NULL : json_string_value (kind);
  const char *real = S_ISBLK (status.st_mode) ? "b" : "c";
  bool same_type = kind == NULL || json_is_null (kind)
                   || (type != NULL
                       && (strcmp (type, real) == 0 || type[0] == '\0'
                           || (real[0] == 'c' && strcmp (type, "u") == 0)));
  const struct
  {
    const char *name;
    bool same;
  } checks[] = {
    { "type", same_type },
    { "major", cdi_says (item, "major", major (status.st_rdev)) },
    { "minor", cdi_says (item, "minor", minor (status.st_rdev)) },
    { "fileMode", cdi_says (item, "fileMode", status.st_mode & 07777) },
    { "uid", cdi_says (item, "uid", status.st_uid) },
    { "gid", cdi_says (item, "gid", status.st_gid) },
  };
  for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++)
    if (!checks[i].same)
      return error_set (err, ERROR_USER,
                        "%s: the node's %s isn't what the specification says, and can't be changed",
                        source, checks[i].name);
  return 0;
}

static int
cdi_add_node (struct devices *devices, const json_t *item, struct error *err)
{
  static const char *const names[] = { "path",     "hostPath",    "type", "major", "minor",
                                       "fileMode", "permissions", "uid",  "gid",   NULL };
  if (cdi_check_members (item, "a node", names, err) != 0)
    return -1;
  bool read = true;
  bool written = true;
  auto_free char *target = cdi_path (item, "path", err);
  const char *elsewhere = NULL;
  const char *access = NULL;
  if (target == NULL || cdi_string (item, "hostPath", &elsewhere, err) != 0
      || cdi_string (item, "permissions", &access, err) != 0)
    return -1;
  auto_free char *source = cdi_path (item, elsewhere != NULL ? "hostPath" : "path", err);
  if (source == NULL)
    return -1;
  if (!device_path_is_good (target))
    return error_set (err, ERROR_USER, "%s: a container has its devices below /dev", target);
  if (access != NULL && !device_access_parse (access, &read, &written))
    return error_set (err, ERROR_USER, "%s: permissions: expected r, w or both", target);
  return cdi_check_node (item, source, err) != 0
             ? -1
             : devices_add_node (devices, source, target, read, written, err);
}

/* Those that say what is done anyway, or what doesn't matter for a mount that is read-only. */
static int
cdi_check_options (const json_t *item, struct error *err)
{
  static const char *const known[] = { "ro",       "bind",    "rbind",  "private", "rprivate",
                                       "slave",    "rslave",  "nosuid", "nodev",   "noexec",
                                       "relatime", "noatime", NULL };
  const json_t *options = json_object_get (item, "options");
  size_t i;
  json_t *option;
  if (options != NULL && !json_is_null (options) && !json_is_array (options))
    return error_set (err, ERROR_USER, "options: expected an array");
  json_array_foreach (options, i, option)
    {
      const char *text = json_string_value (option);
      if (text == NULL || !cdi_is_one_of (text, known))
        return error_set (err, ERROR_USER,
                          "option \"%.100s\" isn't supported: what a device brings is mounted "
                          "read-only, without devices and set-id programs",
                          text == NULL ? "?" : text);
    }
  return 0;
}

static int
cdi_add_mount (struct devices *devices, const json_t *item, struct error *err)
{
  static const char *const names[] = { "hostPath", "containerPath", "options", "type", NULL };
  if (cdi_check_members (item, "a mount", names, err) != 0)
    return -1;
  auto_free char *source = cdi_path (item, "hostPath", err);
  auto_free char *target = source == NULL ? NULL : cdi_path (item, "containerPath", err);
  const char *type = NULL;
  if (target == NULL || cdi_string (item, "type", &type, err) != 0)
    return -1;
  if (type != NULL && strcmp (type, "bind") != 0 && strcmp (type, "none") != 0)
    return error_set (err, ERROR_USER, "%s: type \"%.100s\" isn't supported", target, type);
  if (strcmp (target, "/") == 0 || path_below (target, "/proc") != NULL
      || path_below (target, "/sys") != NULL || path_below (target, "/dev") != NULL)
    return error_set (err, ERROR_USER, "%s: nothing can be mounted there", target);
  return cdi_check_options (item, err) != 0 ? error_wrap (err, "%s", target)
                                            : devices_add_mount (devices, source, target, err);
}

static int
cdi_add_edits (struct devices *devices, const json_t *object, struct error *err)
{
  static const char *const names[] = { "env", "deviceNodes", "mounts", "additionalGids", NULL };
  const json_t *edits = json_object_get (object, "containerEdits");
  if (edits == NULL || json_is_null (edits))
    return 0;
  if (cdi_check_members (edits, "containerEdits", names, err) != 0)
    return -1;
  return cdi_each (edits, "env", devices, cdi_add_variable, err) != 0
                 || cdi_each (edits, "deviceNodes", devices, cdi_add_node, err) != 0
                 || cdi_each (edits, "mounts", devices, cdi_add_mount, err) != 0
                 || cdi_each (edits, "additionalGids", devices, cdi_add_gid, err) != 0
             ? -1
             : 0;
}

/* ---- finding ---------------------------------------------------------------------------- */

/* The entry of the device NAME in SPEC, which keeps it; NULL when it has none. */
static json_t *
cdi_entry (const json_t *spec, const char *name)
{
  size_t i;
  json_t *item;
  json_array_foreach (json_object_get (spec, "devices"), i, item)
    {
      const char *own = json_string_value (json_object_get (item, "name"));
      if (own != NULL && strcmp (own, name) == 0)
        return item;
    }
  return NULL;
}

/* The file NAME of FOLDER_FD. The caller owns it; NULL with ERR. */
static json_t *
cdi_load (int folder_fd, const char *name, struct error *err)
{
  auto_buffer struct buffer text = { 0 };
  json_error_t why;
  if (fs_read_file (folder_fd, name, CDI_SIZE_MAX, &text, err) != 0)
    return NULL;
  if (text_ends_in (name, strlen (name), ".yaml"))
    return cdi_yaml_parse (buffer_bytes (&text), err);
  json_t *spec =
      json_loadb (text.size == 0 ? "" : text.data, text.size, JSON_REJECT_DUPLICATES, &why);
  if (spec == NULL)
    (void) error_set (err, ERROR_USER, "line %d: invalid JSON: %s", why.line, why.text);
  return spec;
}

/* -1 when FILE has the device as well as another one. */
static int
cdi_look_at (struct cdi_search *search, int folder_fd, const char *folder, const char *name,
             struct error *err)
{
  struct error local = ERROR_INIT;
  json_t *spec = cdi_load (folder_fd, name, &local);
  if (spec == NULL && !error_is_set (search->trouble))
    (void) error_set (search->trouble, ERROR_USER, "%s/%s: %s", folder, name, local.message);
  const char *kind = json_string_value (json_object_get (spec, "kind"));
  json_t *entry = kind != NULL && strcmp (kind, search->device->kind) == 0
                      ? cdi_entry (spec, search->device->name)
                      : NULL;
  if (entry == NULL)
    {
      json_decref (spec);
      return 0;
    }
  if (search->entry != NULL)
    {
      json_decref (spec);
      return error_set (err, ERROR_USER, "both %s and %s/%s have it", search->path, folder, name);
    }
  search->spec = spec;
  search->entry = entry;
  search->path = xasprintf ("%s/%s", folder, name);
  return 0;
}

/* 0 also for a folder that isn't there. */
static int
cdi_look_in (struct cdi_search *search, const char *folder, struct error *err)
{
  auto_dir DIR *dir = opendir (folder);
  for (const struct dirent *entry = NULL; dir != NULL && (entry = readdir (dir)) != NULL;)
    {
      const char *name = entry->d_name;
      size_t size = strlen (name);
      if (text_ends_in (name, size, ".yml"))
        search->skipped++;
      if ((text_ends_in (name, size, ".json") || text_ends_in (name, size, ".yaml"))
          && cdi_look_at (search, dirfd (dir), folder, name, err) != 0)
        return -1;
    }
  return 0;
}

static int
cdi_apply (struct devices *devices, const struct cdi_search *search, struct error *err)
{
  return cdi_add_edits (devices, search->spec, err) != 0
                 || cdi_add_edits (devices, search->entry, err) != 0
             ? error_wrap (err, "%s", search->path)
             : 0;
}

int
cdi_add (struct devices *devices, const struct device *device, const char *folders,
         struct error *err)
{
  const char *names = folders != NULL ? folders : CDI_FOLDERS;
  struct error trouble = ERROR_INIT;
  size_t skipped = 0;
  auto_free char *rest = xstrdup (names);
  for (char *end = rest + strlen (rest); end != NULL;)
    {
      *end = '\0';
      char *colon = strrchr (rest, ':');
      const char *folder = colon == NULL ? rest : colon + 1;
      auto_cdi_search struct cdi_search search = { .device = device, .trouble = &trouble };
      if (folder[0] != '\0' && cdi_look_in (&search, folder, err) != 0)
        return -1;
      if (search.entry != NULL)
        return cdi_apply (devices, &search, err);
      skipped += search.skipped;
      end = colon;
    }
  auto_free char *yml = xasprintf (" (%zu file%s *.yml: only *.json and *.yaml are read)", skipped,
                                   skipped == 1 ? "" : "s");
  return error_set (err, ERROR_USER,
                    "this machine has no such device: no CDI specification in "
                    "%.200s has it%s%s%.300s",
                    names, skipped > 0 ? yml : "", error_is_set (&trouble) ? "; " : "",
                    error_is_set (&trouble) ? trouble.message : "");
}
