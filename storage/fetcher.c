#include "storage/fetcher.h"

#include "common/fs.h"
#include "common/memory.h"
#include "common/sys.h"
#include "storage/fetcher_internal.h"

#include <errno.h>
#include <string.h>

enum
{
  SUMMING = 8,          /* files that wait for their sums */
  CUTTING = 8,          /* files that aren't asked for completely */
  HELD = SUMMING_CHUNK, /* bytes of a part that are written at once: curl brings 16 KiB at a time */
  IN_PIECES =
      128 << 20, /* bytes of a file that is worth a question before more of it is asked for */
};

/* One request for bytes FROM up to END of a file. */
struct fetch_part
{
  struct http_call call;
  struct fetch *fetch;
  LIST_ENTRY (fetch_part) links;
  struct fetched_file *file;
  int64_t from;
  int64_t end;    /* -1: to the file's end, wherever that is */
  int64_t at;     /* where the next byte goes */
  bool ranged;    /* the request has a Range */
  bool no_ranges; /* the server ignored that */
  bool checked;   /* this answer's headers are the right ones */
  bool unsized;   /* nobody tells how long its file is */
  char *held;     /* what came and isn't written yet … */
  size_t held_size;
  size_t held_room;
};

/* ---- parts ------------------------------------------------------------------------------ */

static void
fetcher_free_part (struct fetch_part *part)
{
  LIST_REMOVE (part, links);
  fetched_file_unref (part->file);
  http_call_release (&part->call);
  free (part->held);
  free (part);
}

static void
fetch_part_range (struct fetch_part *part)
{
  if (part->ranged)
    free (part->call.headers.items[--part->call.headers.count]);
  part->ranged = true;
  if (part->end < 0)
    strlist_addf (&part->call.headers, "Range: bytes=%lld-", (long long) part->at);
  else
    strlist_addf (&part->call.headers, "Range: bytes=%lld-%lld", (long long) part->at,
                  (long long) part->end - 1);
}

static int cut_all (struct fetch *fetch, struct error *err);

/* All of FILE is asked for. */
static void
stop_cutting (struct fetch *fetch, struct fetched_file *file)
{
  if (!file->cutting)
    return;
  TAILQ_REMOVE (&fetch->cutting, file, links);
  fetch->cutting_count--;
  file->cutting = false;
  fetched_file_unref (file);
}

/* All of the file came where a part of it was asked for: this server gives none. */
static int
take_whole (struct fetch_part *part, struct error *err)
{
  struct fetched_file *file = part->file;
  if (part->from != 0 || file->parts != 1 || file->parted)
    return error_set (err, ERROR_TRANSIENT, "unexpected response to a range request");
  stop_cutting (part->fetch, file);
  part->at = 0;
  part->end = file->item.size;
  part->no_ranges = true;
  file->cut = 0; /* it grows from its beginning on */
  return fetched_file_empty (file, err);
}

static int
fetcher_check_range (struct fetch_part *part, struct error *err)
{
  const struct http_call *call = &part->call;
  struct fetched_file *file = part->file;
  const char *range = http_header (call, "content-range");
  long long start = -1;
  if (call->status == 200)
    return take_whole (part, err);
  if (call->status != 206 || range == NULL || sscanf (range, "bytes %lld-", &start) != 1
      || start != part->at)
    return error_set (err, ERROR_TRANSIENT, "unexpected response to a range request");
  file->parted = true;
  return 0;
}

/* An answer begins: is it what was asked for? */
static int
check_answer (struct fetch_part *part, struct error *err)
{
  const struct fetch_source *source = part->fetch->source;
  struct fetched_file *file = part->file;
  const struct http_call *call = &part->call;
  if (part->ranged && fetcher_check_range (part, err) != 0)
    return -1;
  if (!part->ranged && call->status != 200)
    return error_set (err, ERROR_TRANSIENT, "unexpected HTTP status %d", call->status);
  part->checked = true;
  struct fetch_sum sum = { 0 };
  if (source->check != NULL && source->check (source->context, &file->item, call, &sum, err) != 0)
    return -1;
  /* What we were told goes before what the server says. */
  if (file->sum.algorithm == NULL && file->pieces.asked == 0 && sum.algorithm != NULL)
    {
      file->sum = sum;
      if (fetcher_learn_pieces (part->fetch, file, err) != 0)
        return -1;
    }
  int64_t size = call->status == 206 ? call->whole : call->length;
  if (file->item.size >= 0 && size >= 0 && size != file->item.size)
    return fetched_file_changed (file, size, err);
  part->unsized = size < 0 && file->item.size < 0;
  if (fetch_batch_check_room (&part->fetch->batch, size, err) != 0)
    return -1;
  if (fetched_file_same (file, call, err) != 0)
    return -1;
  return file->cutting ? cut_all (part->fetch, err) : 0;
}

