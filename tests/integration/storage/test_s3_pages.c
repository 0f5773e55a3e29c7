/* Long listings: split wherever the guesses fall, told in their order, each key once, and not asked
 * for much more often than they have pages. */
#include "common/buffer.h"
#include "common/fs.h"
#include "common/memory.h"
#include "storage/listing.h"
#include "storage/storage.h"
#include "tests/lib/peer.h"
#include "tests/lib/seed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum
{
  LOG_MAX = 1 << 24,
};

static const char *const kinds[] = { "decimal", "plain",   "hash", "upper", "dates",
                                     "words",   "outlier", "deep", "one" };

struct seen
{
  struct buffer text;
  const char *closed; /* a folder that isn't entered; NULL */
};

static bool
enter (void *context, const char *path, size_t size)
{
  const struct seen *seen = context;
  (void) size;
  return seen->closed == NULL || strcmp (path, seen->closed) != 0;
}

static int
see (void *context, const struct storage_entry *entry, struct error *err)
{
  struct seen *seen = context;
  (void) err;
  if (!entry->folder)
    buffer_printf (&seen->text, "%s\n", entry->path);
  return 0;
}

static void
read_log (const struct peer *peer, struct buffer *text)
{
  assert_int_equal (fs_read_file (AT_FDCWD, peer->log, LOG_MAX, text, NULL), 0);
  buffer_putc (text, '\0');
}

/* The keys of the bucket, those beneath the folder CLOSED left out; and into *PAGES how many were
 * asked for. */
static void
read_wanted (const struct peer *peer, const char *closed, struct buffer *keys, int *pages)
{
  auto_buffer struct buffer log = { 0 };
  auto_free char *beneath = closed == NULL ? NULL : xasprintf ("%s/", closed);
  char *rest = NULL;
  read_log (peer, &log);
  *pages = 0;
  for (char *line = strtok_r (log.data, "\n", &rest); line != NULL;
       line = strtok_r (NULL, "\n", &rest))
    if (strncmp (line, "key ", 4) != 0)
      (*pages)++;
    else if (beneath == NULL || strncmp (line + 4, beneath, strlen (beneath)) != 0)
      buffer_printf (keys, "%s\n", line + 4);
}

static void
list (const struct peer *peer, struct seen *seen)
{
  struct error err = ERROR_INIT;
  auto_free char *url = xasprintf ("http://127.0.0.1:%d", peer->port);
  (void) setenv ("AWS_ENDPOINT_URL", url, 1);
  (void) setenv ("SHOAL_S3_ANONYMOUS", "1", 1);
  auto_storage struct storage *storage = storage_open ("s3://said", &err);
  assert_non_null (storage);
  const struct storage_visitor visitor = { .context = seen, .enter = enter, .entry = see };
  if (storage_list (storage, &visitor, &err) != 0)
    fail_msg ("%s", err.message);
}

/* Whose pages take long enough to be worth ranges. */
static struct peer *
start_lister (const char *kind, unsigned int seed, int keys, int page, int begin_ms)
{
  auto_free char *seed_text = xasprintf ("%u", seed);
  auto_free char *keys_text = xasprintf ("%d", keys);
  auto_free char *page_text = xasprintf ("%d", page);
  auto_free char *begin_text = xasprintf ("%d", begin_ms);
  return peer_start ("s3_lister.py", "LOG", kind, seed_text, keys_text, page_text, "25", begin_text,
                     NULL);
}

static void
check (const char *kind, unsigned int seed, int keys, int page, const char *closed)
{
  auto_peer struct peer *peer = start_lister (kind, seed, keys, page, 0);
  struct seen seen = { .closed = closed };
  auto_buffer struct buffer wanted = { 0 };
  int asked = 0;
  list (peer, &seen);
  read_wanted (peer, closed, &wanted, &asked);
  assert_non_null (seen.text.data);
  if (wanted.size != seen.text.size || memcmp (wanted.data, seen.text.data, wanted.size) != 0)
    fail_msg ("%s, %d keys, %d a page: other keys, or in another order", kind, keys, page);
  int pages = (keys + page - 1) / page;
  print_message ("%s: %d keys are %d pages, %d were asked for\n", kind, keys, pages, asked);
  if (closed == NULL)
    assert_true (asked <= pages + pages / 4 + 8);
  if (closed == NULL && pages < 4)
    assert_true (asked <= pages + 1); /* two keys may be one */
  buffer_release (&seen.text);
}

static void
every_key_comes_once_and_in_order (void **state)
{
  (void) state;
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    for (int round = 0; round < 2; round++)
      check (kinds[i], (unsigned int) rand (), 1 + rand () % 1000, 7 + rand () % 30, NULL);
}

static void
a_short_listing_is_asked_for_as_ever (void **state)
{
  (void) state;
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    check (kinds[i], 1, 300, 100, NULL);
}

static void
a_folder_that_is_not_entered_is_jumped_over (void **state)
{
  (void) state;
  check ("one", 1, 1200, 20, "b");
  check ("dates", 2, 1200, 20, "2019-06-01");
  check ("deep", 3, 1200, 20, "d3");
  check ("upper", 4, 1200, 20, "7F");
}

static int
count_begins (const struct peer *peer)
{
  auto_buffer struct buffer log = { 0 };
  int begins = 0;
  read_log (peer, &log);
  for (const char *at = log.data; (at = strstr (at, "\nbegin ")) != NULL; at++)
    begins++;
  return begins;
}

/* 150 pages: some forty ranges where all of them begin. */
static void
ranges_go_on_only_where_they_pay (void **state)
{
  (void) state;
  for (int begin_ms = 0; begin_ms <= 200; begin_ms += 200)
    {
      auto_peer struct peer *peer = start_lister ("decimal", 1, 3000, 20, begin_ms);
      struct seen seen = { 0 };
      list (peer, &seen);
      int begins = count_begins (peer);
      print_message ("each begin takes %d ms of the server's: %d of them\n", begin_ms, begins);
      assert_true (begin_ms > 0 ? begins < 25 : begins > 0);
      buffer_release (&seen.text);
    }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (every_key_comes_once_and_in_order),
    cmocka_unit_test (a_short_listing_is_asked_for_as_ever),
    cmocka_unit_test (a_folder_that_is_not_entered_is_jumped_over),
    cmocka_unit_test (ranges_go_on_only_where_they_pay),
  };
  srand (seed_of_test ());
  return cmocka_run_group_tests (tests, NULL, NULL);
}
