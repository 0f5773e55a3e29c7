#include "worker/attributes.h"

#include "common/auto.h"
#include "common/memory.h"

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define ACL "system.posix_acl_access"
#define DEFAULT_ACL "system.posix_acl_default"
#define CAPABILITY "security.capability"

enum
{
  LIST_TRIES =
      5, /* nothing else writes there by then; a list that grows all the same is an error */
  ACL_GROUP = 0x04,
  ACL_MASK = 0x10,
  ACL_MAX = 64 << 10, /* bytes, the kernel's own bound of an attribute */
};

/* As the kernel keeps an ACL: a version, then entries. */
struct acl_entry
{
  uint16_t tag;
  uint16_t bits;
  uint32_t id;
};

static bool
attributes_begins_with (const char *text, const char *start)
{
  return strncmp (text, start, strlen (start)) == 0;
}

static bool
lends_rights (const char *name)
{
  if (strcmp (name, "security.selinux") == 0 || attributes_begins_with (name, "security.SMACK64"))
    return false;
  return attributes_begins_with (name, "security.") || attributes_begins_with (name, "trusted.")
         || strcmp (name, ACL) == 0 || strcmp (name, DEFAULT_ACL) == 0;
}

/* The group's bits of MODE as they are without FD's ACL. */
static mode_t
mode_without_acl (int fd, mode_t mode)
{
  auto_free char *acl = xcalloc (1, ACL_MAX);
  ssize_t size = fgetxattr (fd, ACL, acl, ACL_MAX);
  mode_t group = 0, mask = 07;
  for (ssize_t at = (ssize_t) sizeof (uint32_t); at + (ssize_t) sizeof (struct acl_entry) <= size;
       at += (ssize_t) sizeof (struct acl_entry))
    {
      struct acl_entry entry;
      memcpy (&entry, acl + at, sizeof entry);
      if (le16toh (entry.tag) == ACL_GROUP)
        group = le16toh (entry.bits) & 07;
      else if (le16toh (entry.tag) == ACL_MASK)
        mask = le16toh (entry.bits) & 07;
    }
  return size < 0 ? mode : (mode & ~(mode_t) 070) | (group & mask) << 3;
}

/* A user who may not remove a capability drops it as the kernel does with each change of owner: by
 * one that changes nothing. */
static bool
chown_away (int fd, const char *name)
{
  struct stat status;
  return strcmp (name, CAPABILITY) == 0 && fstat (fd, &status) == 0
         && fchown (fd, status.st_uid, status.st_gid) == 0 && fgetxattr (fd, name, NULL, 0) < 0
         && errno == ENODATA;
}

static int
attribute_remove (int fd, const char *name, mode_t *mode, struct error *err)
{
  if (strcmp (name, ACL) == 0)
    *mode = mode_without_acl (fd, *mode);
  if (fremovexattr (fd, name) == 0 || errno == ENODATA)
    return 0;
  int code = errno;
  return chown_away (fd, name) ? 0 : error_errno (err, code, "removing the attribute %s", name);
}

/* The names of FD's attributes, each ended by a NUL; *SIZE bytes. NULL where there are none, or
 * with ERR set and -1 in *SIZE. */
static char *
attribute_names (int fd, ssize_t *size, struct error *err)
{
  for (int i = 0; i < LIST_TRIES; i++)
    {
      *size = flistxattr (fd, NULL, 0);
      if (*size == 0 || (*size < 0 && errno == ENOTSUP))
        {
          *size = 0;
          return NULL;
        }
      auto_free char *names = *size < 0 ? NULL : xcalloc (1, (size_t) *size + 1);
      *size = names == NULL ? -1 : flistxattr (fd, names, (size_t) *size);
      if (*size >= 0)
        return take (&names);
      if (errno != ERANGE)
        break;
    }
  (void) error_errno (err, errno, "listing the attributes");
  return NULL;
}

int
attributes_drop (int fd, mode_t *mode, struct error *err)
{
  ssize_t size = 0;
  auto_free char *names = attribute_names (fd, &size, err);
  int dropped = 0;
  for (ssize_t at = 0; at < size; at += (ssize_t) strlen (names + at) + 1)
    {
      if (!lends_rights (names + at))
        continue;
      if (attribute_remove (fd, names + at, mode, err) != 0)
        return -1;
      dropped = 1;
    }
  return size < 0 ? -1 : dropped;
}
