/* heartbeat.h — keeps a merger's membership alive while it does something long, and tells it when
 * it lost it. */
#ifndef SHOAL_MERGER_HEARTBEAT_H
#define SHOAL_MERGER_HEARTBEAT_H

#include "common/error.h"
#include "common/halt.h"

#include <stddef.h>
#include <stdint.h>

struct heartbeat
{
  /* -1 with ERR when somebody else has the work by now. Cheap: looks at a clock most of the
   * time. */
  int (*renew) (void *context, struct error *err);

  /* The same, certainly asked and not remembered: before something is done that can't be taken
   * back. */
  int (*confirm) (void *context, struct error *err);
  void *context;
};

static inline int
heartbeat_renew (const struct heartbeat *heartbeat, struct error *err)
{
  return heartbeat == NULL ? 0 : heartbeat->renew (heartbeat->context, err);
}

static inline int
heartbeat_ask_ (void *context, struct error *err)
{
  return heartbeat_renew (context, err);
}

/* What renews HEARTBEAT, which outlives it, while something waits for a file or a server. */
static inline struct halt
heartbeat_halt (const struct heartbeat *heartbeat)
{
  return (struct halt){ .ask = heartbeat_ask_, .context = (void *) (uintptr_t) heartbeat };
}

static inline int
heartbeat_confirm (const struct heartbeat *heartbeat, struct error *err)
{
  return heartbeat == NULL ? 0 : heartbeat->confirm (heartbeat->context, err);
}

#endif
