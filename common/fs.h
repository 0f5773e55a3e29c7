/* fs.h — files and folders, safely: beneath a directory descriptor, whole or not at all.
 *
 * Paths that come from a container, a listing or a message are resolved with openat2 and
 * RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS: they can't leave the folder they are relative to, whatever
 * they hold. All descriptors are close-on-exec. Functions return 0 or a descriptor, or -1
 * with ERR set to the path and the cause. Everything that writes goes through sys.h.
 */
#ifndef SHOAL_COMMON_FS_H
#define SHOAL_COMMON_FS_H

#include "common/buffer.h"
#include "common/error.h"
#include "common/halt.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

/* openat2(2), close-on-exec, again where others disturbed it: for callers that say themselves how
 * PATH is resolved (RESOLVE_…). MODE is for files that FLAGS make. A descriptor, or -1 with
 * errno. */
int fs_openat2 (int dirfd, const char *path, int flags, mode_t mode, uint64_t resolve);

/* Opens for reading what FD (O_PATH) stands for, without waiting for a pipe's writer. A descriptor,
 * or -1 with errno. */
int fs_reopen (int fd);

/* Where what FD is open on lies, an absolute path without links, into PATH. 0 or -1. */
int fs_path_of (int fd, char path[static PATH_MAX], struct error *err);

/* Opens PATH below DIRFD; FLAGS and MODE as open(2). No symbolic link on the way is followed. */
int fs_open_beneath (int dirfd, const char *path, int flags, mode_t mode, struct error *err);

/* Opens the folder that PATH lies in, likewise; *LEAF is PATH's last component. For calls that take
 * a name: of a longer path they follow links on the way. */
int fs_open_parent (int dirfd, const char *path, const char **leaf, struct error *err);

/* Opens the folder PATH (AT_FDCWD allowed, symbolic links followed): for paths our user gave. */
int fs_open_folder (int dirfd, const char *path, struct error *err);

/* Makes folder PATH below DIRFD with the parents it needs; what exists already is fine as long as
 * it is a folder and not a link. "" and "." are DIRFD itself. */
int fs_make_folders (int dirfd, const char *path, mode_t mode, struct error *err);

/* As fs_make_folders for a path our user gave (AT_FDCWD, absolute, links followed). */
int fs_make_path (const char *path, mode_t mode, struct error *err);

/* Removes PATH and all below it; links are removed, not followed; nothing there is success.
 * Folders without write permission are made writable first. */
int fs_remove_tree (int dirfd, const char *path, struct error *err);

/* Writes all N bytes; NAME is for the error. */
int fs_write_all (int fd, const void *bytes, size_t n, const char *name, struct error *err);

/* Appends to BUFFER the N bytes of FD from OFFSET on, all of them; WHAT is for the error. */
int fs_read_at (int fd, struct buffer *buffer, size_t n, int64_t offset, const char *what,
                struct error *err);

/* Replaces file PATH as a whole: temporary name beside it, write, fsync, rename. */
int fs_write_file (int dirfd, const char *path, struct bytes content, struct error *err);

/* Reads the whole of PATH, at most LIMIT bytes (more is an error), into BUFFER. */
int fs_read_file (int dirfd, const char *path, size_t limit, struct buffer *buffer,
                  struct error *err);

/* Copies SOURCE, which stands at its start, to the empty file TARGET: by reflink, else in the
 * kernel, else by hand; holes stay holes. HALT (may be NULL) ends it. Returns the bytes copied or
 * -1. */
int64_t fs_copy (int source, int target, const struct halt *halt, struct error *err);

/* Writes what is left of SOURCE at TARGET's position. Returns the bytes copied or -1. */
int64_t fs_append (int source, int target, struct error *err);

/* Links or, over a file system's border, copies file OLD to NEW; NEW must not exist (EEXIST comes
 * back in err->code). A copy has the mode without set-id bits, and the times. Symbolic links are
 * copied as links; what is no file and can't be linked is ERROR_USER. */
int fs_link_or_copy (int old_dirfd, const char *old_path, int new_dirfd, const char *new_path,
                     struct error *err);

/* Writes a folder's names to disk. */
int fs_sync_folder (int dirfd, struct error *err);

/* A file's time of its last change, in ns; never -1. What a container says may be beyond all that
 * 64 bits hold: the nearest that they do. */
int64_t fs_mtime_ns (const struct stat *status);

/* Whether PATH exists (links not followed). */
bool fs_exists (int dirfd, const char *path);

#endif
