#include "worker/slot.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/text.h"
#include "policy/policy_check.h"
#include "result/result.h"
#include "schemas/job_check.h"
#include "schemas/shard_check.h"
#include "worker/attempt.h"
#include "worker/losses.h"
#include "worker/supervise.h"
#include "worker/workplace.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

enum
{
  DEATHS_MAX = 5,          /* of a slot in a row, then something is wrong with this machine */
  END_PATIENCE_MS = 20000, /* beyond the grace, for collecting */
  BACK_OFF_MS = 5000,      /* after this machine's first failure at a shard, then doubled */
  BACK_OFF_DOUBLINGS = 4,
  SHELL_SIGTERM = 128 + SIGTERM, /* the exit code of what ended by it */
};

static void
log_shard (enum log_level level, const char *event, const struct slot *slot, const char *rest)
{
  const struct shard *shard = &slot->delivery->shard;
  log_line (level, event, "job=%s shard=%u generation=%u attempt=%u starts=%u slot=%d%s%s",
            shard->job_id, shard->index, shard->generation, shard->attempt, slot->delivery->starts,
            slot->number, rest[0] == '\0' ? "" : " ", rest);
}

static void
log_trouble (const char *event, const struct slot *slot, const struct error *err)
{
  auto_free char *text = text_log (err->message);
  auto_free char *rest = xasprintf ("error=%s", text);
  log_shard (LOG_WARN, event, slot, rest);
}

/* Back to idle; the delivery is settled, released, or not ours. */
static void
become_idle (struct slot *slot)
{
  delivery_free (take (&slot->delivery));
  event_release (&slot->event);
  slot->state = SLOT_IDLE;
  slot->ending = ENDING_NONE;
  slot->give_up_at = 0;
  slot->settle_failed = false;
  slot->settling = false;
  slot->ahead = false;
}

/* Ends the attempt with a report that its slot didn't make. */
static void
end_without_process (struct slot *slot, const struct slots_shared *shared, enum outcome outcome,
                     const char *reason)
{
  struct attempt_report report = { 0 };
  attempt_report_failure (&report, outcome, reason);
  attempt_event (&slot->delivery->shard, slot->delivery->starts, bus_writer (shared->bus), &report,
                 &slot->event);
  slot->state = SLOT_ENDED;
}

static void
slot_end_process (struct slot *slot)
{
  slot_process_end (&slot->process);
  slot->deaths++;
  slot->unswept = true;
}

/* ---- taking ----------------------------------------------------------------------------- */

static int
slot_need_process (struct slot *slot, const struct slots_shared *shared, struct error *err)
{
  if (slot->process.pid > 0)
    return 0;
  if (slot->deaths > DEATHS_MAX)
    return error_set (err, ERROR_FATAL, "slot %d crashed %d times in a row; giving up",
                      slot->number, slot->deaths);
  auto_free char *name = xasprintf ("%d-%d", (int) getpid (), slot->number);
  if (slot_process_start (&slot->process, name, shared->options, err) == 0)
    return 0;
  slot->deaths++;
  return -1;
}

/* CLASS_NAME: NULL, or LOSSES_LEAVING. */
static int
publish_started (const struct slot *slot, const struct slots_shared *shared, const char *class_name,
                 struct error *err)
{
  const struct shard *shard = &slot->delivery->shard;
  struct event event = { .kind = EVENT_STARTED,
                         .job_id = shard->job_id,
                         .time = clock_wall_ms (),
                         .writer = (char *) bus_writer (shared->bus),
                         .generation = shard->generation,
                         .index = shard->index,
                         .shard_kind = shard->kind,
                         .attempt = shard->attempt,
                         .starts = slot->delivery->starts,
                         .shards = -1,
                         .atoms = shard->atom_count,
                         .bytes = shard->bytes,
                         .class_name = (char *) (uintptr_t) class_name };
  memcpy (event.digest, shard->digest, sizeof event.digest);
  return bus_publish_event (shared->bus, &event, err);
}

/* For people only: the attempt doesn't depend on it. */
static void
slot_log_started (const struct slot *slot, const struct slots_shared *shared)
{
  struct error err = ERROR_INIT;
  if (publish_started (slot, shared, NULL, &err) != 0)
    log_trouble ("publish_failed", slot, &err);
  log_shard (LOG_INFO, "shard_started", slot, "");
}

