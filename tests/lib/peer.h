/* peer.h — another program that a test talks to: a script of tests/lib that prints its port and
 * ends with us. Failures fail the test. */
#ifndef SHOAL_TESTS_LIB_PEER_H
#define SHOAL_TESTS_LIB_PEER_H

#include "common/auto.h"

#include <sys/types.h>

struct peer
{
  pid_t pid;
  int port;
  char *folder; /* of its own, for what it writes; removed with it */
  char *log;    /* a file there */
};

/* Runs tests/lib/SCRIPT with the arguments up to NULL; "LOG" among them becomes the path of its
 * log. */
struct peer *peer_start (const char *script, ...) __attribute__ ((sentinel));
void peer_stop (struct peer *peer);

static inline void
auto_peer_ (struct peer **peer)
{
  peer_stop (*peer);
}
#define auto_peer AUTO (auto_peer_)

/* How many lines of its log begin with PREFIX. */
int peer_logged (const struct peer *peer, const char *prefix);

/* The environment's NAME, which tests/run.sh sets; a test that misses it fails and says what to
 * do. */
const char *peer_server (const char *name);

#endif
