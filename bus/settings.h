/* settings.h — how jobs go on: their priority, how many shards run, whether they are paused; as
 * they were submitted, and as control records have set it since.
 *
 * Belongs to one thread.
 */
#ifndef SHOAL_BUS_SETTINGS_H
#define SHOAL_BUS_SETTINGS_H

#include "bus/bus.h"

struct job_settings
{
  int32_t priority;
  int64_t max_parallel; /* -1: any number */
  bool paused;
};

struct settings;

struct settings *settings_new (void);
void settings_free (struct settings *settings);

static inline void
auto_settings_ (struct settings **settings)
{
  settings_free (*settings);
}
#define auto_settings AUTO (auto_settings_)

/* Takes in CONTROL, in the order of the bus; what isn't a CONTROL_SET means nothing. */
void settings_apply (struct settings *settings, const struct control *control);

/* All that BUS has now. NULL with ERR. */
struct settings *settings_read (struct bus *bus, struct error *err);

struct job_settings settings_of (const struct settings *settings, const struct job *job);

#endif
