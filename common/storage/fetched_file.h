/* fetched_file.h — a file that is coming in: under a name of its own until all of it is there and right. */
#ifndef SHOAL_COMMON_STORAGE_FETCHED_FILE_H
#define SHOAL_COMMON_STORAGE_FETCHED_FILE_H

#include "common/auto.h"
#include "common/storage/fetcher.h"

struct fetched_file
{
  struct storage_item item; /* own copies of its strings */
  int folder_fd;            /* not ours */
  int fd;
  char name[64]; /* in the folder, "" when it has its real one */
  int references;
  int parts;            /* asked for and not there */
  int64_t cut;          /* bytes that parts were asked for so far */
  struct fetch_sum sum; /* of all of it */
};

/* An empty file for ITEM in the folder; NULL with ERR. */
struct fetched_file *fetched_file_new (int folder_fd, const struct storage_item *item,
                                       struct error *err);
struct fetched_file *fetched_file_ref (struct fetched_file *file);

/* The last one closes it, and removes what didn't become whole. NULL is fine. */
void fetched_file_unref (struct fetched_file *file);

static inline void
auto_fetched_file_ (struct fetched_file **file)
{
  fetched_file_unref (*file);
}
#define auto_fetched_file AUTO (auto_fetched_file_)

int fetched_file_write (struct fetched_file *file, const void *data, size_t size, int64_t offset,
                        struct error *err);

/* Holds length and sum against what they must be and gives the file its name, folders made on the way. */
int fetched_file_finish (struct fetched_file *file, struct error *err);

/* ERROR_USER: it has SIZE bytes, and was listed with others. */
int fetched_file_changed (const struct fetched_file *file, int64_t size, struct error *err);

/* Gives the file NAME of the folder the path PATH beneath it, folders made on the way. */
int fetched_file_name (int folder_fd, const char *name, const char *path, struct error *err);

#endif
