/* fetcher.h — the files of a batch, many at once: how storages behind HTTP bring them here.
 *
 *     item ──► in the cache? ──► link it
 *        └──► file ──► parts, a request each ──► checked: length, version, checksum ──► rename
 *
 * A file is written under a name of the fetcher's own and gets its real one when all of it is there
 * and right. Large files come in parts that are asked for side by side; a part that breaks off goes
 * on where it was. What a server says is held against the item.
 */
#ifndef SHOAL_STORAGE_FETCHER_H
#define SHOAL_STORAGE_FETCHER_H

#include "common/http/http.h"
#include "storage/storage.h"

/* A sum that the whole file must have. */
struct fetch_sum
{
  const char *algorithm; /* OpenSSL's name, "SHA256"; NULL: none is known */
  char hex[129];         /* lower case */
  int pieces;            /* it is that of the sums of so many pieces; 0: of all bytes */
};

/* What a storage knows of its server. */
struct fetch_source
{
  void *context;
  bool ranges; /* the server gives parts of files */

  /* Where ITEM is kept, whichever volume it is seen by, for the cache; NULL: it isn't cached. The
   * caller frees. */
  char *(*address) (void *context, const struct storage_item *item);

  /* Fills CALL (initialised, without a URL) with the request of the whole of ITEM. */
  int (*request) (void *context, const struct storage_item *item, struct http_call *call,
                  struct error *err);

  /* An answer with ITEM's bytes begins: ERROR_USER when its headers say that it isn't ITEM's
   * version. Fills SUM where they tell one. May be NULL. */
  int (*check) (void *context, const struct storage_item *item, const struct http_call *call,
                struct fetch_sum *sum, struct error *err);

  /* Where sums are of pieces: fills CALL with the request for how long ITEM's piece NUMBER (from 1)
   * is … */
  int (*request_piece) (void *context, const struct storage_item *item, int number,
                        struct http_call *call, struct error *err);
  /* … and reads its answer, of a file of so many PIECES; -1: this server doesn't tell. */
  int64_t (*piece_length) (const struct http_call *call, int pieces);

  /* ERR of a refusal in the server's own words. May be NULL. */
  void (*explain) (void *context, const struct http_call *call, struct error *err);
};

/* As storage_fetch. Connections: SHOAL_FETCH_CONNECTIONS (32). */
int fetcher_run (const struct fetch_source *source, const struct storage_batch *batch,
                 struct error *err);

#endif
