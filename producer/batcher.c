#include "producer/batcher.h"

#include "common/digest.h"
#include "common/fs.h"
#include "common/memory.h"
#include "schemas/codec.h"
#include "schemas/job_bounds.h"

#include <string.h>
#include <unistd.h>

enum
{
  SPILL_CHUNK = 256 << 10, /* bytes gathered before they are written to the plan file */
};

struct batcher
{
  const struct job *job;
  const struct slicer_sink *sink;
  const struct first_pass *first_pass;
  const struct strlist *pins; /* NULL: none */

  struct shard shard;  /* the open one; its atoms are `chunk`'s */
  struct buffer chunk; /* its atoms, or those not yet spilt */
  bool spilt;          /* its first atoms are in the plan file */
  bool has_files;      /* an atom of it is no folder */
  bool binds;          /* files are mounted one by one: the job says so, all volumes are here */
  bool has_plan;       /* the plan file was written to, and stands here */
  int64_t plan_end;
  struct digest *atoms_digest; /* of the open shard */
  struct digest *all_digest;   /* of all atoms */
  struct digest *plan_digest;  /* of the shards' digests */

  int64_t shards;
  int64_t atoms;
  int64_t bytes;
};

static void
batcher_open_shard (struct batcher *batcher)
{
  batcher->shard = (struct shard){
    .job_id = batcher->job->id,
    .kind = SHARD_MAP,
    .generation = 1,
    .index = (uint32_t) batcher->shards,
    .count = batcher->job->glob == NULL    ? 1
             : batcher->first_pass == NULL ? -1
                                           : batcher->first_pass->shards,
    .attempt = 1,
    .bytes = job_wants_sizes (batcher->job) ? 0 : -1,
    .plan_offset = -1,
    .plan_length = -1,
    .volume_pins = batcher->pins == NULL ? (struct strlist){ 0 } : *batcher->pins,
  };
  batcher->spilt = false;
  batcher->has_files = false;
  buffer_clear (&batcher->chunk);
}

static bool
batcher_binds (const struct job *job)
{
  bool local = job->glob != NULL && job->stage == STAGE_BIND;
  for (size_t i = 0; i < job->volume_count; i++)
    local = local && (job->volumes[i].shared || job->volumes[i].source[0] == '/');
  return local;
}

struct batcher *
batcher_new (const struct job *job, const struct slicer_sink *sink,
             const struct first_pass *first_pass, const struct strlist *pins)
{
  struct batcher *batcher = xcalloc (1, sizeof *batcher);
  *batcher = (struct batcher){
    .job = job,
    .sink = sink,
    .first_pass = first_pass,
    .pins = pins,
    .atoms_digest = digest_new (),
    .all_digest = digest_new (),
    .plan_digest = digest_new (),
    .bytes = job_wants_sizes (job) ? 0 : -1,
    .binds = batcher_binds (job),
  };
  batcher_open_shard (batcher);
  return batcher;
}

void
batcher_free (struct batcher *batcher)
{
  if (batcher == NULL)
    return;
  buffer_release (&batcher->chunk);
  digest_free (batcher->atoms_digest);
  digest_free (batcher->all_digest);
  digest_free (batcher->plan_digest);
  free (batcher);
}

/* Takes what is in the chunk into the digests. All atoms' digest is needed only where there are two
 * passes. */
static void
digest_chunk (struct batcher *batcher)
{
  digest_add (batcher->atoms_digest, batcher->chunk.data, batcher->chunk.size);
  if (batcher->sink == NULL || batcher->first_pass != NULL)
    digest_add (batcher->all_digest, batcher->chunk.data, batcher->chunk.size);
}

/* Moves the chunk to the plan file; a pass that only counts drops it. */
static int
spill (struct batcher *batcher, struct error *err)
{
  digest_chunk (batcher);
  if (batcher->sink != NULL)
    {
      int fd = batcher->sink->plan_fd;
      if (!batcher->has_plan)
        batcher->plan_end = lseek (fd, 0, SEEK_CUR);
      batcher->has_plan = true;
      if (!batcher->spilt)
        {
          batcher->shard.plan_offset = batcher->plan_end;
          batcher->shard.plan_length = 0;
        }
      if (fs_write_all (fd, batcher->chunk.data, batcher->chunk.size, "the plan file", err) != 0)
        return -1;
      batcher->plan_end += (int64_t) batcher->chunk.size;
      batcher->shard.plan_length += (int64_t) batcher->chunk.size;
    }
  batcher->spilt = true;
  buffer_clear (&batcher->chunk);
  return 0;
}

