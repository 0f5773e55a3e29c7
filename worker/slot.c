#include "worker/slot.h"

#include "common/memory.h"
#include "common/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>

enum
{
  SEND_TIMEOUT_S = 10, /* an idle slot that doesn't read for so long is as good as dead */
};

static int
send_hello (const struct slot *slot, const struct worker_options *options, struct error *err)
{
  auto_buffer struct buffer payload = { 0 };
  frame_put_number (&payload, (uint32_t) getpid ());
  frame_put_text (&payload, slot->name);
  frame_put_text (&payload, options->images);
  frame_put_text (&payload, options->oci_program);
  frame_put_text (&payload, options->userns);
  frame_put_text (&payload, options->scratch);
  bool free_policy = options->policy == NULL || options->policy->anything;
  auto_free char *policy = free_policy ? NULL : policy_format (options->policy);
  frame_put_text (&payload, policy);
  return frame_send (slot->reader.fd, FRAME_HELLO, buffer_bytes (&payload), err);
}

int
slot_start (struct slot *slot, const char *name, const struct worker_options *options,
            struct error *err)
{
  slot_release (slot);
  slot->name = xstrdup (name);
  auto_free char *self = spawn_self (err);
  if (self == NULL)
    return -1;
  int ends[2];
  if (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    return error_errno (err, errno, "a slot's socket");
  const struct timeval patience = { .tv_sec = SEND_TIMEOUT_S };
  (void) setsockopt (ends[0], SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  char command[] = "slot";
  char *const argv[] = { self, command, NULL };
  struct spawn_options spawning = SPAWN_DEFAULT;
  spawning.extra_fd = ends[1];
  slot->reader.fd = ends[0];
  slot->pid = spawn (argv, &spawning, err);
  auto_fd_ (&ends[1]);
  if (slot->pid < 0 || send_hello (slot, options, err) != 0)
    {
      slot_end (slot);
      return error_wrap (err, "starting a slot");
    }
  return 0;
}

int
slot_run (struct slot *slot, const struct job *job, const struct shard *shard, uint32_t starts,
          const char *writer, bool go, struct error *err)
{
  auto_buffer struct buffer payload = { 0 };
  auto_buffer struct buffer job_bytes = { 0 };
  auto_buffer struct buffer shard_bytes = { 0 };
  bool known = slot->job_id != NULL && strcmp (slot->job_id, job->id) == 0;
  if ((!known && codec_encode_job (job, &job_bytes, err) != 0)
      || codec_encode_shard (shard, &shard_bytes, err) != 0)
    return -1;
  frame_put_number (&payload, starts);
  frame_put_number (&payload, go ? 1 : 0);
  frame_put_text (&payload, writer);
  frame_put_bytes (&payload, buffer_bytes (&job_bytes));
  frame_put_bytes (&payload, buffer_bytes (&shard_bytes));
  if (frame_send (slot->reader.fd, FRAME_RUN, buffer_bytes (&payload), err) != 0)
    return -1;
  if (!known)
    {
      free (slot->job_id);
      slot->job_id = xstrdup (job->id);
    }
  return 0;
}

void
slot_order (struct slot *slot, enum frame_kind order)
{
  /* A slot that can't be reached is noticed when its report is read. */
  (void) frame_send (slot->reader.fd, order, (struct bytes){ 0 }, NULL);
}

int
slot_report (struct slot *slot, struct event *event, struct error *err)
{
  enum frame_kind kind;
  struct bytes payload;
  int got = frame_receive (&slot->reader, false, &kind, &payload, err);
  if (got <= 0)
    return got;
  if (kind != FRAME_REPORT && kind != FRAME_FETCHED)
    return error_set (err, ERROR_FATAL, "a slot sent a frame of kind %d", (int) kind);
  struct bytes fetched;
  if (frame_get_bytes (&payload, &fetched, err) != 0)
    return -1;
  if (fetched.size != sizeof slot->fetched)
    return error_set (err, ERROR_FATAL, "a slot sent totals of %zu bytes", fetched.size);
  memcpy (slot->fetched, fetched.data, sizeof slot->fetched);
  if (kind == FRAME_FETCHED)
    return 2;
  return codec_decode_event (payload, event, err) == 0 ? 1 : -1;
}

void
slot_end (struct slot *slot)
{
  if (slot->pid > 0)
    {
      (void) kill (slot->pid, SIGKILL);
      while (waitpid (slot->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    }
  slot->pid = -1;
  auto_fd_ (&slot->reader.fd);
  frame_reader_release (&slot->reader);
}

void
slot_release (struct slot *slot)
{
  if (slot->pid > 0)
    slot_end (slot);
  free (slot->name);
  free (slot->job_id);
  *slot = (struct slot){ .pid = -1, .reader = { .fd = -1 } };
}