void
slot_publish_leaving (const struct slot *slot, const struct slots_shared *shared)
{
  struct error err = ERROR_INIT;
  if (slot->state == SLOT_RUNNING && !slot->ahead && slot->ending == ENDING_NONE
      && publish_started (slot, shared, LOSSES_LEAVING, &err) != 0)
    log_trouble ("publish_failed", slot, &err);
}

/* How many workers the shard lost that hadn't been told to end: 0, or -1 with ERR when the bus
 * can't be asked now. Events that this worker may not read excuse nothing. */
static int
slot_count_losses (const struct slot *slot, const struct slots_shared *shared, uint32_t *lost,
                   struct error *err)
{
  const struct delivery *delivery = slot->delivery;
  *lost = delivery->lost;
  if (*lost < (uint32_t) shared->max_lost
      || losses_count (shared->bus, delivery, shared->meanwhile, shared->meanwhile_context, lost,
                       err)
             == 0)
    return 0;
  if (err->code == BUS_AWAY || err->class == ERROR_TRANSIENT)
    return -1;
  log_trouble ("losses_unknown", slot, err);
  *lost = delivery->lost;
  error_clear (err);
  return 0;
}

/* Whoever may write to the bus can have put it there: no door that we know of need have seen it.
 * Gives the job what the policy says of one that doesn't say. */
static int
slot_check_delivery (struct delivery *delivery, const struct policy *policy, struct error *err)
{
  const char *field = NULL;
  struct job *job = delivery->job;
  if (job_check (job, &field, err) != 0 || policy_check_terms (policy, job, &field, err) != 0)
    return error_wrap (err, "the job: %s", field);
  policy_apply (policy, job);
  return shard_check (&delivery->shard, job, err);
}

static void
slot_start_attempt (struct slot *slot, const struct slots_shared *shared, uint32_t lost)
{
  struct delivery *delivery = slot->delivery;
  struct error err = ERROR_INIT;
  slot->state = SLOT_RUNNING;
  counts_take (&shared->counts, delivery->waited_ms);
  if (lost >= (uint32_t) shared->max_lost)
    {
      auto_free char *reason = xasprintf (
          "worker_lost: %u workers died or lost their lease while running this shard", lost);
      end_without_process (slot, shared, OUTCOME_INFRA, reason);
      slot->event.report.final = true;
      return;
    }
  if (slot_check_delivery (delivery, shared->options->policy, &err) != 0)
    {
      end_without_process (slot, shared, OUTCOME_FAILED, err.message);
      return;
    }
  if (!slot->ahead)
    slot_log_started (slot, shared);
  if (slot_process_run (&slot->process, delivery->job, &delivery->shard, delivery->starts,
                        bus_writer (shared->bus), !slot->ahead, &err)
      == 0)
    return;
  log_trouble ("slot_crashed", slot, &err);
  slot_end_process (slot);
  end_without_process (slot, shared, OUTCOME_INFRA, err.message);
}

int
slot_take (struct slot *slot, struct slots_shared *shared, bool ahead, struct error *err)
{
  if (slot_need_process (slot, shared, err) != 0)
    return -1;
  int got = bus_take (shared->bus, BUS_SHARDS, shared->options->job_id, &slot->delivery, err);
  if (got <= 0)
    return got;
  uint32_t lost = 0;
  if (slot_count_losses (slot, shared, &lost, err) != 0)
    {
      (void) bus_release (shared->bus, slot->delivery, NULL);
      become_idle (slot);
      return -1;
    }
  if (slot->delivery->shard.generation > shared->generation)
    shared->generation = slot->delivery->shard.generation;
  slot->since = clock_boot_ms ();
  slot->ahead = ahead;
  slot_start_attempt (slot, shared, lost);
  return 1;
}

void
slot_go (struct slot *slot, const struct slots_shared *shared)
{
  slot->ahead = false;
  slot_log_started (slot, shared);
  slot_process_order (&slot->process, FRAME_GO);
}

/* ---- while it runs ---------------------------------------------------------------------- */

