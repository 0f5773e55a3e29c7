/* fetcher_internal.h — what the fetcher's files share. */
#ifndef SHOAL_STORAGE_FETCHER_INTERNAL_H
#define SHOAL_STORAGE_FETCHER_INTERNAL_H

#include "storage/fetch_batch.h"

#include <sys/queue.h>

LIST_HEAD (fetch_parts, fetch_part);
LIST_HEAD (piece_requests, piece_request);
TAILQ_HEAD (answers, piece_request);
TAILQ_HEAD (fetched_files, fetched_file);

struct fetch
{
  const struct fetch_source *source;
  struct fetch_batch batch;
  struct fetched_files cutting; /* files whose parts aren't all asked for */
  size_t cutting_count;
  struct fetched_files wrong;           /* files that are to come once more */
  struct fetch_parts parts;             /* all that are asked for */
  struct piece_requests piece_requests; /* about pieces, under way … */
  struct answers answered;              /* … and answered, in the order in which they were */
  struct fetched_files summing;         /* files that are there, but for their sums */
  size_t summing_count;
};

/* ---- fetcher_explain.c */

/* ERR of a refusal that CALL got for FILE. -1. */
int fetcher_explain (const struct fetch_source *source, const struct fetched_file *file,
                     const struct http_call *call, struct error *err);

/* ---- fetcher_pieces.c */

/* The sum of FILE has just become known: begins to find out of which pieces it is. */
int fetcher_learn_pieces (struct fetch *fetch, struct fetched_file *file, struct error *err);

/* Asks for the lengths of all pieces that haven't been asked for, some at a time. */
int fetcher_ask_for_pieces (struct fetch *fetch, struct fetched_file *file, struct error *err);

/* The file that the next answer about pieces is of, as a reference of the caller's; NULL: there is
 * none. */
struct fetched_file *fetcher_next_answer (struct fetch *fetch);

/* Takes in that answer, and asks for more where it is needed. */
int fetcher_read_answer (struct fetch *fetch, struct error *err);

void fetcher_drop_piece_requests (struct fetch *fetch);

#endif
