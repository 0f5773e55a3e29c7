#include "bus/kafka/keyring.h"

#include "common/clock.h"
#include "common/digest.h"
#include "common/memory.h"
#include "common/secret.h"

#include <fcntl.h>
#include <inttypes.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum
{
  FILE_MAX = 64 << 10,
  KEYS_MAX = 16,
  KEY_SIZE_MIN = 32,
};

static const char prefix[] = "sha256=";
static const char nobody[] = "unsigned"; /* in the place of a key */
static const char blanks[] = " \t\r";

struct key
{
  EVP_MAC_CTX *mac; /* keyed: begun anew for each record */
  int64_t until;    /* UTC ms; INT64_MAX: for good */
};

struct keyring
{
  struct key keys[KEYS_MAX];
  size_t count;
  size_t signs;           /* index of the one that signs */
  int64_t unsigned_until; /* UTC ms; 0: never */
};

static void
keyring_must (bool done)
{
  if (done)
    return;
  (void) fputs ("shoal: OpenSSL can't compute HMAC-SHA256\n", stderr);
  abort ();
}

/* ---- the file --------------------------------------------------------------------------- */

static EVP_MAC_CTX *
mac_new (const char *secret)
{
  char digest[] = "SHA256";
  const OSSL_PARAM parameters[] = {
    OSSL_PARAM_construct_utf8_string (OSSL_MAC_PARAM_DIGEST, digest, 0), OSSL_PARAM_construct_end ()
  };
  EVP_MAC *algorithm = EVP_MAC_fetch (NULL, "HMAC", NULL);
  keyring_must (algorithm != NULL);
  EVP_MAC_CTX *mac = EVP_MAC_CTX_new (algorithm);
  EVP_MAC_free (algorithm);
  keyring_must (mac != NULL
                && EVP_MAC_init (mac, (const unsigned char *) secret, strlen (secret), parameters)
                       == 1);
  return mac;
}

/* "until TIME", or nothing, behind a key. */
static int
parse_until (char *rest, int64_t *until, struct error *err)
{
  const char *word = strtok_r (rest, blanks, &rest);
  const char *text = strtok_r (rest, blanks, &rest);
  struct tm time = { 0 };
  *until = INT64_MAX;
  if (word == NULL)
    return 0;
  const char *end = text == NULL ? NULL : strptime (text, "%Y-%m-%dT%H:%M:%SZ", &time);
  if (strcmp (word, "until") != 0 || end == NULL || *end != '\0'
      || strtok_r (rest, blanks, &rest) != NULL)
    return error_set (err, ERROR_USER,
                      "expected a key and nothing, or \"until\" and a UTC time as "
                      "2026-12-01T00:00:00Z");
  *until = (int64_t) timegm (&time) * 1000;
  return 0;
}

static int
keyring_add_line (struct keyring *keyring, char *line, struct error *err)
{
  int64_t until = 0;
  char *rest = NULL;
  const char *word = strtok_r (line, blanks, &rest);
  if (word == NULL || word[0] == '#')
    return 0;
  if (parse_until (rest, &until, err) != 0)
    return -1;
  if (strcmp (word, nobody) == 0)
    {
      keyring->unsigned_until = until;
      return until < INT64_MAX ? 0
                               : error_set (err, ERROR_USER, "\"unsigned\" needs an end: \"%s\"",
                                            "unsigned until 2026-12-01T00:00:00Z");
    }
  if (strlen (word) < KEY_SIZE_MIN)
    return error_set (err, ERROR_USER,
                      "a key of fewer than %d characters can be guessed: `openssl rand -hex 32` "
                      "makes one",
                      KEY_SIZE_MIN);
  if (keyring->count == KEYS_MAX)
    return error_set (err, ERROR_USER, "more than %d keys", KEYS_MAX);
  keyring->keys[keyring->count++] = (struct key){ mac_new (word), until };
  return 0;
}

/* The first key that has no end signs. */
static int
choose_signer (struct keyring *keyring, struct error *err)
{
  while (keyring->signs < keyring->count && keyring->keys[keyring->signs].until < INT64_MAX)
    keyring->signs++;
  return keyring->signs < keyring->count
             ? 0
             : error_set (err, ERROR_USER,
                          "no key to sign with: a line with a key that has no \"until\" "
                          "(`openssl rand -hex 32` makes one)");
}

