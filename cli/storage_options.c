#include "cli/storage_options.h"

#include "common/memory.h"
#include "common/units.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int
set_variable (const char *name, const char *value, struct error *err)
{
  return setenv (name, value, 1) == 0 ? 0 : error_errno (err, errno, "%s", name);
}

/* The value isn't told: it may be a URL with a password in it. */
static int
set_server (const char *name, const char *value, struct error *err)
{
  if (strncmp (value, "http://", 7) != 0 && strncmp (value, "https://", 8) != 0)
    return error_set (err, ERROR_USER, "expected http://HOST[:PORT] or https://HOST[:PORT]");
  return set_variable (name, value, err);
}

static int
set_s3_endpoint (void *context, const char *value, struct error *err)
{
  (void) context;
  return set_server ("AWS_ENDPOINT_URL_S3", value, err);
}

static int
set_ipfs_api (void *context, const char *value, struct error *err)
{
  (void) context;
  return set_server ("SHOAL_IPFS_API", value, err);
}

static int
set_ipfs_gateway (void *context, const char *value, struct error *err)
{
  (void) context;
  return set_server ("SHOAL_IPFS_GATEWAY", value, err);
}

/* Absolute, so that it is the same folder for whoever we start. */
static int
set_folder (const char *name, const char *value, struct error *err)
{
  if (value[0] == '\0')
    return error_set (err, ERROR_USER, "expected a folder");
  if (value[0] == '/')
    return set_variable (name, value, err);
  auto_free char *here = getcwd (NULL, 0);
  if (here == NULL)
    return error_errno (err, errno, "the current folder");
  auto_free char *path = xasprintf ("%s/%s", here, value);
  return set_variable (name, path, err);
}

static int
set_cache_dir (void *context, const char *value, struct error *err)
{
  (void) context;
  return set_folder ("SHOAL_CACHE_DIR", value, err);
}

static int
set_credentials_dir (void *context, const char *value, struct error *err)
{
  (void) context;
  return set_folder ("SHOAL_CREDENTIALS_DIR", value, err);
}

static int
set_cache_size (void *context, const char *value, struct error *err)
{
  int64_t size = 0;
  (void) context;
  return units_parse_size (value, &size, err) != 0 ? -1
                                                   : set_variable ("SHOAL_CACHE_SIZE", value, err);
}

int
set_keep_attempts (void *context, const char *value, struct error *err)
{
  (void) context;
  (void) value;
  return set_variable ("SHOAL_KEEP_ATTEMPTS", "1", err);
}

int
prefetch_parse (const char *value, int64_t *bytes, struct error *err)
{
  *bytes = 0;
  return strcmp (value, "0") == 0 ? 0 : units_parse_size (value, bytes, err);
}

const struct option_spec storage_options[] = {
  { 0, "s3-endpoint", NULL, "URL",
    "URL of the S3 service (default AWS_ENDPOINT_URL_S3, else Amazon S3)", GROUP_RUN, true,
    set_s3_endpoint },
  { 0, "credentials-dir", NULL, "DIR",
    "directory of named S3 credentials (default SHOAL_CREDENTIALS_DIR)", GROUP_RUN, true,
    set_credentials_dir },
  { 0, "ipfs-api", NULL, "URL", "RPC URL of an IPFS node (default SHOAL_IPFS_API)", GROUP_RUN, true,
    set_ipfs_api },
  { 0, "ipfs-gateway", NULL, "URL", "URL of an IPFS gateway (default SHOAL_IPFS_GATEWAY)",
    GROUP_RUN, true, set_ipfs_gateway },
  { 0, "cache-dir", NULL, "DIR",
    "directory to cache downloaded inputs in (default SHOAL_CACHE_DIR)", GROUP_RUN, true,
    set_cache_dir },
  { 0, "cache-size", NULL, "SIZE",
    "size limit of --cache-dir; the oldest are evicted (default 10g)", GROUP_RUN, true,
    set_cache_size },
  { 0 },
};

const struct option_spec keep_options[] = {
  { 0, "keep-attempts", NULL, NULL, "keep superseded attempts in a result on S3", GROUP_RUN, true,
    set_keep_attempts },
  { 0 },
};
