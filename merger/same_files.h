/* same_files.h — which files of two folders are one file under one name, told by reading both
 * folders: a stat of each is what takes the time where there are a million. */
#ifndef SHOAL_MERGER_SAME_FILES_H
#define SHOAL_MERGER_SAME_FILES_H

#include "merger/hashes.h"

#include <dirent.h>

/* { 0 }: of no file it's known. */
struct same_files
{
  struct hashes new; /* names and inodes */
};

/* Reads the folder PATH below NEW_FD, to tell which files of the open folder OLD_FD are there as
 * well. Where that can't be told this way, or can't be read, none is. */
void same_files_read (struct same_files *same, int old_fd, int new_fd, const char *path);

/* Whether ENTRY of the old folder is the same file, or symbolic link, in the new one; false: look.
 */
bool same_files_has (const struct same_files *same, const struct dirent *entry);

void same_files_release (struct same_files *same);
#define auto_same_files AUTO (same_files_release)

#endif
