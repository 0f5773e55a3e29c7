/* shoal dead: what came to nothing on a bus, and running it again: shards that failed for good,
 * messages that nobody can read or follow. */
#include "bus/dead_letter.h"
#include "cli/bus_options.h"
#include "cli/commands.h"
#include "cli/json_text.h"
#include "cli/reopen.h"
#include "cli/session.h"
#include "cli/summary.h"
#include "cli/words.h"
#include "common/clock.h"
#include "common/memory.h"
#include "common/text.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum
{
  SHOWN_BYTES = 256, /* of a message */
  BYTES_A_LINE = 16,
};

struct dead_args
{
  const char *job;    /* only its shards */
  const char *reason; /* only these: an outcome, or one of messages (bus.h) */
  bool json;
  bool all;
};

#define REASONS                                                                                    \
  "failed, oom, timeout, infra, worker_lost, " DEAD_LETTER_UNDECODABLE ", " DEAD_LETTER_CONFLICT   \
  ", " DEAD_LETTER_UNSIGNED ", " DEAD_LETTER_BAD_SIGNATURE

#define SETTER(name) static int set_##name (void *context, const char *value, struct error *err)

#define ARGS(context) ((struct dead_args *) (context))

SETTER (job)
{
  (void) err;
  ARGS (context)->job = value;
  return 0;
}

SETTER (reason)
{
  static const char *const reasons[] = { "failed",
                                         "oom",
                                         "timeout",
                                         "infra",
                                         "worker_lost",
                                         DEAD_LETTER_UNDECODABLE,
                                         DEAD_LETTER_CONFLICT,
                                         DEAD_LETTER_UNSIGNED,
                                         DEAD_LETTER_BAD_SIGNATURE };
  for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
    if (strcmp (reasons[i], value) == 0)
      {
        ARGS (context)->reason = value;
        return 0;
      }
  return error_set (err, ERROR_USER, "\"%s\" is none of " REASONS, value);
}

SETTER (json)
{
  (void) value;
  (void) err;
  ARGS (context)->json = true;
  return 0;
}

SETTER (all)
{
  (void) value;
  (void) err;
  ARGS (context)->all = true;
  return 0;
}

static const struct option_spec dead_options[] = {
  { 0, "job", NULL, "JOB", "only dead letters of this job", GROUP_OTHER, false, set_job },
  { 0, "reason", NULL, "REASON", "only dead letters with this reason, e.g. failed, oom, unsigned",
    GROUP_OTHER, false, set_reason },
  { 0, "all", NULL, NULL, "replay: every dead letter", GROUP_OTHER, false, set_all },
  { 0, "json", NULL, NULL, "list: print one JSON object per line", GROUP_OTHER, false, set_json },
  { 0 },
};

/* ---- which letters ---------------------------------------------------------------------- */

/* What is done with letters. Shards come job by job. */
struct letter_reader
{
  const struct dead_args *args;
  const struct bus_args *bus_args;
  struct bus *bus;
  struct error *err;
  char **names; /* only these letters; none: those that ARGS choose */
  int name_count;
  bool *seen; /* which of these there are */

  int (*on_shard) (struct letter_reader *reader, const struct job *job,
                   const struct counters_failure *failure);
  int (*on_job_end) (struct letter_reader *reader, const struct job *job); /* NULL: nothing */
  int (*on_message) (struct letter_reader *reader, const struct dead_letter *letter);

  uint32_t *shards; /* to be run again, of the job at hand */
  size_t shard_count;
};

static const char *
dead_reason_of (const struct counters_failure *failure)
{
  static const char lost[] = "worker_lost";
  const struct attempt_report *report = &failure->report;
  bool is_lost = report->reason != NULL && strncmp (report->reason, lost, strlen (lost)) == 0;
  return is_lost ? lost : outcome_name (report->outcome);
}

