/* ulimit.h — a limit of each process in a container, as docker has it: "nofile=1024:2048". */
#ifndef SHOAL_SCHEMAS_ULIMIT_H
#define SHOAL_SCHEMAS_ULIMIT_H

#include "common/error.h"

#include <sys/resource.h>

struct ulimit
{
  const char *name; /* "nofile" */
  const char *oci;  /* "RLIMIT_NOFILE" */
  int resource;
  rlim_t soft; /* RLIM_INFINITY: none */
  rlim_t hard;
};

/* Reads "NAME=SOFT[:HARD]", -1 for no limit; ERROR_USER. */
int ulimit_parse (const char *text, struct ulimit *limit, struct error *err);

#endif
