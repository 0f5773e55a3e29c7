/* Keys of signed records: the file, signatures as another program makes them, what is verified
 * until when. */
#include "bus/kafka/keyring.h"
#include "common/buffer.h"
#include "common/clock.h"
#include "common/memory.h"
#include "tests/lib/seed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define ONE "0123456789abcdef0123456789abcdef"
#define TWO "fedcba9876543210fedcba9876543210"
#define NOON 1796126400000 /* 2026-12-01T12:00:00Z */
#define NOON_TEXT "2026-12-01T12:00:00Z"

static struct signed_record
record (const char *topic, const char *key, const char *value)
{
  return (struct signed_record){ topic, { key, strlen (key) }, { value, strlen (value) } };
}

/* A keyring of TEXT in a file of MODE; NULL with ERR. */
static struct keyring *
keyring_in_mode (const char *text, mode_t mode, struct error *err)
{
  char path[] = "/tmp/keyring-XXXXXX";
  auto_fd int fd = mkstemp (path);
  assert_true (fd >= 0);
  assert_int_equal (write (fd, text, strlen (text)), strlen (text));
  assert_int_equal (fchmod (fd, mode), 0);
  error_clear (err);
  struct keyring *keyring = keyring_read (path, err);
  (void) unlink (path);
  return keyring;
}

static struct keyring *
keyring_of (const char *text)
{
  struct error err = ERROR_INIT;
  struct keyring *keyring = keyring_in_mode (text, 0600, &err);
  if (keyring == NULL)
    fail_msg ("%s", err.message);
  return keyring;
}

static int
verify (struct keyring *keyring, const struct signed_record *signed_record, const char *signature,
        int64_t time, struct error *err)
{
  error_clear (err);
  return keyring_verify (keyring, signed_record,
                         (struct bytes){ signature, signature == NULL ? 0 : strlen (signature) },
                         time, err);
}

/* Python: hmac.new (ONE, b"%s\0%d\0%s%s" % (topic, len (key), key, value), "sha256").hexdigest
 * () */
static void
signatures_are_those_of_other_programs (void **state)
{
  (void) state;
  char text[KEYRING_TEXT_SIZE];
  struct keyring *keyring = keyring_of ("# a comment\n\n  " ONE " \r\n");
  const struct signed_record job = record ("shoal.jobs", "resize", "\xc3\x01payload");
  const struct signed_record empty = record ("shoal.jobs", "", "");
  assert_string_equal (keyring_sign (keyring, &job, text),
                       "sha256="
                       "e0d3cb6cdcd3a6a446e5604c3e5729cf23e3b60fdd7372f73bae7aff23887e65");
  assert_string_equal (keyring_sign (keyring, &empty, text),
                       "sha256="
                       "c31d263674341654708f33fdc4c91350f447c7e8a2834e372207179d0577d977");
  keyring_free (keyring);
}

static void
a_signature_is_of_one_record_in_one_topic (void **state)
{
  (void) state;
  struct error err = ERROR_INIT;
  char text[KEYRING_TEXT_SIZE];
  struct keyring *keyring = keyring_of (ONE "\n");
  const struct signed_record good = record ("a.shards", "key", "value");
  const struct signed_record others[] = {
    record ("b.shards", "key", "value"),   record ("a.shards.gpu", "key", "value"),
    record ("a.shards", "keyv", "alue"),   record ("a.shards", "ke", "yvalue"),
    record ("a.shards", "", "keyvalue"),   record ("a.shards", "key", "valuf"),
    record ("a.shards", "key", "value\n"),
  };
  (void) keyring_sign (keyring, &good, text);
  assert_int_equal (verify (keyring, &good, text, NOON, &err), 0);
  for (size_t i = 0; i < sizeof others / sizeof *others; i++)
    {
      assert_int_equal (verify (keyring, &others[i], text, NOON, &err), -1);
      assert_int_equal (err.code, KEYRING_BAD);
      assert_int_equal (err.class, ERROR_USER);
    }
  keyring_free (keyring);
}