void
slot_end (struct slot *slot, enum slot_ending ending)
{
  if (slot->state != SLOT_RUNNING || ending <= slot->ending)
    return;
  bool gentle = ending == ENDING_CANCEL;
  slot->ending = ending;
  slot->give_up_at = clock_boot_ms () + END_PATIENCE_MS
                     + (gentle ? supervise_cancel_grace (slot->delivery->job) : 0);
  static const char *const reasons[] = { "none", "cancel", "release", "lost" };
  auto_free char *rest = xasprintf ("reason=%s", reasons[ending]);
  log_shard (LOG_INFO, "shard_stopping", slot, rest);
  slot_process_order (&slot->process, gentle ? FRAME_STOP : FRAME_KILL);
}

void
slot_keep (struct slot *slot, struct slots_shared *shared)
{
  struct error err = ERROR_INIT;
  if (slot->state == SLOT_IDLE || slot->ending == ENDING_LOST)
    return;
  int kept = bus_keep (shared->bus, slot->delivery, &err);
  if (kept < 0 && !bus_is_away (shared->bus)) /* that is said already */
    log_trouble ("lease_renew_failed", slot, &err);
  if (kept == 0 && slot->state == SLOT_RUNNING)
    slot_end (slot, ENDING_LOST);
}

/* Its attempt took BYTES more from servers. */
static void
add_coming (struct slot *slot, const struct slots_shared *shared, int64_t bytes)
{
  slot->coming += bytes;
  if (shared->options->coming != NULL)
    __atomic_fetch_add (shared->options->coming, bytes, __ATOMIC_RELAXED);
}

static void
slot_count_fetched (struct slot *slot, const struct slots_shared *shared)
{
  counts_fetch (&shared->counts, slot->process.fetched);
  for (int kind = 0; kind < STORAGE_KINDS; kind++)
    add_coming (slot, shared, slot->process.fetched[kind].bytes);
}

static void
slot_report_crash (struct slot *slot, const struct slots_shared *shared, const char *reason)
{
  auto_free char *text = text_log (reason);
  auto_free char *rest = xasprintf ("error=%s", text);
  log_shard (LOG_WARN, "slot_crashed", slot, rest);
  slot_end_process (slot);
  add_coming (slot, shared, -slot->coming);
  const struct shard *shard = &slot->delivery->shard;
  auto_free char *name =
      result_attempt_name (shard->index, shard->generation, shard->attempt, slot->delivery->starts);
  workplace_sweep_behind (slot->delivery->job->results, shared->options->scratch, name);
  /* Who tells a worker to end may tell or kill its slots as well: no fault of the shard's. */
  if (shared->leaving && slot->ending == ENDING_NONE)
    slot->ending = ENDING_RELEASE;
  bool cancelled = slot->ending != ENDING_NONE;
  auto_free char *why = xasprintf ("the slot process crashed: %s", reason);
  end_without_process (slot, shared, cancelled ? OUTCOME_CANCELLED : OUTCOME_INFRA,
                       cancelled ? "cancelled" : why);
}

/* A slot that has nothing to do has nothing to say: it was killed. */
static void
slot_check_idle (struct slot *slot)
{
  struct error err = ERROR_INIT;
  auto_event struct event event = { 0 };
  if (slot->process.pid <= 0 || slot_process_report (&slot->process, &event, &err) == 0)
    return;
  log_warn ("slot_crashed", "slot=%d", slot->number);
  slot_end_process (slot);
}

void
slot_check (struct slot *slot, struct slots_shared *shared)
{
  struct error err = ERROR_INIT;
  if (slot->state == SLOT_IDLE)
    slot_check_idle (slot);
  if (slot->state != SLOT_RUNNING)
    return;
  int got = slot_process_report (&slot->process, &slot->event, &err);
  if (got > 0)
    slot_count_fetched (slot, shared);
  if (got == 1)
    {
      slot->state = SLOT_ENDED;
      slot->deaths = 0;
      add_coming (slot, shared, -slot->coming);
    }
  else if (got < 0)
    {
      event_release (&slot->event);
      slot_report_crash (slot, shared, err.message);
    }
  else if (slot->give_up_at != 0 && clock_boot_ms () >= slot->give_up_at)
    slot_report_crash (slot, shared, "it did not end its attempt in time");
}

/* ---- settling --------------------------------------------------------------------------- */

