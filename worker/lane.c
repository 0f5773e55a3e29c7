#include "worker/lane.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/text.h"
#include "policy/policy_check.h"
#include "schemas/job_check.h"
#include "schemas/shard_check.h"
#include "worker/attempt.h"
#include "worker/workplace.h"

#include <errno.h>
#include <string.h>

enum
{
  DEATHS_MAX = 5,          /* of a slot in a row, then something is wrong with this machine */
  END_PATIENCE_MS = 20000, /* beyond the grace, for collecting */
  SHUN_MS = 5000,          /* after this machine's first failure at a shard, then doubled */
  SHUN_DOUBLINGS = 4,
};

static void
log_shard (enum log_level level, const char *event, const struct lane *lane, const char *rest)
{
  const struct shard *shard = &lane->delivery->shard;
  log_line (level, event, "job=%s shard=%u generation=%u attempt=%u starts=%u slot=%d%s%s",
            shard->job_id, shard->index, shard->generation, shard->attempt, lane->delivery->starts,
            lane->number, rest[0] == '\0' ? "" : " ", rest);
}

static void
log_trouble (const char *event, const struct lane *lane, const struct error *err)
{
  auto_free char *text = text_log (err->message);
  auto_free char *rest = xasprintf ("error=%s", text);
  log_shard (LOG_WARN, event, lane, rest);
}

/* Back to idle; the delivery is settled, released, or not ours. */
static void
become_idle (struct lane *lane)
{
  delivery_free (take (&lane->delivery));
  event_release (&lane->event);
  lane->state = LANE_IDLE;
  lane->ending = ENDING_NONE;
  lane->give_up_at = 0;
  lane->settle_failed = false;
  lane->settling = false;
  lane->ahead = false;
}

/* Ends the attempt with a report that its slot didn't make. */
static void
end_without_slot (struct lane *lane, const struct crew *crew, enum outcome outcome,
                  const char *reason)
{
  struct attempt_report report = { 0 };
  attempt_report_failure (&report, outcome, reason);
  attempt_event (&lane->delivery->shard, lane->delivery->starts, bus_writer (crew->bus), &report,
                 &lane->event);
  lane->state = LANE_ENDED;
}

static void
end_slot (struct lane *lane)
{
  slot_end (&lane->slot);
  lane->deaths++;
  lane->unswept = true;
}

/* ---- taking ----------------------------------------------------------------------------- */

static int
need_slot (struct lane *lane, const struct crew *crew, struct error *err)
{
  if (lane->slot.pid > 0)
    return 0;
  if (lane->deaths > DEATHS_MAX)
    return error_set (err, ERROR_FATAL, "slot %d crashed %d times in a row; giving up",
                      lane->number, lane->deaths);
  auto_free char *name = xasprintf ("%d-%d", (int) getpid (), lane->number);
  if (slot_start (&lane->slot, name, crew->options, err) == 0)
    return 0;
  lane->deaths++;
  return -1;
}

static int
publish_started (const struct lane *lane, const struct crew *crew, struct error *err)
{
  const struct shard *shard = &lane->delivery->shard;
  struct event event = { .kind = EVENT_STARTED,
                         .job_id = shard->job_id,
                         .time = clock_wall_ms (),
                         .writer = (char *) bus_writer (crew->bus),
                         .generation = shard->generation,
                         .index = shard->index,
                         .shard_kind = shard->kind,
                         .attempt = shard->attempt,
                         .starts = lane->delivery->starts,
                         .shards = -1,
                         .atoms = shard->atom_count,
                         .bytes = shard->bytes };
  memcpy (event.digest, shard->digest, sizeof event.digest);
  return bus_publish_event (crew->bus, &event, err);
}

/* For people only: the attempt doesn't depend on it. */
static void
tell_started (const struct lane *lane, const struct crew *crew)
{
  struct error err = ERROR_INIT;
  if (publish_started (lane, crew, &err) != 0)
    log_trouble ("publish_failed", lane, &err);
  log_shard (LOG_INFO, "shard_started", lane, "");
}

/* Whoever may write to the bus can have put it there: no door that we know of need have seen it.
 * Gives the job what the policy says of one that doesn't say. */
static int
check (struct delivery *delivery, const struct policy *policy, struct error *err)
{
  const char *field = NULL;
  struct job *job = delivery->job;
  if (job_check (job, &field, err) != 0 || policy_check_terms (policy, job, &field, err) != 0)
    return error_wrap (err, "the job: %s", field);
  policy_apply (policy, job);
  return shard_check (&delivery->shard, job, err);
}