static int
write_held (struct fetch_part *part, struct error *err)
{
  const struct extent held = { part->at - (int64_t) part->held_size, part->at };
  if (part->held_size == 0)
    return 0;
  if (fetched_file_write (part->file, part->held, part->held_size, held.from, err) != 0)
    return -1;
  part->held_size = 0;
  if (part->held_room == SUMMING_CHUNK)
    part->held = fetched_file_came (part->file, held, part->held);
  else
    (void) fetched_file_came (part->file, held, NULL);
  return 0;
}

/* Keeps DATA, which is next, until there is enough of it to be written. */
static int
hold (struct fetch_part *part, const char *data, size_t size, struct error *err)
{
  bool small = part->end >= 0 && part->end - part->from < HELD;
  if (part->held == NULL)
    {
      part->held_room = small ? (size_t) (part->end - part->from) : HELD;
      part->held = xcalloc (1, part->held_room);
    }
  while (size > 0)
    {
      size_t room = part->held_room - part->held_size;
      size_t taken = size < room ? size : room;
      memcpy (part->held + part->held_size, data, taken);
      part->held_size += taken;
      part->at += (int64_t) taken;
      data += taken;
      size -= taken;
      if (part->held_size == part->held_room && write_held (part, err) != 0)
        return -1;
    }
  return 0;
}

static int
fetcher_receive (struct http_call *call, const char *data, size_t size, struct error *err)
{
  struct fetch_part *part = call->context;
  if (!part->checked && check_answer (part, err) != 0)
    return -1;
  if (part->end >= 0 && (int64_t) size > part->end - part->at)
    return error_set (err, ERROR_USER, "has more bytes than were listed");
  if (part->unsized && fetch_batch_count_unsized (&part->fetch->batch, (int64_t) size, err) != 0)
    return -1;
  if (hold (part, data, size, err) != 0)
    return -1;
  fetch_batch_count_bytes (&part->fetch->batch, size);
  return 0;
}

/* A part that broke off: the rest of it where the server gives parts, else all again. */
static int
receive_again (struct http_call *call, struct error *err)
{
  struct fetch_part *part = call->context;
  part->checked = false;
  call->goes_on = part->fetch->source->ranges && fetched_file_is_pinned (part->file)
                  && !part->no_ranges && (part->end < 0 || part->at < part->end);
  if (call->goes_on)
    {
      fetch_part_range (part);
      return write_held (part, err);
    }
  if (part->unsized)
    (void) fetch_batch_count_unsized (&part->fetch->batch, part->from - part->at, NULL);
  const struct extent written = { part->from, part->at - (int64_t) part->held_size };
  part->held_size = 0;
  part->at = part->from;
  if (part->ranged)
    fetch_part_range (part);
  bool among_others = part->file->parted && part->file->cut > 0;
  if (!among_others)
    return fetched_file_empty (part->file, err);
  fetched_file_forget (part->file, written);
  return 0;
}

static int
start_again (struct fetch *fetch, struct fetched_file *file, struct error *err)
{
  error_clear (err);
  TAILQ_INSERT_TAIL (&fetch->wrong, file, links);
  return fetched_file_again (fetched_file_ref (file), err);
}

static int
finish_now (struct fetch *fetch, struct fetched_file *file, struct error *err)
{
  int wrong = file->wrong;
  int finished = fetch_batch_finish (&fetch->batch, file, err);
  if (file->wrong > wrong && err->class == ERROR_TRANSIENT)
    return start_again (fetch, file, err);
  return finished <= 0 ? finished : fetcher_ask_for_pieces (fetch, file, err);
}

