/* left_out.h — links to folders that matter and weren't entered, and those of folders' pages that
 * led elsewhere: how many, and the first few. */
#ifndef SHOAL_STORAGE_LEFT_OUT_H
#define SHOAL_STORAGE_LEFT_OUT_H

#include "common/strlist.h"
#include "storage/listing.h"
#include "storage/storage.h"

#include <stdint.h>

/* Zeroed memory: none. */
struct left_out
{
  int64_t links; /* to folders, which aren't followed */
  int64_t loops; /* to folders that they lie in */
  struct strlist first;
  int64_t pins; /* that files should have */
  struct strlist first_unpinned;
  int64_t elsewhere; /* of pages, as the server has them */
  struct strlist first_elsewhere;
};

/* PATH as people know it, or a page's link. */
void left_out_add (struct left_out *left, const char *path, enum storage_left_out why);

/* One line: "2 links to folders: /in/a, /in/b (--symlinks follow enters them)"; behind a
 * "; " those of pages. NULL: none. The caller frees. */
char *left_out_text (const struct left_out *left);

void left_out_release (struct left_out *left);
#define auto_left_out AUTO (left_out_release)

#endif