static void
the_first_signs_and_all_verify (void **state)
{
  (void) state;
  struct error err = ERROR_INIT;
  char by_one[KEYRING_TEXT_SIZE];
  char by_both[KEYRING_TEXT_SIZE];
  struct keyring *one = keyring_of (ONE);
  struct keyring *two = keyring_of (TWO "\n");
  struct keyring *both = keyring_of (TWO "\n" ONE "\n");
  const struct signed_record job = record ("shoal.jobs", "j", "v");
  (void) keyring_sign (one, &job, by_one);
  (void) keyring_sign (both, &job, by_both);
  assert_int_equal (verify (both, &job, by_one, NOON, &err), 0);
  assert_int_equal (verify (two, &job, by_both, NOON, &err), 0);
  assert_int_equal (verify (one, &job, by_both, NOON, &err), -1);
  assert_int_equal (verify (two, &job, by_one, NOON, &err), -1);
  assert_non_null (strstr (err.message, "of none of the keys"));
  keyring_free (one);
  keyring_free (two);
  keyring_free (both);
}

/* One that was replaced is good for what the brokers had before, and signs nothing. */
static void
an_old_key_counts_for_old_records (void **state)
{
  (void) state;
  struct error err = ERROR_INIT;
  char by_one[KEYRING_TEXT_SIZE];
  char by_new[KEYRING_TEXT_SIZE];
  struct keyring *one = keyring_of (ONE);
  struct keyring *two = keyring_of (TWO);
  struct keyring *turned = keyring_of (ONE " until " NOON_TEXT "\n" TWO "\n");
  const struct signed_record job = record ("shoal.jobs", "j", "v");
  (void) keyring_sign (one, &job, by_one);
  (void) keyring_sign (turned, &job, by_new);
  assert_int_equal (verify (two, &job, by_new, NOON, &err), 0);
  assert_int_equal (verify (turned, &job, by_one, NOON - 1, &err), 0);
  assert_int_equal (verify (turned, &job, by_one, NOON, &err), -1);
  assert_int_equal (err.code, KEYRING_BAD);
  assert_non_null (strstr (err.message, "before 2026-12-01T12:00:00.000Z only"));
  keyring_free (one);
  keyring_free (two);
  keyring_free (turned);
}

static void
unsigned_records_may_count_for_a_while (void **state)
{
  (void) state;
  struct error err = ERROR_INIT;
  struct keyring *strict = keyring_of (ONE);
  struct keyring *turning = keyring_of ("unsigned until " NOON_TEXT "\n" ONE);
  const struct signed_record job = record ("shoal.jobs", "j", "v");
  assert_int_equal (verify (strict, &job, NULL, 0, &err), -1);
  assert_int_equal (err.code, KEYRING_UNSIGNED);
  assert_int_equal (verify (turning, &job, NULL, NOON - 1, &err), 0);
  assert_int_equal (verify (turning, &job, NULL, NOON, &err), -1);
  assert_int_equal (err.code, KEYRING_UNSIGNED);
  /* One that is signed badly isn't one that isn't signed. */
  assert_int_equal (verify (turning, &job, "sha256=00", NOON - 1, &err), -1);
  assert_int_equal (err.code, KEYRING_BAD);
  keyring_free (strict);
  keyring_free (turning);
}

static void
no_other_text_is_a_signature (void **state)
{
  (void) state;
  struct error err = ERROR_INIT;
  char text[KEYRING_TEXT_SIZE];
  struct keyring *keyring = keyring_of (ONE);
  const struct signed_record job = record ("shoal.jobs", "j", "v");
  unsigned int seed = seed_of_test ();
  (void) keyring_sign (keyring, &job, text);
  for (int round = 0; round < 20000; round++)
    {
      char changed[KEYRING_TEXT_SIZE];
      memcpy (changed, text, sizeof text);
      size_t at = (size_t) rand_r (&seed) % (sizeof text - 1);
      size_t size = rand_r (&seed) % 4 == 0 ? at : sizeof text - 1;
      changed[at] = (char) (changed[at] ^ (1 + rand_r (&seed) % 255));
      assert_int_equal (keyring_verify (keyring, &job, (struct bytes){ changed, size }, NOON, &err),
                        -1);
      assert_int_equal (err.code, size == 0 ? KEYRING_UNSIGNED : KEYRING_BAD);
    }
  keyring_free (keyring);
}

