#include "storage/s3/credentials.h"

#include "common/buffer.h"
#include "common/clock.h"
#include "common/fs.h"
#include "common/memory.h"
#include "common/secret.h"
#include "storage/s3/credentials_internal.h"
#include "storage/s3/ini.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>

enum
{
  FILE_MAX = 1 << 20,
  EARLY_MS = 5 * 60 * 1000, /* temporary ones are replaced so long before they run out */
};

struct credentials
{
  char *name; /* NULL: the machine's own */
  pthread_mutex_t lock;
  bool known;
  bool stale;   /* a server didn't take them any more */
  int64_t look; /* wall ms at which others are looked for */
  struct found_credentials found;
};

struct credentials *
credentials_new (const char *name)
{
  struct credentials *credentials = xcalloc (1, sizeof *credentials);
  credentials->name = xstrdup (name);
  (void) pthread_mutex_init (&credentials->lock, NULL);
  return credentials;
}

static void
wipe (char **text)
{
  if (*text != NULL)
    explicit_bzero (*text, strlen (*text));
  free (*text);
  *text = NULL;
}

void
credentials_release (struct credentials_now *now)
{
  wipe (&now->id);
  wipe (&now->secret);
  wipe (&now->token);
}

void
credentials_free (struct credentials *credentials)
{
  if (credentials == NULL)
    return;
  credentials_release (&credentials->found.keys);
  (void) pthread_mutex_destroy (&credentials->lock);
  free (credentials->name);
  free (credentials);
}

/* ---- files ------------------------------------------------------------------------------ */

static char *
s3_credentials_path_of (const char *variable, const char *name)
{
  const char *path = getenv (variable);
  const char *home = getenv ("HOME");
  if (path != NULL && path[0] != '\0')
    return xstrdup (path);
  return home == NULL ? NULL : xasprintf ("%s/.aws/%s", home, name);
}

/* The value of NAME in the section of an INI file; the caller frees. */
static char *
setting_in (const char *path, const char *section, const char *name)
{
  auto_secret struct buffer text = { 0 };
  if (path == NULL || fs_read_file (AT_FDCWD, path, FILE_MAX, &text, NULL) != 0)
    return NULL;
  return ini_value (text.data, section, name);
}

static const char *
profile (void)
{
  const char *name = getenv ("AWS_PROFILE");
  return name == NULL || name[0] == '\0' ? "default" : name;
}

char *
credentials_setting (const char *name)
{
  auto_free char *credentials =
      s3_credentials_path_of ("AWS_SHARED_CREDENTIALS_FILE", "credentials");
  char *value = setting_in (credentials, profile (), name);
  if (value != NULL)
    return value;
  auto_free char *config = s3_credentials_path_of ("AWS_CONFIG_FILE", "config");
  return setting_in (config, profile (), name);
}

/* ---- where they are --------------------------------------------------------------------- */

/* 1, 0 when neither is there, or -1 when one is there without the other. */
static int
both_or_none (struct found_credentials *found, const char *where, struct error *err)
{
  bool id = found->keys.id != NULL && found->keys.id[0] != '\0';
  bool secret = found->keys.secret != NULL && found->keys.secret[0] != '\0';
  if (id && secret)
    return 1;
  if (id || secret)
    return error_set (err, ERROR_USER, "%s: %s without %s", where,
                      id ? "a key's id" : "a secret key", id ? "its secret key" : "its id");
  credentials_release (&found->keys);
  return 0;
}

static int
from_environment (struct found_credentials *found, struct error *err)
{
  found->keys.id = xstrdup (getenv ("AWS_ACCESS_KEY_ID"));
  found->keys.secret = xstrdup (getenv ("AWS_SECRET_ACCESS_KEY"));
  const char *token = getenv ("AWS_SESSION_TOKEN");
  found->keys.token = token == NULL || token[0] == '\0' ? NULL : xstrdup (token);
  return both_or_none (found, "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY", err);
}

