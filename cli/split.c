#include "cli/split.h"

#include "bus/replan.h"
#include "cli/again.h"
#include "cli/changes.h"
#include "cli/failed_inputs.h"
#include "cli/job_options.h"
#include "cli/linked_attempt.h"
#include "cli/summary.h"
#include "common/clock.h"
#include "common/fs.h"
#include "common/memory.h"
#include "common/sys.h"
#include "common/text.h"
#include "producer/slicer.h"
#include "result/result.h"
#include "result/result_store.h"
#include "schemas/codec.h"
#include "schemas/job_check.h"
#include "worker/atoms.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* ---- options ---------------------------------------------------------------------------- */

static int
split_set (void *context, const char *value, struct error *err)
{
  struct split_args *args = context;
  if (value != NULL && strcmp (value, "halves") != 0 && strcmp (value, "each") != 0)
    return error_set (err, ERROR_USER, "\"%s\": expected halves or each", value);
  args->how = value != NULL && strcmp (value, "each") == 0 ? SPLIT_EACH : SPLIT_HALVES;
  return 0;
}

static int
split_set_quarantine (void *context, const char *value, struct error *err)
{
  (void) value;
  (void) err;
  ((struct split_args *) context)->quarantine = true;
  return 0;
}

const struct option_spec split_options[] = {
  { 0, "split", NULL, "[=HOW]", "cut failed shards into halves, or with =each into single inputs",
    GROUP_OTHER, false, split_set },
  { 0, "quarantine", NULL, NULL, "leave out inputs that failed alone, and list them", GROUP_OTHER,
    false, split_set_quarantine },
  { 0 },
};

/* ---- the old plan ----------------------------------------------------------------------- */

enum fate
{
  FATE_KEPT, /* as it ended */
  FATE_RUN,  /* again, as it is */
  FATE_CUT,
  FATE_LEFT_OUT,
};

/* A shard of the old plan. */
struct former
{
  enum fate fate;
  struct attempt_report report; /* of the attempt that counts */
  char *writer;
  int64_t time;
};

struct split
{
  struct session *session;
  const struct split_args *args;
  const struct fold *fold;
  struct former *formers;
  int64_t count;
  struct job job;      /* with what is left out */
  uint32_t generation; /* of the new plan */
  int plan_fd;
  bool spilt;
  bool runs; /* a shard of the new plan */

  uint32_t shards; /* of the new plan so far */
  int64_t atoms;
  int64_t bytes; /* -1: not known */
  struct digest *digest;
};

static void
split_release (struct split *split)
{
  for (int64_t i = 0; i < split->count; i++)
    {
      attempt_report_release (&split->formers[i].report);
      free (split->formers[i].writer);
    }
  free (split->formers);
  job_release (&split->job);
  digest_free (split->digest);
  auto_fd_ (&split->plan_fd);
}

/* Keeps what EVENT tells of an attempt that counts. */
static void
split_add_event (void *context, const struct event *event)
{
  struct split *split = context;
  if (event->kind != EVENT_FINISHED || event->shard_kind != SHARD_MAP
      || event->index >= split->count)
    return;
  const struct shard_record *record = fold_shard (split->fold, event->index);
  struct former *former = &split->formers[event->index];
  uint64_t key = (uint64_t) event->attempt << 32 | event->starts;
  if (event->generation != record->generation || key != record->ended_key || former->time != 0)
    return;
  former->report = event->report;
  former->report.folder = fold_folder_name (split->fold, event->index);
  former->report.reason = xstrdup (event->report.reason);
  former->writer = xstrdup (event->writer);
  former->time = event->time;
}