static int
batcher_changed (const struct batcher *batcher, struct error *err)
{
  return error_set (err, ERROR_USER,
                    "the inputs changed while they were listed (%lld files at first): run it again "
                    "when nothing writes to them",
                    (long long) batcher->first_pass->atoms);
}

static int
close_shard (struct batcher *batcher, struct error *err)
{
  if (!batcher->spilt)
    digest_chunk (batcher);
  else if (spill (batcher, err) != 0)
    return -1;
  digest_finish (batcher->atoms_digest, batcher->shard.digest);
  digest_add (batcher->plan_digest, batcher->shard.digest, DIGEST_SIZE);
  if (batcher->shards == UINT32_MAX)
    return error_set (err, ERROR_USER, "more than %u shards: use a larger --batch-size",
                      UINT32_MAX);
  if (batcher->first_pass != NULL && batcher->shards >= batcher->first_pass->shards)
    return batcher_changed (batcher, err);
  bool all = batcher->job->shards > 0 && batcher->first_pass == NULL; /* no shard, but a count */
  if (batcher->binds && !all && batcher->has_files && batcher->shard.atom_count > JOB_BINDS_MAX)
    return error_set (err, ERROR_USER,
                      "--stage bind takes at most %d input files per shard, and shard %u has %lld: "
                      "use --stage auto, or smaller shards",
                      JOB_BINDS_MAX, batcher->shard.index, (long long) batcher->shard.atom_count);
  batcher->shards++;
  int result = 0;
  if (batcher->sink != NULL)
    {
      batcher->shard.atoms = batcher->chunk;
      result = batcher->sink->shard (batcher->sink->context, &batcher->shard, err);
    }
  batcher_open_shard (batcher);
  return result;
}

/* How many atoms the open shard may have. */
static int64_t
atom_limit (const struct batcher *batcher)
{
  if (batcher->job->shards <= 0)
    return batcher->job->batch_size;
  if (batcher->first_pass == NULL)
    return INT64_MAX;
  int64_t least = batcher->first_pass->atoms / batcher->first_pass->shards;
  return least + (batcher->shards < batcher->first_pass->atoms % batcher->first_pass->shards);
}

int
batcher_add (struct batcher *batcher, const struct atom *atom, int64_t bytes, struct error *err)
{
  struct shard *shard = &batcher->shard;
  int64_t bound = batcher->job->batch_bytes;
  bool sized = job_wants_sizes (batcher->job);
  if (sized && bytes < 0)
    bytes = 0; /* a storage that can't tell */
  int result = 0;
  if (bound > 0 && shard->atom_count > 0 && (bytes > bound || shard->bytes > bound - bytes))
    result = close_shard (batcher, err);
  if (result != 0)
    return result;

  atom_append (&batcher->chunk, atom);
  shard->atom_count++;
  batcher->atoms++;
  batcher->has_files = batcher->has_files || !atom->folder;
  if (sized)
    {
      shard->bytes += bytes;
      batcher->bytes += bytes;
    }
  size_t chunk_max = batcher->spilt ? SPILL_CHUNK : SHARD_INLINE_MAX;
  bool may_spill = batcher->sink == NULL || batcher->sink->plan_fd >= 0;
  if (batcher->chunk.size > chunk_max && may_spill)
    result = spill (batcher, err);
  if (result == 0 && shard->atom_count >= atom_limit (batcher))
    result = close_shard (batcher, err);
  return result;
}

int
batcher_finish (struct batcher *batcher, struct plan *plan, struct first_pass *found,
                struct error *err)
{
  if (batcher->shard.atom_count > 0 || batcher->job->glob == NULL)
    {
      int result = close_shard (batcher, err);
      if (result != 0)
        return result;
    }
  struct first_pass mine = { .shards = batcher->shards, .atoms = batcher->atoms };
  digest_finish (batcher->all_digest, mine.digest);
  const struct first_pass *first = batcher->first_pass;
  if (first != NULL
      && (mine.shards != first->shards || mine.atoms != first->atoms
          || memcmp (mine.digest, first->digest, DIGEST_SIZE) != 0))
    return batcher_changed (batcher, err);
  plan->shards = batcher->shards;
  plan->atoms = batcher->atoms;
  plan->bytes = batcher->bytes;
  digest_finish (batcher->plan_digest, plan->digest);
  if (found != NULL)
    *found = mine;
  return 0;
}
