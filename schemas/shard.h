/* shard.h — one container's share of a job, and the atoms that it is made of. */
#ifndef SHOAL_SCHEMAS_SHARD_H
#define SHOAL_SCHEMAS_SHARD_H

#include "common/auto.h"
#include "common/buffer.h"
#include "common/digest.h"
#include "common/strlist.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One file or folder. Where it points into an atom list the list owns the strings. */
struct atom
{
  uint32_t volume; /* index into job.volumes */
  bool folder;
  int64_t size;     /* bytes of a file where known, else -1 */
  const char *path; /* relative to the volume's root, NUL-ended, any bytes; "" is the root itself */
  size_t path_size;
  const char *source;  /* NULL: path below the volume's source; else an absolute path or URL */
  const char *version; /* what the file was when it was listed; NULL: its storage doesn't say */
};

enum shard_kind
{
  SHARD_MAP,
  /* the job's reduce container: its atoms are the shards' output folders, under /shards */
  SHARD_REDUCE,
};

/* The atoms are Avro `Atom` records back to back: in `atoms`, or in a range of the plan file. */
struct shard
{
  char *job_id;
  enum shard_kind kind;
  uint32_t generation; /* 1; goes up with each replay */
  uint32_t index;
  int64_t count;      /* shards of the job, -1 when not known at publishing */
  uint32_t attempt;   /* 1, 2 … within the generation */
  uint32_t failures;  /* attempts of this generation that used up a retry */
  uint32_t infra;     /* … and those that the machine failed */
  int64_t not_before; /* UTC ms; 0: at once */
  int64_t atom_count;
  int64_t bytes;               /* of its files where known, else -1 */
  uint8_t digest[DIGEST_SIZE]; /* SHA-256 of the atom list as encoded */
  struct buffer atoms;         /* the list, or empty when plan_length >= 0 */
  int64_t plan_offset;         /* range of the job's plan file; -1: the list is inline */
  int64_t plan_length;
  int64_t memory; /* bytes a container, after one ran out of them; -1: the job's */
  /* What volumes of one file were when the job was planned, by volume; "" and beyond its end: not
   * pinned. */
  struct strlist volume_pins;
};

/* What SHARD pins VOLUME to; NULL: nothing. */
const char *shard_volume_pin (const struct shard *shard, size_t volume);

void shard_release (struct shard *shard);
void shard_copy (struct shard *to, const struct shard *from);
#define auto_shard AUTO (shard_release)

#endif
