/* pulse.h — keeps a merger's membership alive while it does something long, and tells it when it
 * lost it. */
#ifndef SHOAL_MERGER_PULSE_H
#define SHOAL_MERGER_PULSE_H

#include "common/error.h"

#include <stddef.h>

struct pulse
{
  /* -1 with ERR when somebody else has the work by now. Cheap: looks at a clock most of the
   * time. */
  int (*beat) (void *context, struct error *err);

  /* The same, certainly asked and not remembered: before something is done that can't be taken
   * back. */
  int (*confirm) (void *context, struct error *err);
  void *context;
};

static inline int
pulse_beat (const struct pulse *pulse, struct error *err)
{
  return pulse == NULL ? 0 : pulse->beat (pulse->context, err);
}

static inline int
pulse_confirm (const struct pulse *pulse, struct error *err)
{
  return pulse == NULL ? 0 : pulse->confirm (pulse->context, err);
}

#endif
