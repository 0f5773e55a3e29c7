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
  EVP_MD_CTX *digest;
  char *chunk;
  int64_t done; /* bytes; the thread's own */
  int failed;   /* errno of a read, likewise */
  pthread_t thread;
  pthread_mutex_t lock; /* of: */
  pthread_cond_t news;
  int64_t reached;
  bool over; /* nothing more will be there */
};

static struct summing *
create (int fd, const char *algorithm)
{
  struct summing *summing = xcalloc (1, sizeof *summing);
  const EVP_MD *type = EVP_get_digestbyname (algorithm);
  summing->fd = fd;
  summing->digest = EVP_MD_CTX_new ();
  summing->chunk = xcalloc (1, CHUNK);
  if (summing->digest == NULL || type == NULL
      || EVP_DigestInit_ex (summing->digest, type, NULL) != 1)
    abort ();
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
  free (summing->chunk);
  free (summing);
}

static int
add_until (struct summing *summing, int64_t end)
{
  while (summing->done < end)
    {
      int64_t left = end - summing->done;
      ssize_t got =
          pread (summing->fd, summing->chunk, left < CHUNK ? (size_t) left : CHUNK, summing->done);
      if (got < 0 && errno == EINTR)
        continue;
      if (got <= 0)
        return got < 0 ? errno : EIO;
      if (EVP_DigestUpdate (summing->digest, summing->chunk, (size_t) got) != 1)
        abort ();
      summing->done += got;
    }
  return 0;
}

/* Takes SUMMING over. */
static int
tell (struct summing *summing, char hex[static 129], struct error *err)
{
  unsigned char sum[EVP_MAX_MD_SIZE];
  unsigned int length = 0;
  if (EVP_DigestFinal_ex (summing->digest, sum, &length) != 1)
    abort ();
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
summing_of (int fd, const char *algorithm, int64_t size, char hex[static 129], struct error *err)
{
  struct summing *summing = create (fd, algorithm);
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
summing_start (int fd, const char *algorithm)
{
  struct summing *summing = create (fd, algorithm);
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
