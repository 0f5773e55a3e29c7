/* libFuzzer: bytes of a peer, against the real server on a socket. The first byte says where they
 * are cut in two.
 *
 * However they come, the guard says the same of them; what the guard refuses comes to no handler
 * and gets 400 or 431, and what it lets pass the library takes for what it is: one request, of that
 * method and path, whose body is what its one length or its chunks say. The server answers once at
 * most and closes. */
#include "common/clock.h"
#include "common/memory.h"
#include "httpd/head.h"
#include "httpd/httpd.h"

#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int LLVMFuzzerInitialize (int *argc, char ***argv);
int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

enum
{
  BODY_MAX = 1000,
  PATIENCE_MS = 4000,
  CUT_MS = 10, /* a peer that ends in its body is waited for so long */
};

/* What handlers saw; written by the server's threads before the answer, read after it. */
static struct
{
  int calls;
  bool wrong;
} seen;

static char path[64];

/* ---- the server ------------------------------------------------------------------------- */

static void
handle (void *context, const struct http_request *request, struct http_answer *answer)
{
  (void) context;
  bool wrong = request->body.size > BODY_MAX;
  for (const char *c = request->path; *c != '\0'; c++)
    wrong |= (unsigned char) *c < ' ' || *c == 0x7f;
  const char *length = http_request_header (request, "Content-Length");
  const char *coding = http_request_header (request, "Transfer-Encoding");
  wrong |= length != NULL && coding != NULL;
  wrong |= length != NULL && strtoull (length, NULL, 10) != request->body.size;
  wrong |= length == NULL && coding == NULL && request->body.size > 0;
  wrong |= coding != NULL && strcasecmp (coding, "chunked") != 0;
  seen.wrong |= wrong;
  __atomic_add_fetch (&seen.calls, 1, __ATOMIC_SEQ_CST);
  http_answer_text (answer, 200, xstrdup (request->path));
}

int
LLVMFuzzerInitialize (int *argc, char ***argv)
{
  (void) argc;
  (void) argv;
  static struct http_route routes[] = {
    { "GET", "/q/", false, false, handle, NULL }, { "POST", "/q/", false, false, handle, NULL },
    { "GET", "/s/", false, true, handle, NULL },  { "POST", "/s/", false, true, handle, NULL },
    { "POST", "/g", true, false, handle, NULL },
  };
  static char address[80];
  (void) snprintf (path, sizeof path, "/tmp/shoal-fuzz-httpd-%d", (int) getpid ());
  (void) snprintf (address, sizeof address, "unix:%s", path);
  const struct httpd_options options = { .address = address,
                                         .token = "correct-horse-battery",
                                         .routes = routes,
                                         .route_count = sizeof routes / sizeof *routes,
                                         .body_max = BODY_MAX,
                                         .body_ms = CUT_MS,
                                         .refused_ms = CUT_MS };
  struct error err = ERROR_INIT;
  if (httpd_start (&options, &err) == NULL)
    {
      (void) fprintf (stderr, "%s\n", err.message);
      abort ();
    }
  return 0;
}

/* ---- the peer --------------------------------------------------------------------------- */

static int
dial (void)
{
  struct sockaddr_un place = { .sun_family = AF_UNIX };
  memcpy (place.sun_path, path, strlen (path));
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect (fd, (const struct sockaddr *) &place, sizeof place) != 0)
    abort ();
  return fd;
}

/* Sends all, in two parts, and ends; the answer up to the end. */
static void
talk (const uint8_t *data, size_t size, size_t cut, struct buffer *heard)
{
  auto_fd int fd = dial ();
  (void) send (fd, data, cut, MSG_NOSIGNAL);
  if (cut > 0 && cut < size)
    (void) poll (NULL, 0, 1);
  if (cut < size)
    (void) send (fd, data + cut, size - cut, MSG_NOSIGNAL);
  (void) shutdown (fd, SHUT_WR);
  int64_t end = clock_boot_ms () + PATIENCE_MS;
  for (;;)
    {
      char bytes[4096];
      struct pollfd about = { .fd = fd, .events = POLLIN };
      if (clock_boot_ms () > end)
        abort (); /* it keeps a connection that has ended */
      if (poll (&about, 1, PATIENCE_MS) <= 0)
        continue;
      ssize_t got = recv (fd, bytes, sizeof bytes, 0);
      if (got <= 0)
        return;
      buffer_append (heard, bytes, (size_t) got);
    }
}

static int
status_of (const struct buffer *heard)
{
  if (heard->size == 0)
    return 0;
  if (heard->size < 15 || memcmp (heard->data, "HTTP/1.", 7) != 0)
    abort ();
  return atoi (heard->data + 9);
}

/* ---- the guard -------------------------------------------------------------------------- */

/* What it says of all of DATA; of less it says the same, or that more is needed. */
static enum head_state
guard (const uint8_t *data, size_t size, size_t cut, struct head *head)
{
  struct head part;
  enum head_state whole = head_read ((struct bytes){ data, size }, head);
  enum head_state first = head_read ((struct bytes){ data, cut }, &part);
  if (first != HEAD_MORE && first != whole)
    abort ();
  if (first == HEAD_WHOLE && part.size != head->size)
    abort ();
  if (whole == HEAD_WRONG && (head->wrong == NULL || (head->status != 400 && head->status != 431)))
    abort ();
  if (whole == HEAD_WHOLE
      && (head->size < 4 || head->size > size || head->size > HEAD_MAX
          || memcmp (data + head->size - 4, "\r\n\r\n", 4) != 0
          || memmem (data, head->size - 1, "\r\n\r\n", 4) != NULL
          || memchr (data, '\0', head->size) != NULL))
    abort ();
  return whole;
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  if (size < 1 || size > 40000)
    return 0;
  size_t cut = (size_t) data[0] * (size - 1) / 255;
  data++;
  size--;
  struct head head;
  enum head_state state = guard (data, size, cut, &head);
  if (state != HEAD_WHOLE && size % 16 != 0) /* most of the time is spent with what gets further */
    return 0;
  auto_buffer struct buffer heard = { 0 };
  seen.calls = 0;
  talk (data, size, cut, &heard);
  int status = status_of (&heard);
  if (seen.wrong || seen.calls > 1)
    abort ();
  if (state == HEAD_WRONG && (seen.calls > 0 || (status != 400 && status != 431 && status != 0)))
    abort ();
  if (state == HEAD_MORE && (seen.calls > 0 || status != 0))
    abort ();
  if (status == 200 && seen.calls != 1)
    abort ();
  return 0;
}
