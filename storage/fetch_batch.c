#include "storage/fetch_batch.h"
#include "storage/item_path.h"

#include "storage/cache.h"

#include "common/auto.h"
#include "common/clock.h"
#include "common/units.h"

#include <stdlib.h>
#include <sys/statvfs.h>

enum
{
  CONNECTIONS = 32,
  CONNECTIONS_MAX = 1024,
  TURN_MS = 250,
  MIN_RATE = 1024,
  WINDOW_MS = 30 * 1000,
  WINDOWS = 2,
  ROOM_ASKED = 64 << 20, /* bytes of a file for which it is worth to look whether there is room */
};

#define UNSIZED_MAX ((int64_t) 16 << 30)

static size_t
connections (void)
{
  int64_t wanted = units_from_env ("SHOAL_FETCH_CONNECTIONS", CONNECTIONS);
  return wanted > CONNECTIONS_MAX ? CONNECTIONS_MAX : (size_t) wanted;
}

static void
fetch_batch_count (int64_t *counter, int64_t more)
{
  __atomic_fetch_add (counter, more, __ATOMIC_RELAXED);
}

/* On the disk that the files go to; -1: not known. */
static int64_t
free_bytes (const struct fetch_batch *fetch)
{
  struct statvfs room;
  if (fstatvfs (fetch->batch.folder_fd, &room) != 0)
    return -1;
  return (int64_t) (room.f_bavail * room.f_frsize);
}

void
fetch_batch_open (struct fetch_batch *fetch,
                  char *(*address) (void *context, const struct storage_item *item), void *source,
                  const struct storage_batch *batch)
{
  size_t wanted = connections ();
  const struct http_options options = { .connections = (int) wanted };
  *fetch = (struct fetch_batch){ .address = address, .source = source, .batch = *batch };
  if (fetch->batch.totals == NULL)
    fetch->batch.totals = &fetch->own;
  fetch->http = http_new (&options);
  fetch->connections = wanted;
  fetch->at_once = wanted + wanted / 2;
  fetch->cache = cache_open ();
  fetch->min_rate = units_from_env ("SHOAL_FETCH_MIN_RATE", MIN_RATE);
  fetch->window_ms = units_from_env ("SHOAL_FETCH_WINDOW_MS", WINDOW_MS);
  fetch->unsized_max = units_from_env ("SHOAL_FETCH_UNSIZED_MAX", UNSIZED_MAX);
  int64_t room = free_bytes (fetch);
  if (room >= 0 && room / 2 < fetch->unsized_max)
    fetch->unsized_max = room / 2;
}

void
fetch_batch_close (struct fetch_batch *fetch)
{
  http_free (fetch->http);
  cache_close (fetch->cache);
}

/* ITEM's in the cache; NULL when it can't be there. The caller frees. */
static char *
address_of (const struct fetch_batch *fetch, const struct storage_item *item)
{
  return fetch->cache == NULL || item->version == NULL ? NULL
                                                       : fetch->address (fetch->source, item);
}

int
fetch_batch_next (struct fetch_batch *fetch, struct fetched_file **file, struct error *err)
{
  const struct storage_batch *batch = &fetch->batch;
  struct storage_item item = { 0 };
  *file = NULL;
  int more = batch->next (batch->context, &item, err);
  fetch->exhausted = more == 0;
  if (more <= 0 || item_path_check (item.path, err) != 0)
    return more == 0 ? 0 : -1;
  auto_free char *address = address_of (fetch, &item);
  int hit = address == NULL ? 0 : cache_take (fetch->cache, address, &item, batch->folder_fd, err);
  if (hit > 0)
    fetch_batch_count (&batch->totals->cached, 1);
  else if (hit == 0)
    *file = fetched_file_new (batch->folder_fd, &item, err);
  return hit > 0 || *file != NULL ? 0 : error_wrap (err, "%s", item.path);
}

int
fetch_batch_finish (struct fetch_batch *fetch, struct fetched_file *file, struct error *err)
{
  int finished = fetched_file_finish (file, err);
  if (finished != 0)
    return finished;
  auto_free char *address = address_of (fetch, &file->item);
  if (address != NULL)
    cache_keep (fetch->cache, address, &file->item, fetch->batch.folder_fd);
  fetch_batch_count (&fetch->batch.totals->files, 1);
  return 0;
}

int
fetch_batch_count_unsized (struct fetch_batch *fetch, int64_t size, struct error *err)
{
  char text[UNITS_TEXT_SIZE];
  fetch->unsized += size;
  if (fetch->unsized <= fetch->unsized_max)
    return 0;
  return error_set (
      err, ERROR_USER,
      "more than %s downloaded of files whose size neither the listing nor the server "
      "tells (SHOAL_FETCH_UNSIZED_MAX, or half of the disk's free space)",
      units_format_size (fetch->unsized_max, text));
}

int
fetch_batch_check_room (const struct fetch_batch *fetch, int64_t size, struct error *err)
{
  char wanted[UNITS_TEXT_SIZE], left[UNITS_TEXT_SIZE];
  int64_t room = size < ROOM_ASKED ? -1 : free_bytes (fetch);
  if (room < 0 || size <= room)
    return 0;
  return error_set (err, ERROR_TRANSIENT, "a file of %s, but only %s of disk space is free",
                    units_format_size (size, wanted), units_format_size (room, left));
}

static void
begin_window (struct fetch_batch *fetch, int64_t now)
{
  fetch->window_end = now + fetch->window_ms;
  fetch->window_bytes = fetch->batch.totals->bytes;
  fetch->window_files = fetch->batch.totals->files;
}

/* Nothing at all isn't slow: requests that bring nothing end by themselves. */
static int
check_rate (struct fetch_batch *fetch, struct error *err)
{
  int64_t now = clock_boot_ms ();
  if (fetch->window_end == 0)
    begin_window (fetch, now);
  if (now < fetch->window_end)
    return 0;
  int64_t bytes = fetch->batch.totals->bytes - fetch->window_bytes;
  bool slow = bytes > 0 && bytes < fetch->min_rate * fetch->window_ms / 1000
              && fetch->batch.totals->files == fetch->window_files;
  fetch->slow = slow ? fetch->slow + 1 : 0;
  begin_window (fetch, now);
  if (fetch->slow < WINDOWS)
    return 0;
  return error_set (err, ERROR_TRANSIENT,
                    "too slow: %lld bytes in %lld seconds, the minimum is %lld bytes a second "
                    "(SHOAL_FETCH_MIN_RATE)",
                    (long long) bytes, (long long) (fetch->window_ms / 1000),
                    (long long) fetch->min_rate);
}

int
fetch_batch_turn (struct fetch_batch *fetch, struct error *err)
{
  const struct storage_batch *batch = &fetch->batch;
  if (batch->stopped != NULL && batch->stopped (batch->context))
    return error_set (err, ERROR_TRANSIENT, "stopped");
  if (http_pending (fetch->http) == 0)
    {
      fetch->window_end = 0;
      return 0;
    }
  return check_rate (fetch, err) != 0 ? -1 : http_turn (fetch->http, TURN_MS, err);
}

void
fetch_batch_count_call (struct fetch_batch *fetch, const struct http_call *call)
{
  struct storage_totals *totals = fetch->batch.totals;
  fetch_batch_count (&totals->requests, call->tried);
  fetch_batch_count (&totals->retries, call->tried > 1 ? call->tried - 1 : 0);
}

void
fetch_batch_count_bytes (struct fetch_batch *fetch, size_t size)
{
  fetch_batch_count (&fetch->batch.totals->bytes, (int64_t) size);
}
