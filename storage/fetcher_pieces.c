/* Sums of the pieces that a file was uploaded in: how long those are, only the server knows. The
 * first one's length is asked for; the others are supposed to be as long, and are asked for only
 * when the sum isn't right then. */
#include "storage/fetcher_internal.h"

#include "common/memory.h"

enum
{
  QUESTIONS = 16, /* about one file's pieces, at once */
};

/* One request for the length of a piece. */
struct piece_request
{
  struct http_call call;
  struct fetch *fetch;
  LIST_ENTRY (piece_request) links;
  TAILQ_ENTRY (piece_request) answers;
  bool answered;
  struct fetched_file *file;
  int number;
  int64_t length; /* that was answered; -1: the server doesn't tell */
};

/* Supposes that all pieces but the last are as long as the first. False: they can't be. */
static bool
assume_pieces (struct fetched_file *file)
{
  int64_t size = file->item.size, first = file->pieces.lengths[0];
  int count = file->sum.pieces;
  if (first <= 0 || (size - 1) / first + 1 != count)
    return false;
  int64_t *ends = xcalloc ((size_t) count, sizeof *ends);
  for (int i = 0; i < count; i++)
    ends[i] = i == count - 1 ? size : (i + 1) * first;
  fetched_file_set_pieces (file, ends, count > 1);
  return true;
}

/* All lengths are told. */
static void
set_pieces (struct fetched_file *file)
{
  int64_t *ends = xcalloc ((size_t) file->sum.pieces, sizeof *ends);
  int64_t left = file->item.size;
  for (int i = 0; i < file->sum.pieces && left >= 0; i++)
    {
      int64_t length = file->pieces.lengths[i];
      left = length <= left ? left - length : -1;
      ends[i] = file->item.size - left;
    }
  if (left == 0)
    fetched_file_set_pieces (file, ends, false);
  else
    {
      free (ends);
      fetched_file_drop_sum (file);
    }
}

static void
free_piece_request (struct piece_request *request)
{
  if (request->answered)
    TAILQ_REMOVE (&request->fetch->answered, request, answers);
  else
    LIST_REMOVE (request, links);
  fetched_file_unref (request->file);
  http_call_release (&request->call);
  free (request);
}

static int
fetched_file_length_known (struct fetch *fetch, struct fetched_file *file, int number,
                           int64_t length, struct error *err)
{
  if (file->sum.algorithm == NULL) /* dropped meanwhile */
    return 0;
  if (length < 0)
    {
      fetched_file_drop_sum (file);
      return 0;
    }
  file->pieces.lengths[number - 1] = length;
  file->pieces.told++;
  if (number == 1 && file->pieces.asked == 1 && assume_pieces (file))
    return 0;
  if (file->pieces.told == file->sum.pieces)
    set_pieces (file);
  return fetcher_ask_for_pieces (fetch, file, err);
}

/* Whether CALL was refused by a server that doesn't know such requests, or has no piece of that
 * number. */
static bool
cant_tell (const struct http_call *call)
{
  int status = call->status;
  return status == 501
         || (status >= 400 && status < 500 && status != 404 && status != 408 && status != 410
             && status != 412 && status != 429);
}

static int
end_piece_request (struct http_call *call, struct error *err)
{
  struct piece_request *request = call->context;
  struct fetch *fetch = request->fetch;
  struct fetched_file *file = request->file;
  fetch_batch_count_call (&fetch->batch, call);
  if (error_is_set (err) && !cant_tell (call))
    {
      (void) fetcher_explain (fetch->source, file, call, err);
      (void) error_wrap (err, "length of part %d", request->number);
      (void) error_wrap (err, "%s", file->item.path);
      free_piece_request (request);
      return -1;
    }
  request->length = error_is_set (err) ? -1 : fetch->source->piece_length (call, file->sum.pieces);
  error_clear (err);
  LIST_REMOVE (request, links);
  TAILQ_INSERT_TAIL (&fetch->answered, request, answers);
  request->answered = true;
  return 0;
}

struct fetched_file *
fetcher_next_answer (struct fetch *fetch)
{
  struct piece_request *request = TAILQ_FIRST (&fetch->answered);
  return request == NULL ? NULL : fetched_file_ref (request->file);
}

int
fetcher_read_answer (struct fetch *fetch, struct error *err)
{
  struct piece_request *request = TAILQ_FIRST (&fetch->answered);
  struct fetched_file *file = request->file;
  file->pieces.open--;
  int result = fetched_file_length_known (fetch, file, request->number, request->length, err);
  free_piece_request (request);
  return result;
}

static int
fetch_piece_request (struct fetch *fetch, struct fetched_file *file, struct error *err)
{
  struct piece_request *request = xcalloc (1, sizeof *request);
  http_call_init (&request->call, NULL);
  request->fetch = fetch;
  LIST_INSERT_HEAD (&fetch->piece_requests, request, links);
  request->file = fetched_file_ref (file);
  request->number = ++file->pieces.asked;
  const struct fetch_source *source = fetch->source;
  if (source->request_piece (source->context, &file->item, request->number, &request->call, err)
      != 0)
    return -1;
  request->call.context = request;
  request->call.done = end_piece_request;
  file->pieces.open++;
  http_start (fetch->batch.http, &request->call);
  return 0;
}

int
fetcher_ask_for_pieces (struct fetch *fetch, struct fetched_file *file, struct error *err)
{
  while (file->pieces.asked < file->sum.pieces && file->pieces.open < QUESTIONS)
    if (fetch_piece_request (fetch, file, err) != 0)
      return -1;
  return 0;
}

int
fetcher_learn_pieces (struct fetch *fetch, struct fetched_file *file, struct error *err)
{
  int count = file->sum.pieces;
  if (count == 0)
    return 0;
  if (file->item.size < 0 || (count > 1 && fetch->source->request_piece == NULL))
    {
      fetched_file_drop_sum (file);
      return 0;
    }
  if (count > 1)
    {
      file->pieces.lengths = xcalloc ((size_t) count, sizeof *file->pieces.lengths);
      return fetch_piece_request (fetch, file, err);
    }
  int64_t *end = xcalloc (1, sizeof *end);
  *end = file->item.size;
  fetched_file_set_pieces (file, end, false);
  return 0;
}

void
fetcher_drop_piece_requests (struct fetch *fetch)
{
  while (!LIST_EMPTY (&fetch->piece_requests))
    free_piece_request (LIST_FIRST (&fetch->piece_requests));
  while (!TAILQ_EMPTY (&fetch->answered))
    free_piece_request (TAILQ_FIRST (&fetch->answered));
}
