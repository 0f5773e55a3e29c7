/* protocol.h — what a worker and the agent of its pod say to each other.
 *
 * Packets of a fixed size over a local socket (SOCK_SEQPACKET), between two programs of one build
 * on one machine. The worker asks, the agent answers each packet but AGENT_SIGNAL:
 *
 *     HELLO          who the agent is, and what its container has
 *     LOOK path      what lies there
 *     RUN            a command, with three descriptors: its words, its stdout, its stderr;
 *                    answered when it has ended and nothing of it runs any more
 *     SIGNAL number  to the command; SIGKILL to all that runs
 *
 * The words are a file: ARGC arguments, then ENVC variables, each ended by a NUL. The end of the
 * connection ends the command. What isn't of this form ends the connection.
 */
#ifndef SHOAL_WORKER_AGENT_PROTOCOL_H
#define SHOAL_WORKER_AGENT_PROTOCOL_H

#include <stdbool.h>
#include <stdint.h>

#define AGENT_MAGIC 0x616f6873u

enum
{
  AGENT_VERSION = 1,
  AGENT_PATH = 4096,         /* bytes, with the NUL */
  AGENT_TEXT = 8192,         /* bytes of the entrypoint's words, or of a reason */
  AGENT_WORDS_MAX = 4 << 20, /* bytes of a command's words: more than the kernel takes */
  AGENT_COUNT_MAX = 1 << 16, /* arguments or variables */
  AGENT_DESCRIPTORS = 3,     /* of RUN: words, stdout, stderr */
  AGENT_EXIT_UNFIT = 2,      /* it can't be an agent here */
};

/* Where a command's start failed. */
enum agent_step
{
  AGENT_STEP_NONE,
  AGENT_STEP_SET_UP,
  AGENT_STEP_FOLDER, /* its working folder */
  AGENT_STEP_EXEC,
};

enum agent_kind
{
  AGENT_HELLO = 1,
  AGENT_LOOK,
  AGENT_RUN,
  AGENT_SIGNAL,
  AGENT_REFUSED, /* only as an answer: `text` says why */
};

struct agent_request
{
  uint32_t magic;
  uint32_t version;
  uint32_t kind;
  int32_t signal;
  uint32_t argc;
  uint32_t envc;
  uint32_t umask;
  uint32_t no_network;   /* only sockets of this machine */
  uint32_t probe;        /* the agent itself is the command, and ends with 0 */
  char path[AGENT_PATH]; /* LOOK; RUN: the working folder, "" for the image's */
};

struct agent_answer
{
  uint32_t magic;
  uint32_t version;
  uint32_t kind; /* of the request */
  int32_t code;  /* errno: LOOK: nothing there; RUN: `step` failed; 0 */
  /* HELLO */
  uint64_t instance; /* another one after each start */
  uint32_t uid;
  uint32_t gid;
  int64_t memory; /* bytes that the container may have, -1: no limit is known */
  int64_t cpus;   /* thousandths, -1 */
  uint32_t read_only_root;
  uint32_t knows_entrypoint; /* `text` has `words` words, each ended by a NUL */
  uint32_t words;
  /* LOOK */
  uint32_t mode;
  uint64_t device;
  uint64_t inode;
  uint32_t read_only; /* the file system there */
  /* RUN */
  uint32_t step;  /* enum agent_step */
  int32_t status; /* as wait has it */
  uint32_t oom;   /* the kernel killed one of its processes for memory */
  int64_t cpu_us;
  char text[AGENT_TEXT];
};

#endif
