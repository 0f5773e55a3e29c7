#include "producer/shares.h"

enum
{
  FRACTION = 1024, /* of a shard, lest roundings add up */
};

bool
shares_leads (int64_t window, const struct job_settings *settings)
{
  return !settings->paused && (settings->max_parallel < 0 || settings->max_parallel >= window);
}

int64_t
shares_window (int64_t window, const struct job_settings *settings, int32_t top)
{
  int64_t share = window * FRACTION;
  for (int32_t priority = settings->priority; priority < top; priority++)
    share = share * 4 / 5;
  share = (share + FRACTION / 2) / FRACTION;
  share = window > 0 && share < 1 ? 1 : share;
  bool limited = settings->max_parallel > 0 && (share == 0 || settings->max_parallel < share);
  return limited ? settings->max_parallel : share;
}
