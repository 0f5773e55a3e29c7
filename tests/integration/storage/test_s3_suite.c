/* The storage suite against a real S3. */
#include "common/memory.h"
#include "tests/lib/s3_bucket.h"
#include "tests/lib/storage_conformance.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct storage *
open_bucket (void *context, struct error *err)
{
  const struct s3_bucket *bucket = context;
  auto_free char *source = xasprintf ("%s/in/", bucket->url);
  return storage_open (source, err);
}

static void
put (void *context, const char *path, struct bytes content)
{
  struct error err = ERROR_INIT;
  auto_storage struct storage *storage = open_bucket (context, &err);
  if (storage == NULL || storage_put (storage, path, content, false, &err) != 0)
    fail_msg ("%s: %s", path, err.message);
}

static void
take_away (void *context, const char *path)
{
  struct error err = ERROR_INIT;
  auto_storage struct storage *storage = open_bucket (context, &err);
  if (storage == NULL || storage_remove (storage, path, &err) != 0)
    fail_msg ("%s: %s", path, err.message);
}

static void
run_part (void (*part) (const struct storage_fixture *fixture))
{
  struct s3_bucket *bucket = s3_bucket_new ();
  const struct storage_fixture fixture = { .context = bucket,
                                           .put = put,
                                           .remove = take_away,
                                           .open = open_bucket,
                                           .remote = true,
                                           .text_names = true };
  part (&fixture);
  s3_bucket_free (bucket);
}

#define PART(name)                                                                                 \
  static void test_##name (void **state)                                                           \
  {                                                                                                \
    (void) state;                                                                                  \
    run_part (storage_conformance_##name);                                                         \
  }

PART (order)
PART (names)
PART (sizes)
PART (pruning)
PART (ending)
PART (files)
PART (many)
PART (fetch)
PART (pins)
PART (paths)

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_order),   cmocka_unit_test (test_names),  cmocka_unit_test (test_sizes),
    cmocka_unit_test (test_pruning), cmocka_unit_test (test_ending), cmocka_unit_test (test_files),
    cmocka_unit_test (test_many),    cmocka_unit_test (test_fetch),  cmocka_unit_test (test_pins),
    cmocka_unit_test (test_paths),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
