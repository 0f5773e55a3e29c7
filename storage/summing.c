/* A file is summed by pieces, each by one thread from its first byte to its last; what has no
 * pieces is a single one. */
#include "storage/summing.h"

#include "common/hex.h"
#include "common/memory.h"

#include <errno.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

enum
{
  CHUNK = 256 << 10,
  THREADS_MAX = 4,
};

struct sum
{
  unsigned char bytes[EVP_MAX_MD_SIZE];
  unsigned int length;
};

struct summing
{
  int fd;
  const EVP_MD *type;
  const int64_t
      *ends;        /* NULL: there is one piece, whose sum is wanted; else the sum of their sums */
  size_t count;     /* pieces */
  struct sum *sums; /* each written by the thread that has the piece */
  pthread_t threads[THREADS_MAX];
  size_t thread_count;
  pthread_mutex_t lock; /* of: */
  pthread_cond_t news;
  size_t next;    /* piece that no thread has yet */
  size_t at_work; /* threads */
  int64_t reached;
  bool over;     /* nothing more will be there */
  bool given_up; /* nobody wants the sum; atomic */
  int failed;    /* errno of a read */
};

static void
summing_check_sum (bool done)
{
  if (!done)
    abort ();
}

static struct summing *
create (int fd, const struct summing_what *what)
{
  struct summing *summing = xcalloc (1, sizeof *summing);
  summing->fd = fd;
  summing->type = EVP_get_digestbyname (what->algorithm);
  summing_check_sum (summing->type != NULL);
  summing->ends = what->count == 0 ? NULL : what->ends;
  summing->count = what->count == 0 ? 1 : what->count;
  summing->sums = xcalloc (summing->count, sizeof *summing->sums);
  (void) pthread_mutex_init (&summing->lock, NULL);
  (void) pthread_cond_init (&summing->news, NULL);
  return summing;
}

static void
summing_join (struct summing *summing)
{
  while (summing->thread_count > 0)
    (void) pthread_join (summing->threads[--summing->thread_count], NULL);
}

static void
summing_release (struct summing *summing)
{
  summing_join (summing);
  (void) pthread_cond_destroy (&summing->news);
  (void) pthread_mutex_destroy (&summing->lock);
  free (summing->sums);
  free (summing);
}

/* ---- one piece -------------------------------------------------------------------------- */

/* What a thread sums with. */
struct tools
{
  EVP_MD_CTX *digest;
  char *chunk;
};

/* Waits until bytes behind AT are there: how far they go, at most to the end of PIECE. AT itself:
 * nothing more will come. */
static int64_t
wait_for_bytes (struct summing *summing, size_t piece, int64_t at)
{
  (void) pthread_mutex_lock (&summing->lock);
  while (summing->reached <= at && !summing->over)
    (void) pthread_cond_wait (&summing->news, &summing->lock);
  int64_t end = summing->reached;
  (void) pthread_mutex_unlock (&summing->lock);
  if (summing->ends != NULL && summing->ends[piece] < end)
    end = summing->ends[piece];
  return end > at ? end : at;
}

/* 0, or errno. */
static int
summing_add_bytes (const struct summing *summing, struct tools *tools, int64_t from, int64_t end)
{
  while (from < end && !__atomic_load_n (&summing->given_up, __ATOMIC_RELAXED))
    {
      size_t size = end - from < CHUNK ? (size_t) (end - from) : CHUNK;
      ssize_t got = pread (summing->fd, tools->chunk, size, from);
      if (got < 0 && errno == EINTR)
        continue;
      if (got <= 0)
        return got < 0 ? errno : EIO;
      summing_check_sum (EVP_DigestUpdate (tools->digest, tools->chunk, (size_t) got) == 1);
      from += got;
    }
  return 0;
}

static int
sum_piece (struct summing *summing, struct tools *tools, size_t piece)
{
  int64_t at = piece == 0 || summing->ends == NULL ? 0 : summing->ends[piece - 1];
  struct sum *sum = &summing->sums[piece];
  summing_check_sum (EVP_DigestInit_ex (tools->digest, summing->type, NULL) == 1);
  while (summing->ends == NULL || at < summing->ends[piece])
    {
      int64_t end = wait_for_bytes (summing, piece, at);
      int failed = summing_add_bytes (summing, tools, at, end);
      if (failed != 0)
        return failed;
      if (end == at)
        break;
      at = end;
    }
  summing_check_sum (EVP_DigestFinal_ex (tools->digest, sum->bytes, &sum->length) == 1);
  return 0;
}