static char *
shard_name (const struct job *job, const struct counters_failure *failure)
{
  return failure->kind == SHARD_REDUCE ? xasprintf ("%s/reduce", job->id)
                                       : xasprintf ("%s/%u", job->id, failure->index);
}

static bool
dead_is_wanted (struct letter_reader *reader, const char *name, const char *reason)
{
  for (int i = 0; i < reader->name_count; i++)
    if (strcmp (reader->names[i], name) == 0)
      {
        reader->seen[i] = true;
        return true;
      }
  if (reader->name_count > 0)
    return false;
  return reader->args->reason == NULL || strcmp (reader->args->reason, reason) == 0;
}

static int
read_shards (struct letter_reader *reader, const struct job *job)
{
  auto_session struct session session = SESSION_READER;
  auto_counters struct counters counters = { 0 };
  if (session_open (&session, job->id, reader->bus_args, reader->err) != 0
      || summary_read (&session, &counters, reader->err) != 0)
    return -1;
  for (size_t i = 0; i < counters.failure_count; i++)
    {
      const struct counters_failure *failure = &counters.failures[i];
      auto_free char *name = shard_name (job, failure);
      if (failure->report.outcome == OUTCOME_CANCELLED
          || !dead_is_wanted (reader, name, dead_reason_of (failure)))
        continue;
      if (reader->on_shard (reader, job, failure) != 0)
        return -1;
    }
  return 0;
}

static int
on_job (void *context, const struct job *job)
{
  struct letter_reader *reader = context;
  auto_job_status struct job_status status = { 0 };
  if (reader->args->job != NULL && strcmp (reader->args->job, job->id) != 0)
    return 0;
  int known = bus_get_status (reader->bus, job->id, &status, reader->err);
  /* The reduce container isn't counted among the failed shards. */
  bool any = status.failed > 0 || (status.state == JOB_FAILED && job->reduce_image != NULL);
  if (known < 0 || (known == 1 && any && read_shards (reader, job) != 0))
    return -1;
  return reader->on_job_end == NULL ? 0 : reader->on_job_end (reader, job);
}

static int
on_letter (void *context, const struct dead_letter *letter)
{
  struct letter_reader *reader = context;
  if (!dead_is_wanted (reader, letter->name, letter->reason))
    return 0;
  return reader->on_message (reader, letter);
}

static int
read_letters (struct letter_reader *reader)
{
  if (bus_list_jobs (reader->bus, NULL, on_job, reader, reader->err) != 0
      || (reader->args->job == NULL
          && bus_list_dead_letters (reader->bus, on_letter, reader, reader->err) != 0))
    return -1;
  for (int i = 0; i < reader->name_count; i++)
    if (!reader->seen[i])
      return error_set (reader->err, ERROR_USER, "no dead letter %s: `shoal dead list` prints them",
                        reader->names[i]);
  return EXIT_DONE;
}

/* ---- list ------------------------------------------------------------------------------- */

static void
list_one (const struct letter_reader *reader, const char *name, const char *reason, int64_t time,
          int64_t attempts, const char *error)
{
  if (reader->args->json)
    {
      json_t *object = json_object ();
      json_set_text (object, "letter", name);
      json_set_text (object, "reason", reason);
      json_set_number (object, "time", time);
      json_set_number (object, "attempts", attempts);
      json_set_text (object, "error", error);
      json_put_line (object, stdout);
      return;
    }
  char when[CLOCK_TEXT_SIZE];
  auto_free char *letter = text_shown (name);
  auto_free char *text = text_shown (error);
  auto_free char *tries = attempts < 0 ? xstrdup ("-") : xasprintf ("%lld", (long long) attempts);
  (void) printf ("%s\t%s\t%s\t%s\t%s\n", letter, reason, clock_format (time, when), tries, text);
}

static int
list_shard (struct letter_reader *reader, const struct job *job,
            const struct counters_failure *failure)
{
  auto_free char *name = shard_name (job, failure);
  list_one (reader, name, dead_reason_of (failure), failure->report.ended, failure->attempts,
            failure->report.reason);
  return 0;
}

