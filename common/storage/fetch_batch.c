#include "common/storage/fetch_batch.h"

#include "common/storage/cache.h"

#include "common/auto.h"
#include "common/units.h"

#include <stdlib.h>

enum
{
  CONNECTIONS = 32,
  CONNECTIONS_MAX = 1024,
  TURN_MS = 250,
};

static size_t
connections (void)
{
  int64_t wanted = units_from_env ("SHOAL_FETCH_CONNECTIONS", CONNECTIONS);
  return wanted > CONNECTIONS_MAX ? CONNECTIONS_MAX : (size_t) wanted;
}

static void
count (int64_t *counter, int64_t more)
{
  __atomic_fetch_add (counter, more, __ATOMIC_RELAXED);
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
  fetch->at_once = wanted + wanted / 2;
  fetch->cache = cache_open ();
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
  if (more <= 0 || fetcher_check_path (item.path, err) != 0)
    return more == 0 ? 0 : -1;
  auto_free char *address = address_of (fetch, &item);
  int hit = address == NULL ? 0 : cache_take (fetch->cache, address, &item, batch->folder_fd, err);
  if (hit > 0)
    count (&batch->totals->cached, 1);
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
  count (&fetch->batch.totals->files, 1);
  return 0;
}

int
fetch_batch_turn (struct fetch_batch *fetch, struct error *err)
{
  const struct storage_batch *batch = &fetch->batch;
  if (batch->stopped != NULL && batch->stopped (batch->context))
    return error_set (err, ERROR_TRANSIENT, "stopped");
  return http_pending (fetch->http) == 0 ? 0 : http_turn (fetch->http, TURN_MS, err);
}

void
fetch_batch_count_call (struct fetch_batch *fetch, const struct http_call *call)
{
  struct storage_totals *totals = fetch->batch.totals;
  count (&totals->requests, call->tried);
  count (&totals->retries, call->tried > 1 ? call->tried - 1 : 0);
}

void
fetch_batch_count_bytes (struct fetch_batch *fetch, size_t size)
{
  count (&fetch->batch.totals->bytes, (int64_t) size);
}