static void
forget_attempt (const struct slot *slot)
{
  if (slot->event.report.folder != NULL)
    workplace_forget (slot->delivery->job, slot->event.report.folder);
}

static void
log_done (const struct slot *slot, const struct shard *retry)
{
  const struct attempt_report *report = &slot->event.report;
  auto_free char *reason = report->reason == NULL ? NULL : text_log (report->reason);
  auto_free char *rest =
      xasprintf ("outcome=%s exit=%d seconds=%.3f final=%s%s%s", outcome_name (report->outcome),
                 report->exit_code, (double) (report->ended - report->started) / 1000.0,
                 retry == NULL ? "true" : "false",
                 reason == NULL ? "" : " reason=", reason == NULL ? "" : reason);
  log_shard (report->outcome == OUTCOME_SUCCEEDED ? LOG_INFO : LOG_WARN, "shard_done", slot, rest);
}

/* A machine that can't run a shard (no such image, a full disk) would fail at all of the job's
 * before others get to them. */
static void
slot_back_off (const struct delivery *delivery, struct slots_shared *shared)
{
  uint32_t times =
      delivery->shard.infra < BACK_OFF_DOUBLINGS ? delivery->shard.infra : BACK_OFF_DOUBLINGS;
  bus_back_off (shared->bus, delivery->job->id, (int64_t) BACK_OFF_MS << times);
}

static int
slot_settle_attempt (struct slot *slot, struct slots_shared *shared, struct error *err)
{
  struct delivery *delivery = slot->delivery;
  struct attempt_report *report = &slot->event.report;
  auto_shard struct shard retry = { 0 };
  bool given_up = report->final; /* lost too often: start said so */
  bool again = !given_up
               && retry_decide (delivery->job, &delivery->shard, &shared->limits, clock_wall_ms (),
                                report, &retry);
  int settled = bus_settle (shared->bus, delivery, &slot->event, again ? &retry : NULL, err);
  slot->settling = settled == BUS_PENDING;
  if (slot->settling)
    {
      report->final = given_up;
      return 0;
    }
  if (settled < 0)
    {
      report->final = given_up;
      slot->settle_failed = true;
      return -1;
    }
  if (settled == 1)
    {
      counts_settle (&shared->counts, report, again);
      if (report->outcome == OUTCOME_INFRA)
        slot_back_off (delivery, shared);
      log_done (slot, again ? &retry : NULL);
    }
  else
    {
      counts_lose (&shared->counts);
      log_shard (LOG_WARN, "lease_lost", slot, "");
      /* After a settle that failed it may be our own that took hold: the folder is left to the
       * merger. */
      if (!slot->settle_failed)
        forget_attempt (slot);
    }
  return 0;
}

/* Who tells a worker to end may tell its containers' commands as well: a command that ended by
 * that hasn't failed. */
static bool
ended_with_worker (const struct slot *slot, const struct slots_shared *shared)
{
  const struct attempt_report *report = &slot->event.report;
  return shared->leaving && report->outcome == OUTCOME_FAILED
         && (report->signal == SIGTERM || report->exit_code == SHELL_SIGTERM);
}

int
slot_settle (struct slot *slot, struct slots_shared *shared, struct error *err)
{
  if (slot->state != SLOT_ENDED)
    return 0;
  int result = 0;
  bool was_told = ended_with_worker (slot, shared);
  bool was_stopped = slot->event.report.outcome == OUTCOME_CANCELLED;
  if (slot->ending == ENDING_LOST)
    {
      counts_lose (&shared->counts);
      log_shard (LOG_WARN, "lease_lost", slot, "");
      forget_attempt (slot);
    }
  else if ((slot->ending == ENDING_RELEASE && was_stopped)
           || (slot->ending == ENDING_NONE && was_told))
    {
      forget_attempt (slot);
      log_shard (LOG_INFO, "shard_released", slot, "");
      result = bus_release (shared->bus, slot->delivery, err) < 0 ? -1 : 0;
    }
  else
    result = slot_settle_attempt (slot, shared, err);
  if (result == 0 && !slot->settling)
    become_idle (slot);
  return result;
}

void
slot_release (struct slot *slot)
{
  slot_process_release (&slot->process);
  delivery_free (take (&slot->delivery));
  event_release (&slot->event);
}
