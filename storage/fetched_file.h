/* fetched_file.h — a file that is coming in: under a name of its own until all of it is there and
 * right. */
#ifndef SHOAL_STORAGE_FETCHED_FILE_H
#define SHOAL_STORAGE_FETCHED_FILE_H

#include "common/auto.h"
#include "storage/fetcher.h"
#include "storage/part_order.h"
#include "storage/summing.h"

#include <sys/queue.h>
#include <time.h>

/* The pieces that a file was once uploaded in, when its sum is one of theirs. */
struct pieces
{
  int64_t *lengths; /* that the server has told; NULL: nobody has asked */
  int asked;        /* so many from the first on … */
  int told;         /* … of which so many are told … */
  int open;         /* … and so many not answered */
  int64_t *ends;    /* NULL: not known yet */
  bool assumed;     /* ENDS are what they are if all pieces but the last are as long as the first */
};

struct fetched_file
{
  TAILQ_ENTRY (fetched_file) links; /* of its owner's */
  struct storage_item item;         /* own copies of its strings */
  int folder_fd;                    /* not ours */
  int fd;
  char name[64]; /* in the folder, "" when it has its real one */
  int references;
  int parts;   /* asked for and not there */
  int64_t cut; /* bytes that parts were asked for so far, in this … */
  struct part_order order;
  bool cutting;            /* its fetcher will ask for more of it */
  bool parted;             /* the server has given a part: more may be asked for */
  bool answered;           /* an answer with its bytes has begun, which said: */
  char *etag;              /* NULL: nothing */
  char *modified;          /* NULL: nothing */
  struct timespec time;    /* of the file that was sent; tv_nsec UTIME_OMIT: not known */
  struct fetch_sum sum;    /* of all of it */
  struct summing *summing; /* of a large file, while it comes; NULL: not yet, or there is no sum */
  struct extents there;    /* what has come of a file that has a sum */
  struct pieces pieces;    /* those that its sum is of */
  int wrong;               /* so often in a row its sum wasn't right */
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

/* Notes what the first answer says that it is of, and holds later ones against that: parts of two
 * versions never become one file. */
int fetched_file_same (struct fetched_file *file, const struct http_call *call, struct error *err);

/* Whether a later answer that is of another version would be noticed. */
bool fetched_file_is_pinned (const struct fetched_file *file);

int fetched_file_write (struct fetched_file *file, const void *data, size_t size, int64_t offset,
                        struct error *err);

/* Forgets all bytes, and what they were of. */
int fetched_file_empty (struct fetched_file *file, struct error *err);

/* The same, to be asked for from its beginning. */
int fetched_file_again (struct fetched_file *file, struct error *err);

/* The bytes of CAME were written: they are summed while others come. BYTES and what it returns as
 * with summing_came. */
char *fetched_file_came (struct fetched_file *file, struct extent came, char *bytes);

/* Bytes of GONE may come once more, and be others. */
void fetched_file_forget (struct fetched_file *file, struct extent gone);

/* Its sum is of pieces with ENDS (taken): what is there already is summed anew. */
void fetched_file_set_pieces (struct fetched_file *file, int64_t *ends, bool assumed);

/* How long its pieces are, as it seems, but for the last one; 0: not known. */
static inline int64_t
fetched_file_piece (const struct fetched_file *file)
{
  const struct pieces *pieces = &file->pieces;
  return pieces->ends == NULL || pieces->lengths == NULL ? 0 : pieces->lengths[0];
}

/* Its sum can't be found out. */
void fetched_file_drop_sum (struct fetched_file *file);

/* All of it is there; fetched_file_finish is next. */
void fetched_file_end (struct fetched_file *file);

/* After that: whether fetched_file_finish would wait for the sum. */
bool fetched_file_is_summing (const struct fetched_file *file);

/* Holds length and sum against what they must be and gives the file its name, folders made on the
 * way. 1: its sum isn't right if its pieces are as assumed. A sum that isn't is counted in `wrong`:
 * ERROR_TRANSIENT, the last time ERROR_USER. */
int fetched_file_finish (struct fetched_file *file, struct error *err);

/* It has SIZE bytes, and was listed with others: ERROR_USER, or of a pinned version
 * ERROR_TRANSIENT. -1. */
int fetched_file_changed (const struct fetched_file *file, int64_t size, struct error *err);

/* Whether NAME is one that a file has while it comes in. */
bool fetched_file_is_ours (const char *name);

/* Removes from the folder what fetches that were killed have left there. */
void fetched_file_sweep (int folder_fd);

/* Gives the file NAME of the folder the path PATH beneath it, folders made on the way. */
int fetched_file_name (int folder_fd, const char *name, const char *path, struct error *err);

#endif
