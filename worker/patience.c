#include "worker/patience.h"

#include "common/clock.h"
#include "common/memory.h"
#include "common/units.h"

enum
{
  READ_MS = 100, /* between two looks for orders */
};

void
patience_start (struct patience *patience, int64_t limit_ms, int64_t otherwise,
                enum attempt_order order)
{
  int64_t now = clock_run_ms ();
  patience->limit_ms = limit_ms < 0 ? otherwise : limit_ms;
  patience->deadline = patience->limit_ms < INT64_MAX - now ? now + patience->limit_ms : INT64_MAX;
  if (order != ATTEMPT_GO_ON && now + patience->grace_ms < patience->deadline)
    patience->deadline = now + patience->grace_ms;
  patience->order = order;
}

static void
patience_read_order (struct patience *patience, int64_t now)
{
  const struct attempt_control *control = patience->control;
  patience->read_at = now;
  enum attempt_order order = control->fd < 0 ? ATTEMPT_GO_ON : control->read (control->context);
  if (order <= patience->order)
    return;
  bool first = patience->order == ATTEMPT_GO_ON;
  patience->order = order;
  if (first && now + patience->grace_ms < patience->deadline)
    patience->deadline = now + patience->grace_ms;
}

char *
patience_reason (const struct patience *patience)
{
  char text[UNITS_TEXT_SIZE];
  return xasprintf ("%s exceeded its time limit of %s (%s)", patience->doing,
                    units_format_duration (patience->limit_ms, text), patience->option);
}

static int
patience_check (void *context, struct error *err)
{
  struct patience *patience = context;
  int64_t now = clock_run_ms ();
  if (now >= patience->read_at + READ_MS)
    patience_read_order (patience, now);
  if (patience->order != ATTEMPT_KILL && now < patience->deadline)
    return 0;
  patience->stopped = patience->order != ATTEMPT_GO_ON;
  patience->late = !patience->stopped;
  if (patience->stopped)
    return error_set (err, ERROR_TRANSIENT, "%s was stopped", patience->doing);
  auto_free char *reason = patience_reason (patience);
  return error_set (err, ERROR_TRANSIENT, "%s", reason);
}

struct halt
patience_halt (struct patience *patience)
{
  return (struct halt){ .ask = patience_check, .context = patience };
}