static int
list_message (struct letter_reader *reader, const struct dead_letter *letter)
{
  list_one (reader, letter->name, letter->reason, letter->time, -1, letter->error);
  return 0;
}

static int
dead_list (struct letter_reader *reader)
{
  reader->on_shard = list_shard;
  reader->on_message = list_message;
  if (!reader->args->json)
    (void) puts ("letter\treason\ttime\tattempts\terror");
  return read_letters (reader);
}

/* ---- show ------------------------------------------------------------------------------- */

static void
print_field (const char *name, const char *value)
{
  auto_free char *line = text_shown (value);
  (void) printf ("%-10s %s\n", name, line);
}

static int
show_shard (struct letter_reader *reader, const struct job *job,
            const struct counters_failure *failure)
{
  (void) reader;
  const struct attempt_report *report = &failure->report;
  char when[CLOCK_TEXT_SIZE];
  auto_free char *attempts = xasprintf ("%u", failure->attempts);
  auto_free char *code = xasprintf ("%d", report->exit_code);
  auto_free char *folder = report->folder == NULL
                               ? xstrdup ("none kept")
                               : xasprintf ("%s: .shoal/attempts/%s", job->results, report->folder);
  auto_free char *word = text_word (job->id);
  auto_free char *logs = failure->kind == SHARD_REDUCE
                             ? xasprintf ("shoal logs %s", word)
                             : xasprintf ("shoal logs %s --shard %u", word, failure->index);
  print_field ("job", job->id);
  print_field ("reason", dead_reason_of (failure));
  print_field ("error", report->reason);
  print_field ("exit code", code);
  print_field ("attempts", attempts);
  print_field ("ended", clock_format (report->ended, when));
  print_field ("folder", folder);
  print_field ("logs", logs);
  return 0;
}

/* As hexdump -C. */
static void
print_bytes (const struct buffer *bytes)
{
  size_t shown = bytes->size < SHOWN_BYTES ? bytes->size : SHOWN_BYTES;
  for (size_t at = 0; at < shown; at += BYTES_A_LINE)
    {
      char text[BYTES_A_LINE + 1] = "";
      (void) printf ("%08zx ", at);
      for (size_t i = 0; i < BYTES_A_LINE; i++)
        {
          unsigned char byte = at + i < shown ? (unsigned char) bytes->data[at + i] : 0;
          text[i] = at + i >= shown ? '\0' : isprint (byte) ? (char) byte : '.';
          (void) (at + i < shown ? printf (" %02x", byte) : printf ("   "));
        }
      (void) printf ("  |%s|\n", text);
    }
  if (shown < bytes->size)
    (void) printf ("… %zu bytes in all\n", bytes->size);
}

static int
show_message (struct letter_reader *reader, const struct dead_letter *letter)
{
  (void) reader;
  char when[CLOCK_TEXT_SIZE];
  print_field ("letter", letter->name);
  print_field ("reason", letter->reason);
  print_field ("error", letter->error);
  print_field ("sent", clock_format (letter->time, when));
  print_field ("key", letter->key);
  print_bytes (&letter->payload);
  return 0;
}

static int
dead_show (struct letter_reader *reader)
{
  reader->on_shard = show_shard;
  reader->on_message = show_message;
  return read_letters (reader);
}

/* ---- replay ----------------------------------------------------------------------------- */

static int
dead_add_shard (struct letter_reader *reader, const struct job *job,
                const struct counters_failure *failure)
{
  (void) job;
  if (failure->kind == SHARD_REDUCE) /* runs whenever its job is opened again */
    return 0;
  reader->shards = xrealloc (reader->shards, reader->shard_count + 1, sizeof *reader->shards);
  reader->shards[reader->shard_count++] = failure->index;
  return 0;
}

