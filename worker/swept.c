#include "worker/swept.h"

#include "common/log.h"
#include "common/text.h"
#include "worker/workplace.h"

enum
{
  SWEPT_MAX = 64,
};

void
swept_look (const char *scratch, const char *results)
{
  int folders = workplace_sweep (results, scratch);
  auto_free char *location = text_log (results);
  if (folders > 0)
    log_info ("stale_attempts_removed", "results=%s folders=%d", location, folders);
}

void
swept_all (struct swept *swept, const char *scratch)
{
  for (size_t i = 0; i < swept->results.count; i++)
    swept_look (scratch, swept->results.items[i]);
  strlist_release (&swept->results);
}

void
swept_once (struct swept *swept, const char *scratch, const char *results)
{
  if (strlist_has (&swept->results, results))
    return;
  if (swept->results.count >= SWEPT_MAX)
    swept_all (swept, scratch);
  strlist_add (&swept->results, results);
  swept_look (scratch, results);
}
