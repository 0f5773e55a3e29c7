/* tmpfs.h — memory mounted in a container, as a job asks for it: docker's "PATH[:OPTION,…]".
 *
 *     /tmp   /tmp:size=64m   /run:size=1m,mode=755,uid=1000,gid=1000,nr_inodes=1000,exec
 *
 * Options are an allow list: size, mode, uid, gid, nr_inodes, ro, rw, exec, noexec; nosuid and
 * nodev are always on and may be said. Nobody but this parser reads the text: what is mounted is
 * rendered from the numbers.
 */
#ifndef SHOAL_SCHEMAS_TMPFS_H
#define SHOAL_SCHEMAS_TMPFS_H

#include "common/auto.h"
#include "common/error.h"
#include "common/strlist.h"

#include <stdbool.h>
#include <stdint.h>

struct tmpfs
{
  char *path;     /* in the container, normal, never "/" */
  int64_t size;   /* bytes; -1: the kernel's default, half of the memory */
  int64_t inodes; /* -1: the kernel's default */
  int64_t uid;    /* who owns it; -1: root */
  int64_t gid;    /* -1: root's */
  int32_t mode;   /* 01777 unless it was said; no set-id bits */
  bool read_only;
  bool exec;
};

/* Reads TEXT into TMPFS, which is released by the caller in either case. ERROR_USER names the
 * option that isn't known or isn't well-formed. */
int tmpfs_parse (const char *text, struct tmpfs *tmpfs, struct error *err);

/* Whether each of TEXTS can be read. ERROR_USER. */
int tmpfs_check (const struct strlist *texts, struct error *err);

/* Appends the mount options in the words of mount(8) and of the OCI runtimes: "nosuid", "nodev",
 * "noexec", "mode=1777", "size=67108864" … */
void tmpfs_options (const struct tmpfs *tmpfs, struct strlist *options);

/* TMPFS in the one form that all of its spellings have; it parses to the same. The caller frees. */
char *tmpfs_format (const struct tmpfs *tmpfs);

void tmpfs_release (struct tmpfs *tmpfs);
#define auto_tmpfs AUTO (tmpfs_release)

#endif
