/* fetch_batch.h — a batch that is being fetched: its items one after the other, those that the
 * cache has taken out, and the connections that files come by.
 *
 * Belongs to one thread; the totals may be read by others.
 */
#ifndef SHOAL_STORAGE_FETCH_BATCH_H
#define SHOAL_STORAGE_FETCH_BATCH_H

#include "storage/fetched_file.h"

struct fetch_batch
{
  char *(*address) (void *context, const struct storage_item *item); /* as fetch_source has it */
  void *source;                                                      /* its context */
  struct storage_batch batch;
  struct storage_totals own; /* for a batch that wants no totals */
  struct http *http;
  struct cache *cache;                /* NULL: none */
  size_t connections;                 /* requests under way, at most … */
  size_t at_once;                     /* … and with those that wait for a connection */
  bool exhausted;                     /* the batch has given its last item */
  int64_t unsized;                    /* bytes that came of files whose size nobody told … */
  int64_t unsized_max;                /* … and how many may */
  int64_t min_rate;                   /* bytes a second that must come */
  int64_t window_ms;                  /* … within each of these … */
  int64_t window_end;                 /* boot ms; 0: there is none */
  int64_t window_bytes, window_files; /* the totals when it began */
  int slow;                           /* windows in a row in which less came */
};

/* ADDRESS of SOURCE: fetch_source. */
void fetch_batch_open (struct fetch_batch *fetch,
                       char *(*address) (void *context, const struct storage_item *item),
                       void *source, const struct storage_batch *batch);
/* Ends what is under way, without its `done`. */
void fetch_batch_close (struct fetch_batch *fetch);

/* An empty file for the next item, which the caller owns; NULL with 0 when that item came from the
 * cache, or there is none. */
int fetch_batch_next (struct fetch_batch *fetch, struct fetched_file **file, struct error *err);

/* All of FILE is there: it is checked, gets its name and goes to the cache. As
 * fetched_file_finish. */
int fetch_batch_finish (struct fetch_batch *fetch, struct fetched_file *file, struct error *err);

/* Works on the requests for a while; ERROR_TRANSIENT when the batch is stopped, or what comes is
 * next to nothing: a server that gives a byte a second would never be done. */
int fetch_batch_turn (struct fetch_batch *fetch, struct error *err);

/* Counts CALL, which is done. */
void fetch_batch_count_call (struct fetch_batch *fetch, const struct http_call *call);
void fetch_batch_count_bytes (struct fetch_batch *fetch, size_t size);

/* SIZE bytes more came of a file whose size neither the listing nor its server told: ERROR_USER
 * when that is more than may be. What is asked for again doesn't count: a SIZE below zero takes it
 * back. */
int fetch_batch_count_unsized (struct fetch_batch *fetch, int64_t size, struct error *err);

/* Whether there is room for a file of SIZE bytes: 0, or -1 with ERR. */
int fetch_batch_check_room (const struct fetch_batch *fetch, int64_t size, struct error *err);

#endif
