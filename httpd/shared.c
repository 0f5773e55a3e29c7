/* What the parts of the server call of each other: counting, waking. */
#include "httpd/httpd_internal.h"

#include <unistd.h>

void
httpd_count_end (const struct httpd *httpd, const char *reason)
{
  if (httpd->options.metrics != NULL)
    metric_add (metrics_counter (httpd->options.metrics, "shoal_http_connections_closed_total",
                                 "Connections closed by the server, by reason.",
                                 LABELS ("reason", reason)),
                1);
}

void
httpd_wake (const struct httpd *httpd)
{
  const uint64_t one = 1;
  (void) !write (httpd->wake, &one, sizeof one);
}