/* FILE is finished, unless something of it is still to come. */
static int
finish_file (struct fetch *fetch, struct fetched_file *file, struct error *err)
{
  if (file->parts > 0 || file->pieces.open > 0 || file->cutting)
    return 0;
  fetched_file_end (file);
  if (fetched_file_is_summing (file))
    {
      (void) fetched_file_ref (file);
      TAILQ_INSERT_TAIL (&fetch->summing, file, links);
      fetch->summing_count++;
      return 0;
    }
  return finish_now (fetch, file, err);
}

/* Finishes files whose sums have been made; and waits for one where there's nothing else to do, or
 * too many are open. */
static int
finish_summed (struct fetch *fetch, struct error *err)
{
  bool wait = http_pending (fetch->batch.http) == 0 || fetch->summing_count > SUMMING;
  struct fetched_file *next = NULL;
  for (struct fetched_file *at = TAILQ_FIRST (&fetch->summing); at != NULL; at = next)
    {
      next = TAILQ_NEXT (at, links);
      if (!wait && fetched_file_is_summing (at))
        continue;
      TAILQ_REMOVE (&fetch->summing, at, links);
      fetch->summing_count--;
      auto_fetched_file struct fetched_file *file = at;
      wait = fetch->summing_count > SUMMING;
      if (finish_now (fetch, file, err) != 0)
        return error_wrap (err, "%s", file->item.path);
    }
  return 0;
}

/* Files of whose pieces something was learned. */
static int
finish_answered (struct fetch *fetch, struct error *err)
{
  for (;;)
    {
      auto_fetched_file struct fetched_file *file = fetcher_next_answer (fetch);
      if (file == NULL)
        return 0;
      if (fetcher_read_answer (fetch, err) != 0 || finish_file (fetch, file, err) != 0)
        return error_wrap (err, "%s", file->item.path);
    }
}

static int
end_part (struct http_call *call, struct error *err)
{
  struct fetch_part *part = call->context;
  struct fetch *fetch = part->fetch;
  struct fetched_file *file = part->file;
  fetch_batch_count_call (&fetch->batch, call);
  int result = error_is_set (err) ? fetcher_explain (fetch->source, file, call, err)
                                  : write_held (part, err);
  if (result == 0 && !part->checked)
    result = check_answer (part, err); /* of an empty file */
  if (result == 0 && part->end >= 0 && part->at != part->end)
    result = error_set (err, ERROR_TRANSIENT, "received %lld bytes instead of the %lld requested",
                        (long long) (part->at - part->from), (long long) (part->end - part->from));
  if (result == 0)
    {
      if (part->end < 0)
        file->item.size = part->at;
      file->parts--;
      result = finish_file (fetch, file, err);
    }
  if (result != 0)
    (void) error_wrap (err, "%s", file->item.path);
  fetcher_free_part (part);
  return result;
}

static int
start_part (struct fetch *fetch, struct fetched_file *file, int64_t from, int64_t end, bool ranged,
            struct error *err)
{
  struct fetch_part *part = xcalloc (1, sizeof *part);
  http_call_init (&part->call, NULL);
  part->fetch = fetch;
  LIST_INSERT_HEAD (&fetch->parts, part, links);
  part->file = fetched_file_ref (file);
  part->from = part->at = from;
  part->end = end;
  const struct fetch_source *source = fetch->source;
  if (source->request (source->context, &file->item, &part->call, err) != 0)
    return error_wrap (err, "%s", file->item.path);
  part->call.context = part;
  part->call.data = fetcher_receive;
  part->call.restart = receive_again;
  part->call.done = end_part;
  if (file->wrong > 0)
    strlist_add (&part->call.headers, HTTP_NO_CACHE);
  if (ranged)
    fetch_part_range (part);
  file->parts++;
  http_start (fetch->batch.http, &part->call);
  return 0;
}

/* ---- files ------------------------------------------------------------------------------ */

/* The next part of FILE, which is being cut. */
static int
fetcher_next_part (struct fetch *fetch, struct fetched_file *file, struct error *err)
{
  struct extent part = { 0 };
  int64_t piece = file->item.size >= IN_PIECES ? fetched_file_piece (file) : 0;
  (void) part_order_next (&file->order, file->item.size, piece, (int64_t) fetch->batch.connections,
                          &part);
  file->cut += part.end - part.from;
  int result = start_part (fetch, file, part.from, part.end, true, err);
  if (file->cut == file->item.size)
    stop_cutting (fetch, file);
  return result;
}

static bool
has_room (const struct fetch *fetch)
{
  return http_pending (fetch->batch.http) < fetch->batch.at_once;
}