static void
a_file_that_is_wrong_is_refused_without_its_keys (void **state)
{
  (void) state;
  static const struct
  {
    const char *text;
    const char *says;
  } files[] = {
    { "", "no key to sign with" },
    { "# nothing\n", "no key to sign with" },
    { ONE " until " NOON_TEXT "\n", "no key to sign with" },
    { "unsigned until " NOON_TEXT "\n", "no key to sign with" },
    { "unsigned\n" ONE, "line 1: \"unsigned\" needs an end" },
    { ONE "\nsecret-hush\n", "line 2: a key of fewer than 32 characters" },
    { ONE " secret-hush\n", "line 1: expected a key and nothing" },
    { ONE " until secret-hush\n", "line 1: expected a key and nothing" },
    { ONE " until\n", "line 1: expected a key and nothing" },
    { ONE " until 2026-12-01\n", "line 1: expected a key and nothing" },
    { ONE " until " NOON_TEXT "x\n", "line 1: expected a key and nothing" },
    { ONE " until " NOON_TEXT " secret-hush\n", "line 1: expected a key and nothing" },
    { "-----BEGIN secret-hush PRIVATE KEY-----\n", "line 1: expected a key and nothing" },
  };
  for (size_t i = 0; i < sizeof files / sizeof *files; i++)
    {
      struct error err = ERROR_INIT;
      assert_null (keyring_in_mode (files[i].text, 0600, &err));
      if (strstr (err.message, files[i].says) == NULL || err.class != ERROR_USER)
        fail_msg ("\"%s\": %s", files[i].text, err.message);
      assert_null (strstr (err.message, "hush"));
      assert_null (strstr (err.message, ONE));
    }
  auto_buffer struct buffer many = { 0 };
  for (int i = 0; i < 17; i++)
    buffer_printf (&many, "%032d\n", i);
  struct error err = ERROR_INIT;
  assert_null (keyring_in_mode (many.data, 0600, &err));
  assert_non_null (strstr (err.message, "line 17: more than 16 keys"));
  assert_null (keyring_read ("/nowhere/at/all", &err));
  assert_null (keyring_read ("/", &err));
  assert_non_null (strstr (err.message, "not a file"));
}

static void
a_file_for_all_to_read_is_refused (void **state)
{
  (void) state;
  static const mode_t open_modes[] = { 0604, 0602, 0601, 0644, 0666, 0777 };
  static const mode_t closed_modes[] = { 0400, 0600, 0440, 0660 };
  struct error err = ERROR_INIT;
  for (size_t i = 0; i < sizeof open_modes / sizeof *open_modes; i++)
    {
      assert_null (keyring_in_mode (ONE, open_modes[i], &err));
      assert_int_equal (err.class, ERROR_USER);
      assert_non_null (strstr (err.message, "all users of this machine"));
      assert_non_null (strstr (err.message, "`chmod o= "));
    }
  for (size_t i = 0; i < sizeof closed_modes / sizeof *closed_modes; i++)
    {
      struct keyring *keyring = keyring_in_mode (ONE, closed_modes[i], &err);
      assert_non_null (keyring);
      keyring_free (keyring);
    }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (signatures_are_those_of_other_programs),
    cmocka_unit_test (a_signature_is_of_one_record_in_one_topic),
    cmocka_unit_test (the_first_signs_and_all_verify),
    cmocka_unit_test (an_old_key_counts_for_old_records),
    cmocka_unit_test (unsigned_records_may_count_for_a_while),
    cmocka_unit_test (no_other_text_is_a_signature),
    cmocka_unit_test (a_file_that_is_wrong_is_refused_without_its_keys),
    cmocka_unit_test (a_file_for_all_to_read_is_refused),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