static int
reopen_job (struct letter_reader *reader, const struct job *job)
{
  if (reader->shard_count == 0)
    return 0;
  auto_session struct session session = SESSION_INIT;
  const struct reopen_choice choice = { .named = reader->shards,
                                        .named_count = reader->shard_count };
  reader->shard_count = 0;
  if (session_open (&session, job->id, reader->bus_args, reader->err) != 0)
    return -1;
  int reopened = reopen_shards (&session, &choice, reader->err);
  auto_free char *id = text_shown (job->id);
  if (reopened == 1)
    (void) printf ("%s: %zu shard%s replayed\n", id, choice.named_count,
                   choice.named_count == 1 ? "" : "s");
  return reopened < 0 ? -1 : 0;
}

static int
dead_replay_message (struct letter_reader *reader, const struct dead_letter *letter)
{
  if (bus_replay_dead_letter (reader->bus, letter, reader->err) != 0)
    return -1;
  auto_free char *name = text_shown (letter->name);
  (void) printf ("%s: message replayed\n", name);
  return 0;
}

static int
replay (struct letter_reader *reader)
{
  reader->on_shard = dead_add_shard;
  reader->on_job_end = reopen_job;
  reader->on_message = dead_replay_message;
  const struct dead_args *args = reader->args;
  if (reader->name_count == 0 && args->job == NULL && args->reason == NULL && !args->all)
    return error_set (reader->err, ERROR_USER,
                      "no dead letters selected: name them, or use --job, --reason or --all");
  return read_letters (reader);
}

/* ---- the command ------------------------------------------------------------------------ */

static int
act (struct letter_reader *reader, const char *action)
{
  if (strcmp (action, "list") == 0 && reader->name_count == 0)
    return dead_list (reader);
  if (strcmp (action, "show") == 0 && reader->name_count > 0)
    return dead_show (reader);
  if (strcmp (action, "replay") == 0)
    return replay (reader);
  return error_set (reader->err, ERROR_USER, "usage: shoal %s", command_dead.synopsis);
}

static int
dead_run (int argc, char **argv, struct error *err)
{
  struct dead_args args = { 0 };
  auto_bus_args struct bus_args bus_args;
  bus_args_init (&bus_args);
  const struct option_set sets[] = { { dead_options, &args }, { bus_options, &bus_args } };
  int first = options_operands (sets, 2, argc, argv, 1, -1, command_dead.synopsis, err);
  if (first < 0)
    return first;
  if (bus_args_need (&bus_args, err) != 0)
    return -1;
  struct bus_options options = bus_args_options (&bus_args, "cli");
  options.access = strcmp (argv[first], "replay") == 0 ? BUS_WRITES : BUS_READS;
  auto_bus struct bus *bus = bus_open (bus_args.url, &options, err);
  if (bus == NULL)
    return -1;
  bus_args.named = true; /* a result of the job's name that happens to be here isn't meant */
  struct letter_reader reader = { .args = &args,
                                  .bus_args = &bus_args,
                                  .bus = bus,
                                  .err = err,
                                  .names = argv + first + 1,
                                  .name_count = argc - first - 1 };
  reader.seen = xcalloc ((size_t) reader.name_count + 1, sizeof *reader.seen);
  int result = act (&reader, argv[first]);
  free (reader.seen);
  free (reader.shards);
  return result;
}

const struct command command_dead = {
  .name = "dead",
  .synopsis = "dead list | show LETTER… | replay LETTER… [options]",
  .summary = "inspect and replay the dead-letter queue",
  .help =
      "LETTER is a dead letter: a shard that failed for good (JOB/SHARD), or a message that can't "
      "be\n"
      "decoded or contradicts an earlier one (TOPIC/PARTITION/OFFSET). Replaying a shard runs it\n"
      "again and rebuilds the result of its job.\n"
      "\n"
      "  shoal dead list --bus kafka://broker:9092 --reason oom\n"
      "  shoal dead replay --bus kafka://broker:9092 resize-2019/17\n",
  .options = { dead_options, bus_options },
  .run = dead_run,
};