/* ---- all of them ------------------------------------------------------------------------ */

/* False: there is no piece that nobody has, or one couldn't be read. */
static bool
take_piece (struct summing *summing, int failed, size_t *piece)
{
  (void) pthread_mutex_lock (&summing->lock);
  if (failed != 0)
    summing->failed = failed;
  *piece = summing->next;
  bool more = summing->failed == 0 && summing->next < summing->count;
  if (more)
    summing->next++;
  else
    summing->at_work--;
  (void) pthread_mutex_unlock (&summing->lock);
  return more;
}

static void *
work (void *context)
{
  struct summing *summing = context;
  struct tools tools = { .digest = EVP_MD_CTX_new (), .chunk = xcalloc (1, CHUNK) };
  size_t piece = 0;
  int failed = 0;
  summing_check_sum (tools.digest != NULL);
  while (take_piece (summing, failed, &piece))
    failed = sum_piece (summing, &tools, piece);
  EVP_MD_CTX_free (tools.digest);
  free (tools.chunk);
  return NULL;
}

/* How many threads are of use. */
static size_t
wanted_threads (const struct summing *summing)
{
  cpu_set_t set;
  size_t wanted =
      sched_getaffinity (0, sizeof set, &set) == 0 ? (size_t) CPU_COUNT (&set) : THREADS_MAX;
  wanted = wanted < summing->count ? wanted : summing->count;
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

static void
summing_set_result (struct summing *summing, int64_t reached, bool over)
{
  (void) pthread_mutex_lock (&summing->lock);
  summing->reached = reached;
  summing->over = over;
  (void) pthread_cond_broadcast (&summing->news);
  (void) pthread_mutex_unlock (&summing->lock);
}

void
summing_reach (struct summing *summing, int64_t offset)
{
  summing_set_result (summing, offset, false);
}

void
summing_end (struct summing *summing, int64_t size)
{
  summing_set_result (summing, size, true);
}

bool
summing_has_ended (struct summing *summing)
{
  (void) pthread_mutex_lock (&summing->lock);
  bool ended = summing->at_work == 0;
  (void) pthread_mutex_unlock (&summing->lock);
  return ended;
}

/* The sum of all, when no thread is at work any more. */
static void
add_up (const struct summing *summing, struct sum *sum)
{
  *sum = summing->sums[0];
  if (summing->ends == NULL)
    return;
  EVP_MD_CTX *digest = EVP_MD_CTX_new ();
  summing_check_sum (digest != NULL && EVP_DigestInit_ex (digest, summing->type, NULL) == 1);
  for (size_t i = 0; i < summing->count; i++)
    summing_check_sum (EVP_DigestUpdate (digest, summing->sums[i].bytes, summing->sums[i].length)
                       == 1);
  summing_check_sum (EVP_DigestFinal_ex (digest, sum->bytes, &sum->length) == 1);
  EVP_MD_CTX_free (digest);
}

int
summing_finish (struct summing *summing, char hex[static 129], struct error *err)
{
  struct sum sum;
  summing_join (summing);
  int failed = summing->failed;
  add_up (summing, &sum);
  summing_release (summing);
  if (failed != 0)
    return error_errno (err, failed, "reading for its checksum");
  (void) hex_format (sum.bytes, sum.length, hex);
  return 0;
}

void
summing_cancel (struct summing *summing)
{
  if (summing == NULL)
    return;
  __atomic_store_n (&summing->given_up, true, __ATOMIC_RELAXED);
  summing_set_result (summing, 0, true);
  summing_release (summing);
}

int
summing_of (int fd, const struct summing_what *what, int64_t size, char hex[static 129],
            struct error *err)
{
  struct summing *summing = create (fd, what);
  summing->reached = size;
  summing->over = true;
  summing->at_work = 1;
  (void) work (summing);
  return summing_finish (summing, hex, err);
}
