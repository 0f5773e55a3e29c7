/* fetcher_internal.h — what the fetcher's files share. */
#ifndef SHOAL_STORAGE_FETCHER_INTERNAL_H
#define SHOAL_STORAGE_FETCHER_INTERNAL_H

#include "storage/fetch_batch.h"

#include <sys/queue.h>

LIST_HEAD (parts, part);
LIST_HEAD (questions, question);
TAILQ_HEAD (fetched_files, fetched_file);

struct fetch
{
  const struct fetch_source *source;
  struct fetch_batch batch;
  struct fetched_file *cutting; /* the file whose parts aren't all asked for, or NULL */
  struct fetched_files wrong;   /* files that are to come once more */
  struct parts parts;           /* all that are asked for */
  struct questions questions;
  struct fetched_files summing; /* files that are there, but for their sums */
  size_t summing_count;
};

/* ---- fetcher.c */

/* ERR of a refusal that CALL got for FILE. -1. */
int fetcher_explain (const struct fetch_source *source, const struct fetched_file *file,
                     const struct http_call *call, struct error *err);

/* FILE is finished, unless something of it is still to come. */
int fetcher_finish_file (struct fetch *fetch, struct fetched_file *file, struct error *err);

/* ---- fetcher_pieces.c */

/* The sum of FILE has just become known: begins to find out of which pieces it is. */
int fetcher_learn_pieces (struct fetch *fetch, struct fetched_file *file, struct error *err);

/* Asks for the lengths of all pieces that haven't been asked for, some at a time. */
int fetcher_ask_for_pieces (struct fetch *fetch, struct fetched_file *file, struct error *err);

void fetcher_drop_questions (struct fetch *fetch);

#endif
