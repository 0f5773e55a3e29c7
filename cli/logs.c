/* shoal logs: what the shards printed, also while they run. */
#include "cli/commands.h"
#include "cli/log_reader.h"
#include "cli/session.h"
#include "cli/summary.h"
#include "cli/words.h"
#include "common/memory.h"

#include <stdio.h>
#include <string.h>

struct logs_args
{
  uint32_t *named;
  size_t named_count;
  bool failed;
  bool out;
  bool err;
  bool follow;
  bool bare;
  bool raw;
};

#define SWITCH(name)                                                                               \
  static int set_##name (void *context, const char *value, struct error *err)                      \
  {                                                                                                \
    (void) value;                                                                                  \
    (void) err;                                                                                    \
    ((struct logs_args *) context)->name = true;                                                   \
    return 0;                                                                                      \
  }

SWITCH (failed)
SWITCH (out)
SWITCH (err)
SWITCH (follow)
SWITCH (bare)
SWITCH (raw)

static int
logs_set_shard (void *context, const char *value, struct error *err)
{
  struct logs_args *args = context;
  return words_ranges (value, &args->named, &args->named_count, err);
}

static const struct option_spec logs_options[] = {
  { 0, "shard", NULL, "K", "only these shards, e.g. 3,5-9; repeatable (default all)", GROUP_OTHER,
    false, logs_set_shard },
  { 0, "failed", NULL, NULL, "only shards that failed", GROUP_OTHER, false, set_failed },
  { 0, "stdout", NULL, NULL, "only standard output", GROUP_OTHER, false, set_out },
  { 0, "stderr", NULL, NULL, "only standard error", GROUP_OTHER, false, set_err },
  { 'f', "follow", NULL, NULL, "print the output so far and keep printing while the job runs",
    GROUP_OTHER, false, set_follow },
  { 'q', "quiet", NULL, NULL, "omit the headers between shards", GROUP_OTHER, false, set_bare },
  { 0, "raw", NULL, NULL, "do not escape control characters on a terminal", GROUP_OTHER, false,
    set_raw },
  { 0 },
};

/* ---- which shards ----------------------------------------------------------------------- */

static bool
is_named (const struct logs_args *args, uint32_t index)
{
  for (size_t i = 0; i < args->named_count; i++)
    if (args->named[i] == index)
      return true;
  return args->named_count == 0;
}

static int
logs_check_named (const struct logs_args *args, const struct fold *fold, struct error *err)
{
  for (size_t i = 0; i < args->named_count; i++)
    if (args->named[i] >= fold_known (fold))
      return error_set (err, ERROR_USER, "no shard %u: the last one known is %lld", args->named[i],
                        (long long) fold_known (fold) - 1);
  return 0;
}

/* Named shards and the reduce container where nothing is named. */
static int
logs_choose_shards (const struct logs_args *args, const struct counters *counters,
                    struct log_reader *reader)
{
  int count = 0;
  for (uint32_t i = 0; i < fold_known (counters->fold); i++)
    {
      const struct shard_record *record = fold_shard (counters->fold, i);
      bool wanted = is_named (args, i) && (!args->failed || record->state == SHARD_FAILED);
      if (!wanted)
        continue;
      log_reader_want (reader, i);
      count++;
    }
  const struct shard_record *reduce = fold_reduce (counters->fold);
  if (args->named_count == 0 && reduce != NULL && (!args->failed || reduce->state == SHARD_FAILED))
    {
      log_reader_want_reduce (reader);
      count++;
    }
  return count;
}

/* ---- the command ------------------------------------------------------------------------ */

static int
logs_run_args (struct logs_args *args, int argc, char **argv, struct error *err)
{
  auto_bus_args struct bus_args bus;
  bus_args_init (&bus);
  const struct option_set sets[] = { { logs_options, args }, { bus_options, &bus } };
  int first = options_operands (sets, 2, argc, argv, 1, 1, command_logs.synopsis, err);
  if (first < 0)
    return first;
  auto_session struct session session = SESSION_READER;
  auto_counters struct counters counters = { 0 };
  if (bus_args_finish (&bus, err) != 0 || session_open (&session, argv[first], &bus, err) != 0
      || summary_read (&session, &counters, err) != 0)
    return -1;
  if (session.folder_fd < 0)
    return error_set (err, ERROR_USER,
                      "%s: the result of job %s is not accessible from this machine",
                      session.location, session.job.id);
  auto_log_reader struct log_reader *reader = log_reader_new (&session);
  reader->raw = args->raw;
  reader->streams =
      (args->out || !args->err ? LOG_STDOUT : 0) | (args->err || !args->out ? LOG_STDERR : 0);
  reader->failed_only = args->failed;
  if (args->follow)
    {
      reader->everything = args->named_count == 0;
      for (size_t i = 0; i < args->named_count; i++)
        log_reader_want (reader, args->named[i]);
      reader->headlines = !args->bare;
      return log_reader_follow (reader, &counters, err);
    }
  if (logs_check_named (args, counters.fold, err) != 0)
    return -1;
  int count = logs_choose_shards (args, &counters, reader);
  reader->headlines = !args->bare && (count > 1 || args->failed);
  return log_reader_print (reader, &counters, err);
}

static int
logs_run (int argc, char **argv, struct error *err)
{
  struct logs_args args = { 0 };
  int result = logs_run_args (&args, argc, argv, err);
  free (args.named);
  return result;
}

const struct command command_logs = {
  .name = "logs",
  .synopsis = "logs [--shard K]… [--failed] [--stdout | --stderr] [--follow] RESULT|JOB",
  .summary = "print the output of shards, also while they run",
  .help = "Prints the last attempt of each shard, with a header between shards. stderr goes to "
          "stderr,\n"
          "with --stderr alone to stdout. With --failed, each shard begins with its reason, "
          "outcome and\n"
          "number of attempts.\n"
          "On a terminal, control characters other than newlines and tabs are escaped (\\x1b), so "
          "that\n"
          "no image can control it; in a pipe, bytes are printed as they are.\n"
          "\n"
          "  shoal logs resized --failed --stderr\n",
  .options = { logs_options, bus_options },
  .run = logs_run,
};
