/* cgroup_folder.h — the folder that a control group is: made under a lock that its slot holds as
 * long as it lives, and anybody's to remove when nobody holds it.
 *
 * A group that was just made has no processes and looks like a dead slot's; the lock tells them
 * apart, in all namespaces and containers that see the same groups. Functions return 0, or -1 with
 * errno.
 */
#ifndef SHOAL_WORKER_CGROUP_FOLDER_H
#define SHOAL_WORKER_CGROUP_FOLDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CGROUP_SLOT_PREFIX "slot-"

struct cgroup_folder
{
  int fd;     /* locked; -1: there is none */
  char *path; /* for messages, and to remove it by */
};

#define CGROUP_FOLDER_INIT                                                                         \
  {                                                                                                \
    .fd = -1                                                                                       \
  }

/* Makes the group NAME, new, in the folder PARENT (which is made where it isn't there). */
int cgroup_folder_make (struct cgroup_folder *folder, const char *parent, const char *name);

/* Removes the folder, which nothing runs in any more, and lets go of it. Nothing to do where there
 * is none. */
void cgroup_folder_remove (struct cgroup_folder *folder);

/* Removes the slots' groups in PARENT that nobody holds. How many it couldn't, because something in
 * them is still about to end. */
int cgroup_folder_sweep (const char *parent);

/* The files in a group. Text that is read is at most SIZE - 1 bytes; false when there is none. */
int cgroup_write (int folder, const char *name, const char *text);
int cgroup_write_number (int folder, const char *name, int64_t number);
bool cgroup_read_text (int folder, const char *name, char *text, size_t size);

#endif
