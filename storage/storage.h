/* storage.h — where a volume's files come from.
 *
 * A storage is one volume's source. It lists what is there, in an order that is the same for the
 * same tree in every storage, and gives single files. Paths are relative to the source's root,
 * "/"-separated, any bytes but NUL.
 *
 * Order: bytewise by the whole path, a folder's name compared as if it ended in "/" (git's order of
 * trees). A folder comes before what is in it.
 *
 * One storage may be used by several threads at once for storage_open_file and storage_fetch; a
 * listing belongs to one thread.
 *
 * Where a storage's servers are and who we are to them is read from the environment when it is
 * opened (README.md has the table).
 */
#ifndef SHOAL_STORAGE_STORAGE_H
#define SHOAL_STORAGE_STORAGE_H

#include "common/auto.h"
#include "common/buffer.h"
#include "common/error.h"
#include "common/halt.h"
#include "schemas/messages.h"
#include "storage/listing.h"

#include <stdbool.h>
#include <stdint.h>

struct storage;

/* SOURCE: a folder's path ("./photos", "/data", "file:///data"), or a file's. A scheme nobody
 * serves, and a source that isn't there or can't be read, is ERROR_USER. NULL with ERR. */
struct storage *storage_open (const char *source, struct error *err);

/* The same for a job that names CREDENTIALS, which the operator holds (s3/credentials.h): it is
 * reached with these and no others. NULL: as whoever opens it. Kinds that know no credentials don't
 * mind. ERROR_TRANSIENT where they aren't here: they may be elsewhere. */
struct storage *storage_open_as (const char *source, const char *credentials, struct error *err);
void storage_close (struct storage *storage);

/* HALT (outlives STORAGE; NULL: none) is asked at least once a second while storage_list and
 * storage_get wait for a server. Batches have their own. */
void storage_set_halt (struct storage *storage, const struct halt *halt);

/* How far links that are followed may lead: CHECK is asked of the real path of each file and folder
 * that was opened through one, and says 0, or -1 with ERR. Zeroed: anywhere. */
struct storage_boundary
{
  void *context;
  int (*check) (void *context, const char *path, struct error *err);
};

/* BOUNDARY's context outlives STORAGE. */
void storage_set_boundary (struct storage *storage, struct storage_boundary boundary);

/* Whether SOURCE isn't a folder of this machine: a URL, or a CID where no folder has that name. */
bool storage_is_elsewhere (const char *source);

/* SOURCE as people may see it: without user information and signatures. The caller frees. */
char *storage_shown (const char *source);

static inline void
auto_storage_ (struct storage **storage)
{
  storage_close (*storage);
}
#define auto_storage AUTO (auto_storage_)

/* How a storage is reached, for those who count by it. */
enum storage_kind
{
  STORAGE_LOCAL,
  STORAGE_S3,
  STORAGE_HTTP,
  STORAGE_IPFS,
  STORAGE_KINDS, /* how many */
};

enum storage_kind storage_kind (const struct storage *storage);
const char *storage_kind_name (enum storage_kind kind); /* its scheme */

/* A file that is wanted here, or one of this machine that is to go there. */
struct storage_item
{
  const char *path;
  const char *version; /* as listed; NULL: whatever is there */
  const char *source;  /* as listed; NULL */
  int64_t size;        /* bytes as listed; -1: not known */
  const char *sha256;  /* what a fetched file's must be, in hex; NULL: not known */
  bool keeps_time;     /* a fetched file is as old as what was sent, where the storage knows that */
};

struct storage_totals
{
  int64_t files;
  int64_t bytes;  /* over the network, what was tried again included */
  int64_t cached; /* files that weren't fetched because they were here already */
  int64_t requests;
  int64_t retries; /* of those, the ones beyond the first for the same thing */
};

/* Many files at once, asked for one after the other so that no list of them is ever in memory. */
struct storage_batch
{
  void *context;
  /* The next item, whose strings live until the next call: 1, 0 behind the last, or -1 with ERR. */
  int (*next) (void *context, struct storage_item *item, struct error *err);
  bool (*stopped) (void *context); /* asked at least once a second: true: give up; NULL */
  int folder_fd;                   /* files are made, or read, beneath it at the items' paths */
  struct storage_totals *totals;   /* grows meanwhile, may be read by other threads (atomically) */
};

/* Brings the batch's files here: regular files, mode 0644, folders made on the way, none of them
 * links. When it fails, for whatever file, what was made stays; no file is there under its name
 * with other bytes than its version's. ERROR_USER names a file that is gone, or isn't what was
 * listed any more. Belongs to the calling thread; several may fetch at once. */
int storage_fetch (struct storage *storage, const struct storage_batch *batch, struct error *err);

/* Files of more bytes may be sent in parts: whoever is killed meanwhile leaves an unfinished
 * upload. */
#define STORAGE_WHOLE_MAX ((int64_t) 32 << 20)

/* Takes the batch's files there: whole objects, over older ones of their names. When it returns 0
 * all are acknowledged; else some may be there, and no unfinished upload is that we know of: where
 * an answer was lost, storage_end_uploads finds it. Storages that can't be written: ERROR_USER. */
int storage_send (struct storage *storage, const struct storage_batch *batch, struct error *err);

/* A small object, over what is there; with ABSENT only where nothing is: 1 when there was something
 * already. */
int storage_put (struct storage *storage, const char *path, struct bytes content, bool absent,
                 struct error *err);

/* All of an object of at most LIMIT bytes, or from OFFSET on LENGTH bytes of it (-1: to its end),
 * appended to BUFFER: 1, 0 when there is none, or -1. */
int storage_get (struct storage *storage, const char *path, int64_t offset, int64_t length,
                 size_t limit, struct buffer *buffer, struct error *err);

/* Removes the object PATH and all beneath the folder PATH ("" all), unfinished uploads as well.
 * Nothing there is fine. */
int storage_remove (struct storage *storage, const char *path, struct error *err);

/* Ends all unfinished uploads of exactly PATH, anybody's: one that goes on fails with
 * ERROR_TRANSIENT. The object stays as it is. */
int storage_end_uploads (struct storage *storage, const char *path, struct error *err);

/* Whether storage_send, storage_put, storage_remove and storage_end_uploads work. */
bool storage_is_writable (const struct storage *storage);

/* Descriptor for reading the file PATH; links are treated as SYMLINKS says, again and race-free.
 * Remote storages: ERROR_USER. */
int storage_open_file (struct storage *storage, const char *path, enum symlinks symlinks,
                       struct error *err);

/* The same of the folder PATH ("" the root), as an O_PATH descriptor. Remote storages:
 * ERROR_USER. */
int storage_open_folder (struct storage *storage, const char *path, enum symlinks symlinks,
                         struct error *err);

/* What the symbolic link NAME of the folder open at DIRFD leads to, as an O_PATH descriptor; PATH
 * is for the error. ERROR_USER: it leads nowhere, or SYMLINKS doesn't allow where, be it to a file
 * or a folder. */
int storage_open_link (struct storage *storage, int dirfd, const char *name, const char *path,
                       enum symlinks symlinks, struct error *err);

/* The folder's absolute path where the files can be linked or bound from this machine's file
 * system, else NULL. Owned by the storage. */
const char *storage_local_path (const struct storage *storage);

/* Whether it is one file of this machine, whose path is the local one: it has no listing and
 * nothing in it to be opened. */
bool storage_is_file (const struct storage *storage);

#endif
