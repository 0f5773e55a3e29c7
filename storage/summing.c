/* A piece belongs to one thread while that sums some of its bytes, and else to the queue when some
 * of them are there. What has no pieces is a single one. */
#include "storage/summing.h"

#include "common/hex.h"
#include "common/memory.h"
#include "storage/md5.h"

#include <errno.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

enum
{
  THREADS_MAX = 4,
  ENOUGH = 16 << 20, /* bytes that wait: they are summed even if lanes stay empty */
  KEPT_BY_ALL = 256, /* buffers that all files keep, 64 MiB */
};

/* Many files come at once, each quicker than its sum: their buffers have one bound. */
static atomic_int kept_by_all;

struct summed_piece
{
  TAILQ_ENTRY (summed_piece) links; /* of the queue */
  bool taken;                       /* it is in the queue, or a thread has it */
  int64_t at;                       /* summed so far … */
  int64_t there;                    /* … of what is there … */
  int64_t end;                      /* … of all; INT64_MAX: not known yet */
  struct md5 md5;
  EVP_MD_CTX *digest; /* of another algorithm, or of what is no piece; NULL: MD5 */
  unsigned char sum[EVP_MAX_MD_SIZE];
};

/* Bytes that are in memory. */
struct chunk
{
  struct extent place;
  int64_t left; /* so many of them aren't summed */
  char *bytes;
};

struct summing
{
  int fd;
  const EVP_MD *type;
  bool in_pieces;              /* the sum of their sums is wanted, else the one's */
  size_t count;                /* pieces */
  struct summed_piece *pieces; /* in the order of the file */
  size_t lanes;
  pthread_t threads[THREADS_MAX];
  size_t thread_count;
  pthread_mutex_t lock; /* of: */
  pthread_cond_t news;
  TAILQ_HEAD (, summed_piece) queue;
  size_t queued;
  size_t open;     /* pieces that aren't summed to their ends */
  int64_t waiting; /* bytes that are there and not summed, of pieces from their beginnings on */
  struct chunk chunks[SUMMING_KEPT];
  size_t chunk_count;
  size_t at_work; /* threads */
  bool over;      /* nothing more will come */
  bool given_up;  /* nobody wants the sum */
  int failed;     /* errno of a read */
};

static void
summing_check_sum (bool done)
{
  if (!done)
    abort ();
}

static void
begin_piece (struct summing *summing, struct summed_piece *piece, int64_t from, int64_t end)
{
  piece->at = piece->there = from;
  piece->end = end;
  md5_init (&piece->md5);
  if (summing->lanes > 1)
    return;
  piece->digest = EVP_MD_CTX_new ();
  summing_check_sum (piece->digest != NULL
                     && EVP_DigestInit_ex (piece->digest, summing->type, NULL) == 1);
}

/* All bytes of PIECE are summed. */
static void
summing_end_piece (struct summing *summing, struct summed_piece *piece)
{
  summing->open--;
  if (piece->digest == NULL)
    md5_finish (&piece->md5, piece->sum);
  else
    summing_check_sum (EVP_DigestFinal_ex (piece->digest, piece->sum, NULL) == 1);
  EVP_MD_CTX_free (piece->digest);
  piece->digest = NULL;
}

static struct summing *
create (int fd, const struct summing_what *what)
{
  struct summing *summing = xcalloc (1, sizeof *summing);
  summing->fd = fd;
  summing->type = EVP_get_digestbyname (what->algorithm);
  summing_check_sum (summing->type != NULL);
  summing->in_pieces = what->count > 0;
  summing->count = summing->open = what->count == 0 ? 1 : what->count;
  bool beside = what->count > 1 && EVP_MD_get_type (summing->type) == EVP_MD_get_type (EVP_md5 ());
  summing->lanes = beside ? md5_kernel (0)->lanes : 1;
  summing->pieces = xcalloc (summing->count, sizeof *summing->pieces);
  TAILQ_INIT (&summing->queue);
  (void) pthread_mutex_init (&summing->lock, NULL);
  (void) pthread_cond_init (&summing->news, NULL);
  for (size_t i = 0; i < summing->count; i++)
    {
      int64_t from = i == 0 ? 0 : what->ends[i - 1];
      int64_t end = what->count == 0 ? INT64_MAX : what->ends[i];
      begin_piece (summing, &summing->pieces[i], from, end);
      if (from == end)
        summing_end_piece (summing, &summing->pieces[i]);
    }
  return summing;
}

static void
summing_join (struct summing *summing)
{
  while (summing->thread_count > 0)
    (void) pthread_join (summing->threads[--summing->thread_count], NULL);
}

