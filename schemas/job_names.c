#include "schemas/job_names.h"

#include "common/digest.h"
#include "common/hex.h"
#include "schemas/job_bounds.h"

#include <string.h>

/* ---- texts ------------------------------------------------------------------------------ */

/* Whether the bytes at AT begin one of the characters of UTF-8 that no person sees and every
 * terminal obeys. */
static bool
is_unseen (const unsigned char *at)
{
  if (at[0] == 0xc2)
    return at[1] >= 0x80 && at[1] <= 0x9f; /* C1 */
  if (at[0] != 0xe2 || at[1] == '\0')
    return false;
  if (at[1] == 0x80)
    return at[2] == 0x8e || at[2] == 0x8f || (at[2] >= 0xa8 && at[2] <= 0xae);
  return at[1] == 0x81 && at[2] >= 0xa6 && at[2] <= 0xa9;
}

bool
job_text_is_plain (const char *text)
{
  for (const unsigned char *at = (const unsigned char *) text; *at != '\0'; at++)
    if (*at < ' ' || *at == 0x7f || is_unseen (at))
      return false;
  return true;
}

/* ---- names ------------------------------------------------------------------------------ */

int
job_check_id (const char *id, struct error *err)
{
  static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
  size_t length = strlen (id);
  if (length > 0 && length <= JOB_ID_MAX && strspn (id, allowed) == length && id[0] != '.'
      && id[0] != '-')
    return 0;
  return error_set (err, ERROR_USER,
                    "\"%.200s\": expected 1 to %d letters, digits, '.', '_' or '-', the first a "
                    "letter, a digit or '_'",
                    id, JOB_ID_MAX);
}

int
job_check_output_name (const char *name, struct error *err)
{
  if (name[0] != '\0' && strchr (name, '/') == NULL && strcmp (name, ".") != 0
      && strcmp (name, "..") != 0 && strlen (name) <= JOB_NAME_MAX && job_text_is_plain (name))
    return 0;
  return error_set (err, ERROR_USER, "\"%.300s\": expected a folder's name", name);
}

int
job_check_queue (const char *queue, struct error *err)
{
  static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";
  size_t length = strlen (queue);
  if (length > 0 && length <= JOB_QUEUE_MAX && strspn (queue, allowed) == length)
    return 0;
  return error_set (err, ERROR_USER,
                    "\"%.100s\": expected 1 to %d small letters, digits, '_' or '-'", queue,
                    JOB_QUEUE_MAX);
}

int
job_check_platform_name (const char *platform, struct error *err)
{
  static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789._-";
  const char *at = platform;
  size_t length = strspn (at, allowed);
  int parts = 1;
  for (; length > 0 && at[length] == '/'; parts++)
    {
      at += length + 1;
      length = strspn (at, allowed);
    }
  if (length > 0 && at[length] == '\0' && (parts == 2 || parts == 3)
      && strlen (platform) <= JOB_NAME_MAX)
    return 0;
  return error_set (err, ERROR_USER,
                    "\"%.100s\" is not a platform (expected OS/ARCHITECTURE[/VARIANT], as in "
                    "linux/arm64)",
                    platform);
}

int
job_check_image_id (const char *id, struct error *err)
{
  static const char prefix[] = "sha256:";
  size_t start = sizeof prefix - 1;
  if (strncmp (id, prefix, start) == 0 && hex_is_text (id + start, DIGEST_TEXT_SIZE - 1))
    return 0;
  return error_set (err, ERROR_USER,
                    "\"%.100s\": expected sha256: and 64 hexadecimal digits, as `shoal image "
                    "list` shows them",
                    id);
}

int
job_check_credentials (const char *name, struct error *err)
{
  static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
  size_t length = strlen (name);
  if (length > 0 && length <= JOB_CREDENTIALS_MAX && name[0] != '-'
      && strspn (name, allowed) == length)
    return 0;
  return error_set (err, ERROR_USER,
                    "expected the name of credentials, 1 to %d small letters, digits or '-' (what "
                    "was given isn't shown: it may be a secret)",
                    JOB_CREDENTIALS_MAX);
}

int
job_check_webhook (const char *url, struct error *err)
{
  bool web = strncmp (url, "https://", 8) == 0 || strncmp (url, "http://", 7) == 0;
  const char *host = web ? strstr (url, "://") + 3 : "";
  size_t length = strcspn (host, "/?#");
  for (const char *at = url; web && *at != '\0'; at++)
    web = *at > ' ' && *at < 0x7f;
  if (!web || length == 0 || strlen (url) > JOB_URL_MAX)
    return error_set (err, ERROR_USER, "\"%.300s\": expected http://HOST/… or https://HOST/…", url);
  if (memchr (host, '@', length) != NULL)
    return error_set (err, ERROR_USER,
                      "a webhook's URL can't have a password, because jobs aren't secret: the "
                      "merger signs its requests (SHOAL_WEBHOOK_SECRET)");
  return 0;
}
