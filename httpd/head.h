/* head.h — a guard before the HTTP library: whether the bytes of a request's head can be read in
 * one way only.
 *
 *     GET /v1/jobs/one HTTP/1.1 CRLF        one method, one path, one version, by single spaces
 *     Name: value CRLF                      one line each
 *     CRLF
 *
 * What two readers could take differently is refused, so that no proxy before us is told something
 * else than we are: lines that end in a bare LF or hold a bare CR, control characters, folded
 * lines, blanks before a colon, a length that is there twice, or beside a transfer coding, codings
 * but "chunked", two Hosts, or none, escapes of control characters in the path, and targets that
 * are no path.
 *
 * Plain functions, any thread.
 */
#ifndef SHOAL_HTTPD_HEAD_H
#define SHOAL_HTTPD_HEAD_H

#include "common/buffer.h"

#include <stddef.h>

enum
{
  HEAD_MAX = 16 << 10, /* bytes */
  HEAD_METHOD_MAX = 16,
};

enum head_state
{
  HEAD_MORE,  /* nothing is wrong so far */
  HEAD_WHOLE, /* and right */
  HEAD_WRONG,
};

struct head
{
  size_t size;                      /* HEAD_WHOLE: bytes, the empty line included */
  char method[HEAD_METHOD_MAX + 1]; /* HEAD_WHOLE */
  char path[256];      /* HEAD_WHOLE: as it was sent, without a query; "" when it is longer */
  unsigned int status; /* HEAD_WRONG: 400 or 431 … */
  const char *wrong;   /* … and why */
};

/* Reads what came so far. More bytes behind a whole head change nothing, nor do those behind what
 * is wrong. */
enum head_state head_read (struct bytes bytes, struct head *head);

#endif