static void
free_chunk (struct summing *summing, size_t index)
{
  free (summing->chunks[index].bytes);
  summing->chunks[index] = summing->chunks[--summing->chunk_count];
  (void) atomic_fetch_sub (&kept_by_all, 1);
}

static void
summing_release (struct summing *summing)
{
  summing_join (summing);
  (void) pthread_cond_destroy (&summing->news);
  (void) pthread_mutex_destroy (&summing->lock);
  for (size_t i = 0; i < summing->count; i++)
    EVP_MD_CTX_free (summing->pieces[i].digest);
  while (summing->chunk_count > 0)
    free_chunk (summing, summing->chunk_count - 1);
  free (summing->pieces);
  free (summing);
}

/* ---- bytes in memory -------------------------------------------------------------------- */

/* The chunk that has AT, or else the next one behind it that begins before END; NULL: none. */
static const struct chunk *
find_chunk (const struct summing *summing, int64_t at, int64_t end)
{
  const struct chunk *found = NULL;
  for (size_t i = 0; i < summing->chunk_count; i++)
    {
      const struct chunk *chunk = &summing->chunks[i];
      if (chunk->place.end > at && chunk->place.from < end
          && (found == NULL || chunk->place.from < found->place.from))
        found = chunk;
    }
  return found;
}

/* Whether one more buffer may be kept: it is counted then. */
static bool
may_keep (const struct summing *summing)
{
  if (summing->chunk_count == SUMMING_KEPT)
    return false;
  if (atomic_fetch_add (&kept_by_all, 1) < KEPT_BY_ALL)
    return true;
  (void) atomic_fetch_sub (&kept_by_all, 1);
  return false;
}

/* Takes BYTES of PLACE if there is room, and returns a buffer in their place. */
static char *
keep_bytes (struct summing *summing, struct extent place, char *bytes)
{
  if (bytes == NULL || !may_keep (summing))
    return bytes;
  summing->chunks[summing->chunk_count++] =
      (struct chunk){ .place = place, .left = place.end - place.from, .bytes = bytes };
  return xrealloc (NULL, SUMMING_CHUNK, 1);
}

/* Bytes of DONE are summed. */
static void
drop_bytes (struct summing *summing, struct extent done)
{
  for (size_t i = summing->chunk_count; i-- > 0;)
    {
      struct chunk *chunk = &summing->chunks[i];
      int64_t from = chunk->place.from > done.from ? chunk->place.from : done.from;
      int64_t end = chunk->place.end < done.end ? chunk->place.end : done.end;
      chunk->left -= end > from ? end - from : 0;
      if (chunk->left <= 0)
        free_chunk (summing, i);
    }
}

/* ---- some bytes of several pieces ------------------------------------------------------- */

/* What is next of a piece. */
struct lane
{
  struct summed_piece *piece;
  int64_t from;
  size_t size;
  const char *bytes; /* NULL: they must be read */
};

static struct lane
make_lane (const struct summing *summing, struct summed_piece *piece)
{
  struct lane lane = { .piece = piece, .from = piece->at };
  int64_t left = piece->there - piece->at;
  lane.size = left < SUMMING_STEP ? (size_t) left : SUMMING_STEP;
  const struct chunk *chunk = find_chunk (summing, lane.from, lane.from + (int64_t) lane.size);
  if (chunk == NULL)
    return lane;
  int64_t end = chunk->place.from;
  if (chunk->place.from <= lane.from)
    {
      end = chunk->place.end;
      lane.bytes = chunk->bytes + (lane.from - chunk->place.from);
    }
  if (end - lane.from < (int64_t) lane.size)
    lane.size = (size_t) (end - lane.from);
  return lane;
}

/* Whether it is time to sum: there's something for all lanes, or no use in waiting for it. */
static bool
is_worth_it (const struct summing *summing)
{
  return summing->queued > 0
         && (summing->queued >= summing->lanes || summing->queued == summing->open || summing->over
             || summing->waiting >= ENOUGH);
}

static bool
has_stopped (const struct summing *summing)
{
  return summing->open == 0 || summing->given_up || summing->failed != 0;
}

/* Waits for pieces that have something; how many LANES it has filled, 0: there's no more to do. */
static size_t
take_lanes (struct summing *summing, struct lane lanes[static MD5_LANES_MAX])
{
  size_t count = 0;
  while (!is_worth_it (summing) && !has_stopped (summing))
    (void) pthread_cond_wait (&summing->news, &summing->lock);
  if (has_stopped (summing))
    return 0;
  for (struct summed_piece *piece = NULL;
       count < summing->lanes && (piece = TAILQ_FIRST (&summing->queue)) != NULL; count++)
    {
      TAILQ_REMOVE (&summing->queue, piece, links);
      summing->queued--;
      lanes[count] = make_lane (summing, piece);
      summing->waiting -= (int64_t) lanes[count].size;
    }
  return count;
}

