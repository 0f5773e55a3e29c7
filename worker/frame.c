#include "worker/frame.h"

#include "common/memory.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum
{
  HEADER_SIZE = 5,
};

static const uint32_t no_text = UINT32_MAX; /* a length that stands for NULL */

/* ---- sending ---------------------------------------------------------------------------- */

int
frame_send (int fd, enum frame_kind kind, struct bytes payload, struct error *err)
{
  char header[HEADER_SIZE];
  if (payload.size > FRAME_SIZE_MAX)
    return error_set (err, ERROR_USER, "a message of %zu bytes is too large", payload.size);
  uint32_t size = (uint32_t) payload.size;
  memcpy (header, &size, sizeof size);
  header[4] = (char) kind;
  struct iovec parts[2] = {
    { .iov_base = header, .iov_len = sizeof header },
    { .iov_base = (void *) payload.data, .iov_len = payload.size },
  };
  struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };
  while (parts[0].iov_len + parts[1].iov_len > 0)
    {
      ssize_t sent = sendmsg (fd, &message, MSG_NOSIGNAL);
      if (sent < 0 && errno == EINTR)
        continue;
      if (sent < 0)
        return error_errno (err, errno, "the other end of a slot's socket");
      for (int i = 0; i < 2; i++)
        {
          size_t part = (size_t) sent < parts[i].iov_len ? (size_t) sent : parts[i].iov_len;
          parts[i].iov_base = (char *) parts[i].iov_base + part;
          parts[i].iov_len -= part;
          sent -= (ssize_t) part;
        }
    }
  return 0;
}

/* ---- receiving -------------------------------------------------------------------------- */

void
frame_reader_release (struct frame_reader *reader)
{
  buffer_release (&reader->data);
  reader->fd = -1;
}

/* Bytes that the frame still lacks, as far as its header is there; or -1 for one that is too
 * large. */
static ssize_t
missing (const struct buffer *data)
{
  if (data->size < HEADER_SIZE)
    return (ssize_t) (HEADER_SIZE - data->size);
  uint32_t size = 0;
  memcpy (&size, data->data, sizeof size);
  if (size > FRAME_SIZE_MAX)
    return -1;
  return (ssize_t) (HEADER_SIZE + size - data->size);
}

int
frame_receive (struct frame_reader *reader, bool wait, enum frame_kind *kind, struct bytes *payload,
               struct error *err)
{
  struct buffer *data = &reader->data;
  if (data->size >= HEADER_SIZE && missing (data) == 0)
    buffer_clear (data); /* the frame of the last call */
  for (ssize_t left = missing (data); left != 0; left = missing (data))
    {
      if (left < 0)
        return error_set (err, ERROR_FATAL, "a frame on a slot's socket is too large");
      char *end = buffer_reserve (data, (size_t) left);
      ssize_t got = recv (reader->fd, end, (size_t) left, wait ? 0 : MSG_DONTWAIT);
      if (got < 0 && errno == EINTR)
        continue;
      if (got < 0 && errno == EAGAIN && !wait)
        return 0;
      if (got <= 0)
        return error_errno (err, EPIPE, "the other end of a slot's socket");
      data->size += (size_t) got;
    }
  *kind = (enum frame_kind) data->data[4];
  *payload = (struct bytes){ data->data + HEADER_SIZE, data->size - HEADER_SIZE };
  return 1;
}

/* ---- fields ----------------------------------------------------------------------------- */

void
frame_put_number (struct buffer *payload, uint32_t number)
{
  buffer_append (payload, &number, sizeof number);
}

void
frame_put_bytes (struct buffer *payload, struct bytes bytes)
{
  frame_put_number (payload, (uint32_t) bytes.size);
  if (bytes.size > 0)
    buffer_append (payload, bytes.data, bytes.size);
}

void
frame_put_text (struct buffer *payload, const char *text)
{
  if (text == NULL)
    frame_put_number (payload, no_text);
  else
    frame_put_bytes (payload, (struct bytes){ text, strlen (text) });
}

int
frame_get_number (struct bytes *payload, uint32_t *number, struct error *err)
{
  if (payload->size < sizeof *number)
    return error_set (err, ERROR_FATAL, "a frame on a slot's socket is too short");
  memcpy (number, payload->data, sizeof *number);
  *payload = (struct bytes){ (const char *) payload->data + sizeof *number,
                             payload->size - sizeof *number };
  return 0;
}

int
frame_get_bytes (struct bytes *payload, struct bytes *bytes, struct error *err)
{
  uint32_t size = 0;
  if (frame_get_number (payload, &size, err) != 0)
    return -1;
  if (size > payload->size)
    return error_set (err, ERROR_FATAL, "a frame on a slot's socket is too short");
  *bytes = (struct bytes){ payload->data, size };
  *payload = (struct bytes){ (const char *) payload->data + size, payload->size - size };
  return 0;
}

int
frame_get_text (struct bytes *payload, char **text, struct error *err)
{
  struct bytes after = *payload;
  uint32_t size = 0;
  if (frame_get_number (&after, &size, err) != 0)
    return -1;
  *text = NULL;
  if (size == no_text)
    {
      *payload = after;
      return 0;
    }
  struct bytes bytes;
  if (frame_get_bytes (payload, &bytes, err) != 0)
    return -1;
  *text = bytes.size == 0 ? xstrdup ("") : xstrndup (bytes.data, bytes.size);
  return 0;
}
