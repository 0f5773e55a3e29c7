/* sys.h — the system calls that can fail at a bad moment, through one table.
 *
 * All writing code goes through these, so that a test can make the Nth call of a kind fail and
 * then the N+1st, until a run passes. Outside of tests they are the plain calls. The table is the
 * one piece of process-wide state in shoal; it is set before threads start.
 */
#ifndef SHOAL_COMMON_SYS_H
#define SHOAL_COMMON_SYS_H

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum sys_call
{
  SYS_WRITE,
  SYS_FSYNC,
  SYS_RENAME,
  SYS_LINK,
  SYS_MKDIR,
  SYS_SPAWN,
  SYS_CALLS, /* how many */
};

ssize_t sys_write (int fd, const void *bytes, size_t n);
ssize_t sys_pwrite (int fd, const void *bytes, size_t n, off_t offset);    /* counts as SYS_WRITE */
ssize_t sys_splice (int source, int target, size_t n, unsigned int flags); /* counts as SYS_WRITE */
int sys_fsync (int fd);
int sys_rename (int old_dirfd, const char *old_path, int new_dirfd, const char *new_path,
                unsigned int flags); /* renameat2 */
int sys_link (int old_dirfd, const char *old_path, int new_dirfd, const char *new_path, int flags);
int sys_mkdir (int dirfd, const char *path, mode_t mode);

/* 0, or -1 with errno: asked before a child is made (posix_spawn, clone). */
int sys_before_spawn (void);

/* Lets the NTH call (from 1) of CALL fail with errno CODE, once. 0 switches the fault off. */
void sys_fail (enum sys_call call, unsigned int nth, int code);

/* Whether the fault of CALL is still to come. */
bool sys_fail_is_armed (enum sys_call call);

/* Reads SHOAL_FAULT, "CALL:NTH[:ERRNO]" (e.g. "rename:2:28"), for tests of whole programs.
 * Says so in the log, loudly. A value that doesn't parse is an error. */
int sys_fail_from_environment (struct error *err);

#endif