static void
queue_piece (struct summing *summing, struct summed_piece *piece)
{
  piece->taken = true;
  TAILQ_INSERT_TAIL (&summing->queue, piece, links);
  summing->queued++;
}

/* LANES are summed. */
static void
give_back_lanes (struct summing *summing, const struct lane *lanes, size_t count)
{
  for (size_t i = 0; i < count; i++)
    {
      struct summed_piece *piece = lanes[i].piece;
      piece->at += (int64_t) lanes[i].size;
      drop_bytes (summing, (struct extent){ lanes[i].from, piece->at });
      piece->taken = false;
      if (piece->at == piece->end)
        summing_end_piece (summing, piece);
      else if (piece->at < piece->there)
        queue_piece (summing, piece);
    }
  if (has_stopped (summing) || is_worth_it (summing))
    (void) pthread_cond_broadcast (&summing->news);
}

/* Reads what isn't in memory into SCRATCH, SUMMING_STEP bytes a lane: 0, or errno. */
static int
read_lanes (const struct summing *summing, struct lane *lanes, size_t count, char *scratch)
{
  for (size_t i = 0; i < count; i++)
    for (size_t have = 0; lanes[i].bytes == NULL;)
      {
        char *to = scratch + i * SUMMING_STEP;
        ssize_t got =
            pread (summing->fd, to + have, lanes[i].size - have, lanes[i].from + (int64_t) have);
        if (got < 0 && errno == EINTR)
          continue;
        if (got <= 0)
          return got < 0 ? errno : EIO;
        have += (size_t) got;
        if (have == lanes[i].size)
          lanes[i].bytes = to;
      }
  return 0;
}

static void
sum_lanes (const struct lane *lanes, size_t count)
{
  struct md5_input inputs[MD5_LANES_MAX];
  size_t used = 0;
  for (size_t i = 0; i < count; i++)
    if (lanes[i].piece->digest == NULL)
      inputs[used++] = (struct md5_input){ .sum = &lanes[i].piece->md5,
                                           .data = (const uint8_t *) lanes[i].bytes,
                                           .size = lanes[i].size };
    else
      summing_check_sum (EVP_DigestUpdate (lanes[i].piece->digest, lanes[i].bytes, lanes[i].size)
                         == 1);
  md5_add (0, inputs, used);
}

static void *
work (void *context)
{
  struct summing *summing = context;
  size_t most = summing->lanes < summing->count ? summing->lanes : summing->count, count = 0;
  char *scratch = xrealloc (NULL, most, SUMMING_STEP);
  struct lane lanes[MD5_LANES_MAX];
  (void) pthread_mutex_lock (&summing->lock);
  while ((count = take_lanes (summing, lanes)) > 0)
    {
      (void) pthread_mutex_unlock (&summing->lock);
      int failed = read_lanes (summing, lanes, count, scratch);
      if (failed == 0)
        sum_lanes (lanes, count);
      (void) pthread_mutex_lock (&summing->lock);
      if (failed != 0)
        summing->failed = failed;
      else
        give_back_lanes (summing, lanes, count);
    }
  summing->at_work--;
  (void) pthread_cond_broadcast (&summing->news);
  (void) pthread_mutex_unlock (&summing->lock);
  free (scratch);
  return NULL;
}

/* ---- all of them ------------------------------------------------------------------------ */

/* How many threads are of use. */
static size_t
wanted_threads (const struct summing *summing)
{
  cpu_set_t set;
  size_t wanted =
      sched_getaffinity (0, sizeof set, &set) == 0 ? (size_t) CPU_COUNT (&set) : THREADS_MAX;
  size_t useful = summing->count / summing->lanes; /* others would take lanes from each other */
  wanted = wanted < useful ? wanted : useful > 0 ? useful : 1;
  return wanted < THREADS_MAX ? wanted : THREADS_MAX;
}

struct summing *
summing_start (int fd, const struct summing_what *what)
{
  struct summing *summing = create (fd, what);
  size_t wanted = wanted_threads (summing);
  (void) pthread_mutex_lock (&summing->lock);
  while (summing->thread_count < wanted
         && pthread_create (&summing->threads[summing->thread_count], NULL, work, summing) == 0)
    summing->thread_count++;
  summing->at_work = summing->thread_count;
  (void) pthread_mutex_unlock (&summing->lock);
  if (summing->thread_count > 0)
    return summing;
  summing_release (summing);
  return NULL;
}