static int
read_lines (struct keyring *keyring, char *text, struct error *err)
{
  int number = 0;
  for (char *line = strsep (&text, "\n"); line != NULL; line = strsep (&text, "\n"))
    {
      number++;
      if (keyring_add_line (keyring, line, err) != 0)
        return error_wrap (err, "line %d", number);
    }
  return choose_signer (keyring, err);
}

struct keyring *
keyring_read (const char *path, struct error *err)
{
  auto_secret struct buffer text = { 0 };
  if (secret_read (AT_FDCWD, path, FILE_MAX, &text, err) != 0)
    return NULL;
  struct keyring *keyring = xcalloc (1, sizeof *keyring);
  if (read_lines (keyring, text.data, err) == 0)
    return keyring;
  (void) error_wrap (err, "%s", path);
  keyring_free (keyring);
  return NULL;
}

void
keyring_free (struct keyring *keyring)
{
  if (keyring == NULL)
    return;
  for (size_t i = 0; i < keyring->count; i++)
    EVP_MAC_CTX_free (keyring->keys[i].mac);
  free (keyring);
}

/* ---- signatures ------------------------------------------------------------------------- */

static void
keyring_add (EVP_MAC_CTX *mac, const void *bytes, size_t size)
{
  keyring_must (size == 0 || EVP_MAC_update (mac, bytes, size) == 1);
}

static const char *
keyring_make_mac (const struct key *key, const struct signed_record *record,
                  char text[static KEYRING_TEXT_SIZE])
{
  uint8_t sum[DIGEST_SIZE];
  size_t size = 0;
  char length[32];
  int digits = snprintf (length, sizeof length, "%zu", record->key.size);
  keyring_must (EVP_MAC_init (key->mac, NULL, 0, NULL) == 1);
  keyring_add (key->mac, record->topic, strlen (record->topic) + 1);
  keyring_add (key->mac, length, (size_t) digits + 1);
  keyring_add (key->mac, record->key.data, record->key.size);
  keyring_add (key->mac, record->value.data, record->value.size);
  keyring_must (EVP_MAC_final (key->mac, sum, &size, sizeof sum) == 1 && size == sizeof sum);
  memcpy (text, prefix, sizeof prefix - 1);
  (void) digest_format (sum, text + sizeof prefix - 1);
  return text;
}

const char *
keyring_sign (struct keyring *keyring, const struct signed_record *record,
              char text[static KEYRING_TEXT_SIZE])
{
  return keyring_make_mac (&keyring->keys[keyring->signs], record, text);
}

/* Says when a key that fits ceased to count. */
static int
refuse_old (int64_t until, struct error *err)
{
  char when[CLOCK_TEXT_SIZE];
  return error_set (err, ERROR_USER,
                    "it is signed with a key that counts for what was written before %s only",
                    clock_format (until, when));
}

static int
refuse_unsigned (const struct keyring *keyring, struct error *err)
{
  char when[CLOCK_TEXT_SIZE];
  return keyring->unsigned_until == 0
             ? error_set (err, ERROR_USER,
                          "it isn't signed: its sender needs the key that this bus is read with "
                          "(--job-key, header " KEYRING_HEADER ")")
             : error_set (
                 err, ERROR_USER,
                 "it isn't signed: only what was written before %s need not be (--job-key)",
                 clock_format (keyring->unsigned_until, when));
}

static int
verify (struct keyring *keyring, const struct signed_record *record, struct bytes signature,
        int64_t time, struct error *err)
{
  char text[KEYRING_TEXT_SIZE];
  int64_t old = 0;
  for (size_t i = 0; signature.size == sizeof text - 1 && i < keyring->count; i++)
    {
      (void) keyring_make_mac (&keyring->keys[i], record, text);
      if (CRYPTO_memcmp (text, signature.data, signature.size) != 0)
        continue;
      if (time < keyring->keys[i].until)
        return 0;
      old = keyring->keys[i].until;
    }
  if (old != 0)
    return refuse_old (old, err);
  return error_set (err, ERROR_USER,
                    "its signature is of none of the keys that this bus is read with (--job-key), "
                    "or it was changed after it was signed");
}

int
keyring_verify (struct keyring *keyring, const struct signed_record *record, struct bytes signature,
                int64_t time, struct error *err)
{
  if (signature.size == 0 && time < keyring->unsigned_until)
    return 0;
  int result = signature.size == 0 ? refuse_unsigned (keyring, err)
                                   : verify (keyring, record, signature, time, err);
  if (result != 0 && err != NULL)
    err->code = signature.size == 0 ? KEYRING_UNSIGNED : KEYRING_BAD;
  return result;
}
