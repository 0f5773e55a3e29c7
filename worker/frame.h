/* frame.h — what a worker and its slots say to each other over a socket pair.
 *
 *     size  kind  payload…        size: 4 bytes, of the payload; kind: 1 byte
 *
 * Both ends are the same program on the same machine: numbers are the machine's own. Sizes are
 * checked all the same.
 *
 *     HELLO   worker → slot, once: parent pid, slot name, image store, runtime program, user
 *             namespace, CDI folders, scratch, policy (none: it refuses nothing)
 *     RUN     worker → slot: starts, whether its container may start at once, writer, Job (empty:
 *             as before), Shard
 *     GO      worker → slot: now it may
 *     STOP    worker → slot: SIGTERM, SIGKILL after a grace
 *     KILL    worker → slot: SIGKILL, and nothing is kept
 *     FETCHED slot → worker, now and then: what inputs took from servers since the last one, by
 *     their kind
 *     REPORT  slot → worker: the rest of that; Event FINISHED
 *     TRY     worker → slot, in a RUN's place: Job whose container is to be tried (trial.h)
 *     TRIED   slot → worker: description of the runtime (none: it couldn't be opened), class and
 *             text of the error (none: it ran)
 */
#ifndef SHOAL_WORKER_FRAME_H
#define SHOAL_WORKER_FRAME_H

#include "common/buffer.h"
#include "common/error.h"
#include "schemas/codec.h"

#include <stdbool.h>
#include <stdint.h>

#define FRAME_SIZE_MAX (2 * MESSAGE_SIZE_MAX + ((size_t) 64 << 10))

enum frame_kind
{
  FRAME_HELLO = 1,
  FRAME_RUN,
  FRAME_STOP,
  FRAME_KILL,
  FRAME_REPORT,
  FRAME_GO,
  FRAME_FETCHED,
  FRAME_TRY,
  FRAME_TRIED,
};

/* Sends one frame, whole; blocks as the socket does. */
int frame_send (int fd, enum frame_kind kind, struct bytes payload, struct error *err);

/* One end's reading side. */
struct frame_reader
{
  int fd;
  struct buffer data; /* of the frame that is coming in */
};

void frame_reader_release (struct frame_reader *reader);

/* Reads a frame: 1, with its payload in PAYLOAD, valid until the next call; 0 when there is no
 * whole one yet (never with WAIT); -1 when the other end is gone (err->code is EPIPE) or speaks
 * nonsense. */
int frame_receive (struct frame_reader *reader, bool wait, enum frame_kind *kind,
                   struct bytes *payload, struct error *err);

/* Fields of a payload, one behind the other. */
void frame_put_number (struct buffer *payload, uint32_t number);
void frame_put_bytes (struct buffer *payload, struct bytes bytes);
void frame_put_text (struct buffer *payload, const char *text); /* NULL stays NULL */

/* Take the next field off PAYLOAD; -1 with ERR when it isn't there. */
int frame_get_number (struct bytes *payload, uint32_t *number, struct error *err);
int frame_get_bytes (struct bytes *payload, struct bytes *bytes, struct error *err);
int frame_get_text (struct bytes *payload, char **text, struct error *err); /* the caller frees */

#endif