/* The first piece that ends behind AT. */
static size_t
find_piece (const struct summing *summing, int64_t at)
{
  size_t low = 0, high = summing->count;
  while (low < high)
    {
      size_t middle = low + (high - low) / 2;
      if (summing->pieces[middle].end <= at)
        low = middle + 1;
      else
        high = middle;
    }
  return low;
}

/* CAME is there, with all of WHOLE around it. */
static void
reach_pieces (struct summing *summing, struct extent came, struct extent whole)
{
  for (size_t i = find_piece (summing, came.from); i < summing->count; i++)
    {
      struct summed_piece *piece = &summing->pieces[i];
      int64_t end = piece->end < whole.end ? piece->end : whole.end;
      if (i > 0 && summing->pieces[i - 1].end >= came.end)
        break;
      if (piece->there < whole.from || piece->there >= end)
        continue;
      summing->waiting += end - piece->there;
      piece->there = end;
      if (!piece->taken)
        queue_piece (summing, piece);
    }
}

char *
summing_came (struct summing *summing, struct extent came, struct extent whole, char *bytes)
{
  (void) pthread_mutex_lock (&summing->lock);
  reach_pieces (summing, came, whole);
  bytes = keep_bytes (summing, came, bytes);
  if (is_worth_it (summing))
    (void) pthread_cond_signal (&summing->news);
  (void) pthread_mutex_unlock (&summing->lock);
  return bytes;
}

/* The lock is held. */
static void
end_bytes (struct summing *summing, int64_t size)
{
  reach_pieces (summing, (struct extent){ 0, size }, (struct extent){ 0, size });
  for (size_t i = summing->count; i-- > 0 && summing->pieces[i].end > size;)
    {
      struct summed_piece *piece = &summing->pieces[i];
      if (piece->end == piece->there) /* an empty one */
        continue;
      piece->end = piece->there;
      if (piece->at == piece->end && !piece->taken)
        summing_end_piece (summing, piece);
    }
  summing->over = true;
  (void) pthread_cond_broadcast (&summing->news);
}

void
summing_end (struct summing *summing, int64_t size)
{
  (void) pthread_mutex_lock (&summing->lock);
  if (!summing->over)
    end_bytes (summing, size);
  (void) pthread_mutex_unlock (&summing->lock);
}

bool
summing_has_ended (struct summing *summing)
{
  (void) pthread_mutex_lock (&summing->lock);
  bool ended = summing->at_work == 0;
  (void) pthread_mutex_unlock (&summing->lock);
  return ended;
}

/* The sum of all, when no thread is at work any more: its length. */
static unsigned int
add_up (const struct summing *summing, unsigned char sum[static EVP_MAX_MD_SIZE])
{
  unsigned int length = (unsigned int) EVP_MD_get_size (summing->type);
  memcpy (sum, summing->pieces[0].sum, length);
  if (!summing->in_pieces)
    return length;
  EVP_MD_CTX *digest = EVP_MD_CTX_new ();
  summing_check_sum (digest != NULL && EVP_DigestInit_ex (digest, summing->type, NULL) == 1);
  for (size_t i = 0; i < summing->count; i++)
    summing_check_sum (EVP_DigestUpdate (digest, summing->pieces[i].sum, length) == 1);
  summing_check_sum (EVP_DigestFinal_ex (digest, sum, NULL) == 1);
  EVP_MD_CTX_free (digest);
  return length;
}

int
summing_finish (struct summing *summing, char hex[static 129], struct error *err)
{
  unsigned char sum[EVP_MAX_MD_SIZE];
  summing_join (summing);
  int failed = summing->failed;
  unsigned int length = failed == 0 ? add_up (summing, sum) : 0;
  summing_release (summing);
  if (failed != 0)
    return error_errno (err, failed, "reading for its checksum");
  (void) hex_format (sum, length, hex);
  return 0;
}

void
summing_cancel (struct summing *summing)
{
  if (summing == NULL)
    return;
  (void) pthread_mutex_lock (&summing->lock);
  summing->given_up = true;
  (void) pthread_cond_broadcast (&summing->news);
  (void) pthread_mutex_unlock (&summing->lock);
  summing_release (summing);
}

int
summing_of (int fd, const struct summing_what *what, int64_t size, char hex[static 129],
            struct error *err)
{
  struct summing *summing = create (fd, what);
  end_bytes (summing, size);
  summing->at_work = 1;
  (void) work (summing);
  return summing_finish (summing, hex, err);
}
