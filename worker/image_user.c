#include "worker/image_user.h"

#include "common/fs.h"
#include "common/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

enum
{
  ACCOUNTS_MAX = 4 << 20, /* bytes of an image's passwd or group */
  ACCOUNT_FIELDS = 6,     /* name, password, id, group, comment, home */
};

/* One line of passwd or group; the fields point into it. */
struct account
{
  const char *name;
  const char *id;
  const char *group; /* in group: the members, separated by commas */
  const char *home;  /* of passwd */
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
  const char *fields[ACCOUNT_FIELDS] = { "", "", "", "", "", "" };
  for (size_t i = 0; i < ACCOUNT_FIELDS && line != NULL; i++)
    fields[i] = strsep (&line, ":");
  *account =
      (struct account){ .name = fields[0], .id = fields[2], .group = fields[3], .home = fields[5] };
  return *account->name != '\0' && *account->id != '\0';
}

/* Reads FILE of ROOTFS into TEXT: 1; 0 when there is none; -1 with ERR. */
static int
image_user_read (const char *rootfs, const char *file, struct buffer *text, struct error *err)
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
  return 1;
}

/* Looks WHO, a name or a number, up in FILE of ROOTFS. TEXT keeps what ACCOUNT points to. 1 when
 * found, 0 when not; a file that isn't there has nobody in it. */
static int
find_account (const char *rootfs, const char *file, const char *who, struct buffer *text,
              struct account *account, struct error *err)
{
  int there = image_user_read (rootfs, file, text, err);
  if (there <= 0)
    return there;
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

/* *LOGIN becomes the name that passwd has for it; NULL: none. The caller frees. */
static int
resolve_user (const char *rootfs, const char *name, struct image_user *user, char **login,
              struct error *err)
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
  *login = xstrdup (account.name);
  if (account.home[0] == '/')
    {
      free (user->home);
      user->home = xstrdup (account.home);
    }
  return 0;
}

static int
resolve_group (const char *rootfs, const char *name, gid_t *gid, struct error *err)
{
  if (parse_id (name, gid))
    return 0;
  auto_buffer struct buffer text = { 0 };
  struct account account;
  int found = find_account (rootfs, "etc/group", name, &text, &account, err);
  if (found < 0)
    return -1;
  if (found == 0)
    return error_set (err, ERROR_USER, "group \"%s\" isn't in the image's /etc/group", name);
  if (!parse_id (account.id, gid))
    return error_set (err, ERROR_USER, "group \"%s\": bad line in the image's /etc/group", name);
  return 0;
}

int
image_user_add_group (struct image_user *user, gid_t gid, struct error *err)
{
  for (size_t i = 0; i < user->group_count; i++)
    if (user->groups[i] == gid)
      return 0;
  if (user->group_count == IMAGE_GROUPS_MAX)
    return error_set (err, ERROR_USER, "the user has more than %d groups", IMAGE_GROUPS_MAX);
  user->groups = xrealloc (user->groups, user->group_count + 1, sizeof *user->groups);
  user->groups[user->group_count++] = gid;
  return 0;
}

static bool
image_user_is_member (const char *members, const char *login)
{
  size_t length = strlen (login);
  for (const char *at = members; at != NULL; at = strchr (at, ','))
    {
      at += *at == ',';
      if (strncmp (at, login, length) == 0 && (at[length] == ',' || at[length] == '\0'))
        return true;
    }
  return false;
}

/* Adds the groups that LOGIN is a member of. A file that can't be read has none, as for numbers. */
static int
image_user_add_memberships (const char *rootfs, const char *login, struct image_user *user,
                            struct error *err)
{
  auto_buffer struct buffer text = { 0 };
  struct account account;
  uint32_t gid = 0;
  if (image_user_read (rootfs, "etc/group", &text, NULL) <= 0)
    return 0;
  char *rest = text.size > 0 ? text.data : NULL;
  while (rest != NULL)
    if (split_account (strsep (&rest, "\n"), &account)
        && image_user_is_member (account.group, login) && parse_id (account.id, &gid)
        && image_user_add_group (user, gid, err) != 0)
      return -1;
  return 0;
}

/* As docker: "" and ":group" are root. LOGIN as resolve_user fills it in. */
static int
image_user_identify (const char *asked, const char *rootfs, struct image_user *user, char **login,
                     struct error *err)
{
  const char *colon = strchr (asked, ':');
  auto_free char *name =
      xstrndup (asked, colon == NULL ? strlen (asked) : (size_t) (colon - asked));
  bool usual = *name == '\0';
  if (resolve_user (rootfs, usual ? "0" : name, user, login, usual ? NULL : err) != 0 && !usual)
    return -1;
  if (colon == NULL || colon[1] == '\0')
    return 0;
  free (take (login));
  return resolve_group (rootfs, colon + 1, &user->gid, err);
}

int
image_config_user (const struct image_config *config, const struct job *job, const char *rootfs,
                   struct image_user *user, struct error *err)
{
  *user = (struct image_user){ .home = xstrdup ("/") };
  const char *asked = job->user != NULL ? job->user : config->user;
  auto_free char *login = NULL;
  if (image_user_identify (asked == NULL ? "" : asked, rootfs, user, &login, err) != 0
      || image_user_add_group (user, user->gid, err) != 0
      || (login != NULL && image_user_add_memberships (rootfs, login, user, err) != 0))
    return -1;
  for (size_t i = 0; i < job->groups.count; i++)
    {
      gid_t gid = 0;
      if (resolve_group (rootfs, job->groups.items[i], &gid, err) != 0
          || image_user_add_group (user, gid, err) != 0)
        return error_wrap (err, "--group-add");
    }
  return 0;
}

int
image_user_check_rootless (const struct image_user *user, const struct job *job, bool any,
                           struct error *err)
{
  if (job->groups.count > 0)
    return error_set (err, ERROR_USER, "--group-add needs a worker that runs as root");
  if (any || (user->uid == 0 && user->gid == 0))
    return 0;
  return error_set (err, ERROR_USER,
                    "user %u:%u needs crun, or a worker that runs as root: use --user 0:0, which "
                    "maps to the worker's user",
                    (unsigned int) user->uid, (unsigned int) user->gid);
}

void
image_user_release (struct image_user *user)
{
  free (user->groups);
  free (user->home);
  *user = (struct image_user){ 0 };
}