/* What is to become of the chosen shard INDEX. */
static int
decide_fate (struct split *split, uint32_t index, struct error *err)
{
  auto_shard struct shard shard = { 0 };
  const struct shard_record *record = fold_shard (split->fold, index);
  struct former *former = &split->formers[index];
  former->fate = FATE_RUN;
  if (record->state != SHARD_SUCCEEDED && !failed_inputs_blamed (record, &former->report))
    return 0;
  if (failed_inputs_shard (split->session, index, &shard, err) != 0)
    return -1;
  if (shard.atom_count > 1 && split->args->how == SPLIT_NOT)
    return error_set (
        err, ERROR_USER,
        "shard %u has %lld inputs, and which of them is bad isn't known: find it with "
        "--split, or with --split=each --quarantine in one go",
        index, (long long) shard.atom_count);
  if (shard.atom_count > 1)
    former->fate = FATE_CUT;
  else if (split->args->quarantine && record->state == SHARD_FAILED)
    former->fate = FATE_LEFT_OUT;
  return 0;
}

/* Inputs are left out once no shard is left to be cut: until then those that failed alone wait. */
static void
split_wait_for_cuts (struct split *split)
{
  bool cuts = false;
  for (int64_t i = 0; i < split->count; i++)
    cuts = cuts || split->formers[i].fate == FATE_CUT;
  for (int64_t i = 0; cuts && i < split->count; i++)
    if (split->formers[i].fate == FATE_LEFT_OUT)
      split->formers[i].fate = FATE_KEPT;
}

static int
split_decide (struct split *split, const struct reopen_choice *choice, struct error *err)
{
  struct reopen_selection selection = { 0 };
  int result = reopen_choose (choice, split->fold, &selection, err);
  for (size_t i = 0; result == 0 && i < selection.count; i++)
    result = decide_fate (split, selection.indexes[i], err);
  free (selection.indexes);
  split_wait_for_cuts (split);
  return result;
}

/* ---- the new one ------------------------------------------------------------------------ */

/* Publishes SHARD, whose atoms and digest are set, as the next of the new plan. */
static int
split_publish (struct split *split, struct shard *shard, struct error *err)
{
  shard->generation = split->generation;
  shard->index = split->shards++;
  shard->count = -1;
  shard->attempt = 1;
  shard->failures = 0;
  shard->infra = 0;
  shard->not_before = 0;
  shard->memory = -1;
  split->atoms += shard->atom_count;
  split->bytes = split->bytes < 0 || shard->bytes < 0 ? -1 : split->bytes + shard->bytes;
  digest_add (split->digest, shard->digest, DIGEST_SIZE);
  return bus_publish_shard (split->session->bus, shard, err);
}

/* A list too long for a message goes to the end of the plan file: what is in it stays. */
static int
split_spill (struct split *split, struct shard *shard, struct error *err)
{
  if (split->plan_fd < 0)
    split->plan_fd =
        fs_open_beneath (split->session->folder_fd, RESULT_PLAN, O_RDWR | O_CREAT, 0644, err);
  off_t end = split->plan_fd < 0 ? -1 : lseek (split->plan_fd, 0, SEEK_END);
  if (end < 0)
    return error_is_set (err) ? -1 : error_errno (err, errno, "the plan file");
  shard->plan_offset = end;
  shard->plan_length = (int64_t) shard->atoms.size;
  if (fs_write_all (split->plan_fd, shard->atoms.data, shard->atoms.size, "the plan file", err)
      != 0)
    return -1;
  buffer_clear (&shard->atoms);
  split->spilt = true;
  return 0;
}

/* Publishes PIECE, a part of a shard, and empties it. */
static int
publish_piece (struct split *split, struct shard *piece, struct error *err)
{
  auto_digest struct digest *digest = digest_new ();
  digest_add (digest, piece->atoms.data, piece->atoms.size);
  digest_finish (digest, piece->digest);
  piece->plan_offset = piece->plan_length = -1;
  if (piece->atoms.size > SHARD_INLINE_MAX && split_spill (split, piece, err) != 0)
    return -1;
  int result = split_publish (split, piece, err);
  buffer_clear (&piece->atoms);
  piece->atom_count = 0;
  piece->bytes = 0;
  return result;
}