/* Whether more of FILE may be asked for: the first answer has shown that the server gives parts,
 * and of a large one it's known which pieces are to come side by side. */
static bool
may_be_cut (const struct fetched_file *file)
{
  if (file->cut == 0 || file->item.size < IN_PIECES)
    return file->cut == 0 || file->parted;
  return file->parted && (file->pieces.asked != 1 || file->pieces.open == 0);
}

/* Asks for the parts that there is room for, of the file first that has begun first. */
static int
cut_all (struct fetch *fetch, struct error *err)
{
  struct fetched_file *next = NULL;
  for (struct fetched_file *file = TAILQ_FIRST (&fetch->cutting); file != NULL; file = next)
    {
      next = TAILQ_NEXT (file, links);
      while (file->cutting && may_be_cut (file) && has_room (fetch))
        if (fetcher_next_part (fetch, file, err) != 0)
          return -1;
    }
  return 0;
}

static int
start_next (struct fetch *fetch, struct error *err)
{
  auto_fetched_file struct fetched_file *file = TAILQ_FIRST (&fetch->wrong);
  if (file != NULL)
    TAILQ_REMOVE (&fetch->wrong, file, links);
  else if (fetch_batch_next (&fetch->batch, &file, err) != 0)
    return -1;
  if (file == NULL)
    return 0;
  /* Parts that come without a version could be of two. */
  const struct storage_item *item = &file->item;
  if (fetch->source->ranges && (item->version != NULL || file->sum.algorithm != NULL)
      && item->size >= 2 * (int64_t) PART_SIZE)
    {
      file->cutting = true;
      TAILQ_INSERT_TAIL (&fetch->cutting, file, links);
      fetch->cutting_count++;
      (void) take (&file);
      return 0;
    }
  return start_part (fetch, file, 0, item->size, false, err);
}

/* Asks for more as long as there is room. A file that waits for an answer, before more of it may be
 * asked for, holds up no other one. */
static int
fetcher_start_more (struct fetch *fetch, struct error *err)
{
  while (has_room (fetch))
    {
      if (cut_all (fetch, err) != 0)
        return -1;
      bool none = fetch->batch.exhausted && TAILQ_EMPTY (&fetch->wrong);
      if (none || fetch->cutting_count == CUTTING || !has_room (fetch))
        return 0;
      if (start_next (fetch, err) != 0)
        return -1;
    }
  return 0;
}

static bool
fetcher_is_more (const struct fetch *fetch)
{
  return !fetch->batch.exhausted || fetch->cutting_count > 0 || http_pending (fetch->batch.http) > 0
         || !TAILQ_EMPTY (&fetch->answered) || !TAILQ_EMPTY (&fetch->summing)
         || !TAILQ_EMPTY (&fetch->wrong);
}

static void
drop_files (struct fetched_files *files)
{
  struct fetched_file *file = NULL;
  while ((file = TAILQ_FIRST (files)) != NULL)
    {
      TAILQ_REMOVE (files, file, links);
      fetched_file_unref (file);
    }
}

int
fetcher_run (const struct fetch_source *source, const struct storage_batch *batch,
             struct error *err)
{
  struct error unwanted = ERROR_INIT;
  if (err == NULL)
    err = &unwanted;
  struct fetch fetch = { .source = source };
  fetch_batch_open (&fetch.batch, source->address, source->context, batch);
  int result = 0;
  TAILQ_INIT (&fetch.cutting);
  TAILQ_INIT (&fetch.answered);
  TAILQ_INIT (&fetch.summing);
  TAILQ_INIT (&fetch.wrong);
  do
    result = fetcher_start_more (&fetch, err) == 0 && fetch_batch_turn (&fetch.batch, err) == 0
                     && finish_answered (&fetch, err) == 0
                 ? finish_summed (&fetch, err)
                 : -1;
  while (result == 0 && fetcher_is_more (&fetch));
  fetch_batch_close (&fetch.batch); /* it may still have parts' calls */
  while (!LIST_EMPTY (&fetch.parts))
    fetcher_free_part (LIST_FIRST (&fetch.parts));
  fetcher_drop_piece_requests (&fetch);
  drop_files (&fetch.summing);
  drop_files (&fetch.wrong);
  drop_files (&fetch.cutting);
  return result;
}
