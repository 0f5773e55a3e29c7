#include "common/storage/summing.h"

#include "common/memory.h"

#include <errno.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

enum
{
  CHUNK = 256 << 10,
};

struct summing
{
  int fd;
  const EVP_MD *type;
  EVP_MD_CTX *digest; /* of all, or of the piece … */
  EVP_MD_CTX *pieces; /* … and of the pieces' sums; NULL */
  const int64_t *ends;
  size_t count, piece; /* pieces, and which one it is */
  char *chunk;
  int64_t done; /* bytes; the thread's own */
  int failed;   /* errno of a read, likewise */
  pthread_t thread;
  pthread_mutex_t lock; /* of: */
  pthread_cond_t news;
  int64_t reached;
  bool over; /* nothing more will be there */
};

static EVP_MD_CTX *
new_digest (const EVP_MD *type)
{
  EVP_MD_CTX *digest = EVP_MD_CTX_new ();
  if (digest == NULL || type == NULL || EVP_DigestInit_ex (digest, type, NULL) != 1)
    abort ();
  return digest;
}

static struct summing *
create (int fd, const struct summing_what *what)
{
  struct summing *summing = xcalloc (1, sizeof *summing);
  summing->fd = fd;
  summing->type = EVP_get_digestbyname (what->algorithm);
  summing->digest = new_digest (summing->type);
  summing->pieces = what->count == 0 ? NULL : new_digest (summing->type);
  summing->ends = what->ends;
  summing->count = what->count;
  summing->chunk = xcalloc (1, CHUNK);
  (void) pthread_mutex_init (&summing->lock, NULL);
  (void) pthread_cond_init (&summing->news, NULL);
  return summing;
}

static void
release (struct summing *summing)
{
  (void) pthread_cond_destroy (&summing->news);
  (void) pthread_mutex_destroy (&summing->lock);
  EVP_MD_CTX_free (summing->digest);
  EVP_MD_CTX_free (summing->pieces);
  free (summing->chunk);
  free (summing);
}

static unsigned int
end_digest (EVP_MD_CTX *digest, unsigned char sum[static EVP_MAX_MD_SIZE])
{
  unsigned int length = 0;
  if (EVP_DigestFinal_ex (digest, sum, &length) != 1)
    abort ();
  return length;
}

static void
end_pieces (struct summing *summing)
{
  unsigned char sum[EVP_MAX_MD_SIZE];
  for (; summing->piece < summing->count && summing->ends[summing->piece] <= summing->done;
       summing->piece++)
    {
      unsigned int length = end_digest (summing->digest, sum);
      if (EVP_DigestUpdate (summing->pieces, sum, length) != 1
          || EVP_DigestInit_ex (summing->digest, summing->type, NULL) != 1)
        abort ();
    }
}

/* How much to read at once of what is there up to END: within the piece. */
static size_t
chunk_of (const struct summing *summing, int64_t end)
{
  if (summing->piece < summing->count && summing->ends[summing->piece] < end)
    end = summing->ends[summing->piece];
  return end - summing->done < CHUNK ? (size_t) (end - summing->done) : CHUNK;
}

static int
add_until (struct summing *summing, int64_t end)
{
  while (summing->done < end)
    {
      ssize_t got = pread (summing->fd, summing->chunk, chunk_of (summing, end), summing->done);
      if (got < 0 && errno == EINTR)
        continue;
      if (got <= 0)
        return got < 0 ? errno : EIO;
      if (EVP_DigestUpdate (summing->digest, summing->chunk, (size_t) got) != 1)
        abort ();
      summing->done += got;
      end_pieces (summing);
    }
  return 0;
}

/* Takes SUMMING over. */
static int
tell (struct summing *summing, char hex[static 129], struct error *err)
{
  unsigned char sum[EVP_MAX_MD_SIZE];
  end_pieces (summing); /* of an empty file */
  unsigned int length =
      end_digest (summing->pieces == NULL ? summing->digest : summing->pieces, sum);
  int failed = summing->failed;
  release (summing);
  if (failed != 0)
    return error_errno (err, failed, "reading for its checksum");
  hex[0] = '\0';
  for (unsigned int i = 0; i < length; i++)
    (void) snprintf (hex + 2 * (size_t) i, 3, "%02x", sum[i]);
  return 0;
}

int
summing_of (int fd, const struct summing_what *what, int64_t size, char hex[static 129],
            struct error *err)
{
  struct summing *summing = create (fd, what);
  summing->failed = add_until (summing, size);
  return tell (summing, hex, err);
}

/* ---- the thread ------------------------------------------------------------------------- */

/* How far to go next; -1: it is the end. */
static int64_t
next_end (struct summing *summing)
{
  (void) pthread_mutex_lock (&summing->lock);
  while (summing->reached <= summing->done && !summing->over)
    (void) pthread_cond_wait (&summing->news, &summing->lock);
  int64_t end = summing->reached > summing->done ? summing->reached : -1;
  (void) pthread_mutex_unlock (&summing->lock);
  return end;
}

static void *
follow (void *context)
{
  struct summing *summing = context;
  int64_t end = 0;
  while (summing->failed == 0 && (end = next_end (summing)) >= 0)
    summing->failed = add_until (summing, end);
  return NULL;
}

struct summing *
summing_start (int fd, const struct summing_what *what)
{
  struct summing *summing = create (fd, what);
  if (pthread_create (&summing->thread, NULL, follow, summing) == 0)
    return summing;
  release (summing);
  return NULL;
}

static void
set (struct summing *summing, int64_t reached, bool over)
{
  (void) pthread_mutex_lock (&summing->lock);
  summing->reached = reached;
  summing->over = over;
  (void) pthread_cond_signal (&summing->news);
  (void) pthread_mutex_unlock (&summing->lock);
}

void
summing_reach (struct summing *summing, int64_t offset)
{
  set (summing, offset, false);
}

int
summing_finish (struct summing *summing, int64_t size, char hex[static 129], struct error *err)
{
  set (summing, size, true);
  (void) pthread_join (summing->thread, NULL);
  return tell (summing, hex, err);
}

void
summing_cancel (struct summing *summing)
{
  if (summing == NULL)
    return;
  set (summing, 0, true); /* what isn't summed yet needn't be */
  (void) pthread_join (summing->thread, NULL);
  release (summing);
}