static int
cut_shard (struct split *split, const struct shard *shard, struct error *err)
{
  auto_buffer struct buffer store = { 0 };
  auto_shard struct shard piece = { .job_id = xstrdup (shard->job_id) };
  strlist_extend (&piece.volume_pins, &shard->volume_pins);
  struct bytes list = { 0 };
  const struct session *session = split->session;
  if (atoms_load (shard, &session->job, session->folder_fd, NULL, &store, &list, err) != 0)
    return -1;
  int64_t most = split->args->how == SPLIT_EACH ? 1 : (shard->atom_count + 1) / 2;
  auto_atom_cursor struct atom_cursor cursor = atom_cursor_start (list);
  for (;;)
    {
      struct atom atom = { 0 };
      int got = atom_cursor_next (&cursor, &atom, err);
      if (got <= 0)
        return got < 0 ? -1 : piece.atom_count == 0 ? 0 : publish_piece (split, &piece, err);
      atom_append (&piece.atoms, &atom);
      piece.atom_count++;
      piece.bytes = piece.bytes < 0 || atom.size < 0 ? -1 : piece.bytes + atom.size;
      if (piece.atom_count == most && publish_piece (split, &piece, err) != 0)
        return -1;
    }
}

/* A shard that keeps what it made: its attempt under the new number's name. No worker makes one
 * that was started zero times. */
static int
keep_shard (struct split *split, struct shard *shard, const struct former *former,
            struct error *err)
{
  int folder_fd = split->session->folder_fd;
  if (split_publish (split, shard, err) != 0)
    return -1;
  auto_free char *folder = result_attempt_name (shard->index, shard->generation, 1, 0);
  struct event event = { .kind = EVENT_FINISHED,
                         .job_id = shard->job_id,
                         .time = former->time,
                         .writer = former->writer,
                         .generation = shard->generation,
                         .index = shard->index,
                         .attempt = 1,
                         .starts = 0,
                         .atoms = shard->atom_count,
                         .bytes = shard->bytes,
                         .report = former->report };
  memcpy (event.digest, shard->digest, DIGEST_SIZE);
  event.report.final = event.report.final || event.report.outcome != OUTCOME_SUCCEEDED;
  event.report.folder = former->report.folder == NULL ? NULL : folder;
  if (event.report.folder != NULL
      && linked_attempt_make (folder_fd, former->report.folder, folder_fd, folder, err) != 0)
    return -1;
  return bus_publish_event (split->session->bus, &event, err);
}

static int
split_fill_shard (struct split *split, uint32_t index, struct error *err)
{
  auto_shard struct shard shard = { 0 };
  const struct former *former = &split->formers[index];
  if (former->fate == FATE_LEFT_OUT)
    return 0;
  if (failed_inputs_shard (split->session, index, &shard, err) != 0)
    return -1;
  split->runs = split->runs || former->fate != FATE_KEPT;
  if (former->fate == FATE_CUT)
    return cut_shard (split, &shard, err);
  return former->fate == FATE_KEPT ? keep_shard (split, &shard, former, err)
                                   : split_publish (split, &shard, err);
}

static int
split_fill (void *context, struct error *err)
{
  struct split *split = context;
  for (int64_t i = 0; i < split->count; i++)
    if (split_fill_shard (split, (uint32_t) i, err) != 0)
      return -1;
  if (split->shards == 0)
    return error_set (err, ERROR_USER, "every input failed: there is nothing to leave them out of");
  if (split->spilt && sys_fsync (split->plan_fd) != 0)
    return error_errno (err, errno, "the plan file");
  auto_free char *writer = xstrdup (bus_writer (split->session->bus));
  auto_free char *left_out = xstrdup (fold_left_out (split->fold));
  struct event event = { .kind = EVENT_PLANNED,
                         .job_id = split->job.id,
                         .time = clock_wall_ms (),
                         .writer = writer,
                         .generation = 1,
                         .attempt = 1,
                         .shards = split->shards,
                         .atoms = split->atoms,
                         .bytes = split->bytes,
                         .volume_pins = fold_plan (split->fold)->volume_pins,
                         .reason = left_out };
  digest_finish (split->digest, event.digest);
  return bus_publish_event (split->session->bus, &event, err);
}

