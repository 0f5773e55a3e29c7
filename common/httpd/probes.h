/* probes.h — GET /metrics, /healthz and /readyz: what a service's vitals say. */
#ifndef SHOAL_COMMON_HTTPD_PROBES_H
#define SHOAL_COMMON_HTTPD_PROBES_H

#include "common/httpd/httpd.h"
#include "common/vitals.h"

enum
{
  PROBE_ROUTES = 3,
};

/* The three routes, open to everybody, quick. VITALS outlives them. */
void probes_routes (struct vitals *vitals, struct http_route routes[static PROBE_ROUTES]);

#endif