static int
from_profile (struct found_credentials *found, struct error *err)
{
  found->keys.id = credentials_setting ("aws_access_key_id");
  found->keys.secret = credentials_setting ("aws_secret_access_key");
  found->keys.token = credentials_setting ("aws_session_token");
  auto_free char *where = xasprintf ("AWS profile %s", profile ());
  return both_or_none (found, where, err);
}

static int
s3_credentials_find (const char *name, struct found_credentials *found, struct error *err)
{
  static int (*const sources[]) (struct found_credentials *, struct error *) = {
    from_environment,           credentials_from_web_identity, from_profile,
    credentials_from_container, credentials_from_instance,
  };
  if (name != NULL)
    return credentials_from_name (name, found, err);
  for (size_t i = 0; i < sizeof sources / sizeof *sources; i++)
    {
      int result = sources[i](found, err);
      if (result != 0)
        return result > 0 ? 0 : -1;
    }
  return error_set (err, ERROR_USER,
                    "no AWS credentials: neither in the environment (AWS_ACCESS_KEY_ID, "
                    "AWS_SECRET_ACCESS_KEY) nor in the profile %s of ~/.aws, nor has this machine "
                    "a role; SHOAL_S3_ANONYMOUS=1 is for public buckets",
                    profile ());
}

static bool
is_old (const struct credentials *credentials)
{
  return !credentials->known || credentials->stale || clock_wall_ms () > credentials->look;
}

/* Early, but where it is late already not at each request: when half of what is left has passed. */
static void
plan_look (struct credentials *credentials)
{
  int64_t expires = credentials->found.expires;
  int64_t now = clock_wall_ms ();
  int64_t early = expires - EARLY_MS;
  int64_t half = now + (expires - now) / 2;
  credentials->look = expires == 0 ? INT64_MAX : early > half ? early : half;
}

/* Whether the old ones may do a little longer when there are no new ones because of WHY. */
static bool
may_go_on (const struct credentials *credentials, const struct error *why)
{
  bool run_out = credentials->stale || clock_wall_ms () >= credentials->found.expires;
  return credentials->known && (why->class == ERROR_TRANSIENT || !run_out);
}

/* 0 also when there are none and the old ones may do. Holding the lock. */
static int
s3_credentials_renew (struct credentials *credentials, struct error *err)
{
  struct found_credentials found = { 0 };
  struct error why = ERROR_INIT;
  if (s3_credentials_find (credentials->name, &found, &why) == 0)
    {
      credentials_release (&credentials->found.keys);
      credentials->found = found;
      credentials->known = true;
      credentials->stale = false;
      plan_look (credentials);
      return 0;
    }
  credentials_release (&found.keys);
  if (may_go_on (credentials, &why))
    {
      plan_look (credentials);
      return 0;
    }
  if (err != NULL)
    *err = why;
  return -1;
}

int
credentials_get (struct credentials *credentials, struct credentials_now *now, struct error *err)
{
  (void) pthread_mutex_lock (&credentials->lock);
  int result = is_old (credentials) ? s3_credentials_renew (credentials, err) : 0;
  if (result == 0)
    *now = (struct credentials_now){ .id = xstrdup (credentials->found.keys.id),
                                     .secret = xstrdup (credentials->found.keys.secret),
                                     .token = xstrdup (credentials->found.keys.token) };
  (void) pthread_mutex_unlock (&credentials->lock);
  return result;
}

void
credentials_expire (struct credentials *credentials)
{
  (void) pthread_mutex_lock (&credentials->lock);
  credentials->stale = true;
  (void) pthread_mutex_unlock (&credentials->lock);
}

bool
credentials_are_lent (struct credentials *credentials)
{
  (void) pthread_mutex_lock (&credentials->lock);
  bool lent =
      credentials->known && (credentials->name != NULL || credentials->found.keys.token != NULL);
  (void) pthread_mutex_unlock (&credentials->lock);
  return lent;
}