static int
split_add_quarantined (struct split *split, struct error *err)
{
  const char *field = NULL;
  for (int64_t i = 0; i < split->count; i++)
    {
      auto_shard struct shard shard = { 0 };
      if (split->formers[i].fate != FATE_LEFT_OUT)
        continue;
      if (failed_inputs_shard (split->session, (uint32_t) i, &shard, err) != 0)
        return -1;
      char *path = failed_inputs_only (split->session, &shard, err);
      if (path == NULL)
        return -1;
      strlist_take (&split->job.quarantined, path);
    }
  return job_check (&split->job, &field, err) == 0 ? 0 : error_wrap (err, "%s", field);
}

/* ---- all of it -------------------------------------------------------------------------- */

static int
split_check (const struct session *session, const struct split_args *args, struct error *err)
{
  const char *option = args->how != SPLIT_NOT ? "--split" : "--quarantine";
  if (session->fleet)
    return error_set (err, ERROR_USER,
                      "%s: a job on a fleet keeps its plan: submit it again with another "
                      "--batch-size, --id and --results",
                      option);
  if (result_is_remote (session->location))
    return error_set (err, ERROR_USER, "%s is for results in a folder", option);
  if (session->job.glob == NULL)
    return error_set (err, ERROR_USER,
                      "%s: the job is one shard that sees everything: run it with --glob", option);
  if (again_knows_index (&session->job))
    return error_set (err, ERROR_USER,
                      "%s numbers the shards anew, and the command knows their numbers "
                      "(SHOAL_SHARD_INDEX, SHOAL_SHARD_COUNT): run it with another --batch-size "
                      "and --again",
                      option);
  return reopen_check_ended (session, err);
}

static bool
split_changes_plan (const struct split *split)
{
  for (int64_t i = 0; i < split->count; i++)
    if (split->formers[i].fate == FATE_CUT || split->formers[i].fate == FATE_LEFT_OUT)
      return true;
  return false;
}

/* Whether shards run again that ran before, whole or in pieces. */
static bool
split_runs (const struct split *split)
{
  for (int64_t i = 0; i < split->count; i++)
    if (split->formers[i].fate == FATE_CUT || split->formers[i].fate == FATE_RUN)
      return true;
  return false;
}

static int
split_make (struct split *split, const struct reopen_choice *choice, struct error *err)
{
  if (session_each_event (split->session, split_add_event, split, err) != 0
      || split_decide (split, choice, err) != 0)
    return -1;
  if (!split_changes_plan (split))
    return SPLIT_NONE;
  if (split_runs (split) && changes_check_pins (split->session, err) != 0)
    return -1;
  job_release (&split->job);
  job_copy (&split->job, &split->session->job);
  if (split_add_quarantined (split, err) != 0
      || bus_replan (split->session->bus, &split->job, split->generation, split_fill, split, err)
             != 0)
    return -1;
  job_release (&split->session->job);
  job_copy (&split->session->job, &split->job);
  return split->runs || split->job.reduce_image != NULL ? SPLIT_PLANNED : SPLIT_MERGES;
}

int
split_plan (struct session *session, const struct reopen_choice *choice,
            const struct split_args *args, struct error *err)
{
  auto_counters struct counters counters = { 0 };
  if (split_check (session, args, err) != 0 || summary_read (session, &counters, err) != 0)
    return -1;
  int64_t shards = fold_shards (counters.fold);
  struct split split = {
    .session = session,
    .args = args,
    .fold = counters.fold,
    .count = shards < 0 ? 0 : shards,
    .generation = fold_generation (counters.fold) + 1,
    .plan_fd = -1,
    .digest = digest_new (),
  };
  split.formers = xcalloc ((size_t) split.count + 1, sizeof *split.formers);
  int result = split_make (&split, choice, err);
  split_release (&split);
  return result;
}
