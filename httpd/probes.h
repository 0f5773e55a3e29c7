/* probes.h — GET /metrics, /healthz and /readyz: what a service's health says. */
#ifndef SHOAL_HTTPD_PROBES_H
#define SHOAL_HTTPD_PROBES_H

#include "common/health.h"
#include "httpd/httpd.h"

enum
{
  PROBE_ROUTES = 3,
};

/* The three routes, open to everybody, quick. HEALTH outlives them. */
void probes_routes (struct health *health, struct http_route routes[static PROBE_ROUTES]);

#endif