static void
start (struct lane *lane, const struct crew *crew)
{
  struct delivery *delivery = lane->delivery;
  struct error err = ERROR_INIT;
  lane->state = LANE_RUNNING;
  counts_take (&crew->counts, delivery->waited_ms);
  if (delivery->starts > (uint32_t) crew->max_lost)
    {
      auto_free char *reason =
          xasprintf ("worker_lost: %u workers died or lost their lease while running this shard",
                     delivery->starts - 1);
      end_without_slot (lane, crew, OUTCOME_INFRA, reason);
      lane->event.report.final = true;
      return;
    }
  if (check (delivery, crew->options->policy, &err) != 0)
    {
      end_without_slot (lane, crew, OUTCOME_FAILED, err.message);
      return;
    }
  if (!lane->ahead)
    tell_started (lane, crew);
  if (slot_run (&lane->slot, delivery->job, &delivery->shard, delivery->starts,
                bus_writer (crew->bus), !lane->ahead, &err)
      == 0)
    return;
  log_trouble ("slot_crashed", lane, &err);
  end_slot (lane);
  end_without_slot (lane, crew, OUTCOME_INFRA, err.message);
}

int
lane_take (struct lane *lane, struct crew *crew, bool ahead, struct error *err)
{
  if (need_slot (lane, crew, err) != 0)
    return -1;
  int got = bus_take (crew->bus, BUS_SHARDS, crew->options->job_id, &lane->delivery, err);
  if (got <= 0)
    return got;
  if (lane->delivery->shard.generation > crew->generation)
    crew->generation = lane->delivery->shard.generation;
  lane->since = clock_boot_ms ();
  lane->ahead = ahead;
  start (lane, crew);
  return 1;
}

void
lane_go (struct lane *lane, const struct crew *crew)
{
  lane->ahead = false;
  tell_started (lane, crew);
  slot_order (&lane->slot, FRAME_GO);
}

/* ---- while it runs ---------------------------------------------------------------------- */

void
lane_end (struct lane *lane, enum lane_ending ending)
{
  if (lane->state != LANE_RUNNING || ending <= lane->ending)
    return;
  bool gentle = ending == ENDING_CANCEL;
  lane->ending = ending;
  lane->give_up_at = clock_boot_ms () + END_PATIENCE_MS + (gentle ? ATTEMPT_CANCEL_GRACE_MS : 0);
  static const char *const reasons[] = { "none", "cancel", "release", "lost" };
  auto_free char *rest = xasprintf ("reason=%s", reasons[ending]);
  log_shard (LOG_INFO, "shard_stopping", lane, rest);
  slot_order (&lane->slot, gentle ? FRAME_STOP : FRAME_KILL);
}

void
lane_keep (struct lane *lane, struct crew *crew)
{
  struct error err = ERROR_INIT;
  if (lane->state == LANE_IDLE || lane->ending == ENDING_LOST)
    return;
  int kept = bus_keep (crew->bus, lane->delivery, &err);
  if (kept < 0 && !bus_is_away (crew->bus)) /* that is said already */
    log_trouble ("lease_renew_failed", lane, &err);
  if (kept == 0 && lane->state == LANE_RUNNING)
    lane_end (lane, ENDING_LOST);
}

/* Its attempt took BYTES more from servers. */
static void
add_coming (struct lane *lane, const struct crew *crew, int64_t bytes)
{
  lane->coming += bytes;
  if (crew->options->coming != NULL)
    __atomic_fetch_add (crew->options->coming, bytes, __ATOMIC_RELAXED);
}

static void
note_fetched (struct lane *lane, const struct crew *crew)
{
  counts_fetch (&crew->counts, lane->slot.fetched);
  for (int kind = 0; kind < STORAGE_KINDS; kind++)
    add_coming (lane, crew, lane->slot.fetched[kind].bytes);
}

static void
bury_slot (struct lane *lane, const struct crew *crew, const char *reason)
{
  auto_free char *text = text_log (reason);
  auto_free char *rest = xasprintf ("error=%s", text);
  log_shard (LOG_WARN, "slot_crashed", lane, rest);
  end_slot (lane);
  add_coming (lane, crew, -lane->coming);
  (void) workplace_sweep (lane->delivery->job->results, crew->options->scratch);
  bool cancelled = lane->ending != ENDING_NONE;
  auto_free char *why = xasprintf ("the slot process crashed: %s", reason);
  end_without_slot (lane, crew, cancelled ? OUTCOME_CANCELLED : OUTCOME_INFRA,
                    cancelled ? "cancelled" : why);
}

/* A slot that has nothing to do has nothing to say: it was killed. */
static void
look_at_idle (struct lane *lane)
{
  struct error err = ERROR_INIT;
  auto_event struct event event = { 0 };
  if (lane->slot.pid <= 0 || slot_report (&lane->slot, &event, &err) == 0)
    return;
  log_warn ("slot_crashed", "slot=%d", lane->number);
  end_slot (lane);
}

void
lane_look (struct lane *lane, struct crew *crew)
{
  struct error err = ERROR_INIT;
  if (lane->state == LANE_IDLE)
    look_at_idle (lane);
  if (lane->state != LANE_RUNNING)
    return;
  int got = slot_report (&lane->slot, &lane->event, &err);
  if (got > 0)
    note_fetched (lane, crew);
  if (got == 1)
    {
      lane->state = LANE_ENDED;
      lane->deaths = 0;
      add_coming (lane, crew, -lane->coming);
    }
  else if (got < 0)
    {
      event_release (&lane->event);
      bury_slot (lane, crew, err.message);
    }
  else if (lane->give_up_at != 0 && clock_boot_ms () >= lane->give_up_at)
    bury_slot (lane, crew, "it did not end its attempt in time");
}

/* ---- settling --------------------------------------------------------------------------- */

static void
forget_attempt (const struct lane *lane)
{
  if (lane->event.report.folder != NULL)
    workplace_forget (lane->delivery->job, lane->event.report.folder);
}

static void
log_done (const struct lane *lane, const struct shard *retry)
{
  const struct attempt_report *report = &lane->event.report;
  auto_free char *reason = report->reason == NULL ? NULL : text_log (report->reason);
  auto_free char *rest =
      xasprintf ("outcome=%s exit=%d seconds=%.3f final=%s%s%s", outcome_name (report->outcome),
                 report->exit_code, (double) (report->ended - report->started) / 1000.0,
                 retry == NULL ? "true" : "false",
                 reason == NULL ? "" : " reason=", reason == NULL ? "" : reason);
  log_shard (report->outcome == OUTCOME_SUCCEEDED ? LOG_INFO : LOG_WARN, "shard_done", lane, rest);
}

/* A machine that can't run a shard (no such image, a full disk) would fail at all of the job's
 * before others get to them. */
static void
leave_to_others (const struct delivery *delivery, struct crew *crew)
{
  uint32_t times = delivery->shard.infra < SHUN_DOUBLINGS ? delivery->shard.infra : SHUN_DOUBLINGS;
  bus_shun (crew->bus, delivery->job->id, (int64_t) SHUN_MS << times);
}

static int
settle (struct lane *lane, struct crew *crew, struct error *err)
{
  struct delivery *delivery = lane->delivery;
  struct attempt_report *report = &lane->event.report;
  auto_shard struct shard retry = { 0 };
  bool given_up = report->final; /* lost too often: start said so */
  bool again = !given_up
               && retry_decide (delivery->job, &delivery->shard, &crew->limits, clock_wall_ms (),
                                report, &retry);
  int settled = bus_settle (crew->bus, delivery, &lane->event, again ? &retry : NULL, err);
  lane->settling = settled == BUS_PENDING;
  if (lane->settling)
    {
      report->final = given_up;
      return 0;
    }
  if (settled < 0)
    {
      report->final = given_up;
      lane->settle_failed = true;
      return -1;
    }
  if (settled == 1)
    {
      counts_settle (&crew->counts, report, again);
      if (report->outcome == OUTCOME_INFRA)
        leave_to_others (delivery, crew);
      log_done (lane, again ? &retry : NULL);
    }
  else
    {
      counts_lose (&crew->counts);
      log_shard (LOG_WARN, "lease_lost", lane, "");
      /* After a settle that failed it may be our own that took hold: the folder is left to the
       * merger. */
      if (!lane->settle_failed)
        forget_attempt (lane);
    }
  return 0;
}

int
lane_settle (struct lane *lane, struct crew *crew, struct error *err)
{
  if (lane->state != LANE_ENDED)
    return 0;
  int result = 0;
  bool was_stopped = lane->event.report.outcome == OUTCOME_CANCELLED;
  if (lane->ending == ENDING_LOST)
    {
      counts_lose (&crew->counts);
      log_shard (LOG_WARN, "lease_lost", lane, "");
      forget_attempt (lane);
    }
  else if (lane->ending == ENDING_RELEASE && was_stopped)
    {
      forget_attempt (lane);
      log_shard (LOG_INFO, "shard_released", lane, "");
      result = bus_release (crew->bus, lane->delivery, err) < 0 ? -1 : 0;
    }
  else
    result = settle (lane, crew, err);
  if (result == 0 && !lane->settling)
    become_idle (lane);
  return result;
}

void
lane_release (struct lane *lane)
{
  slot_release (&lane->slot);
  delivery_free (take (&lane->delivery));
  event_release (&lane->event);
}
