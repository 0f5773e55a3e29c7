/* httpd_internal.h — what the server is made of: its thread (httpd.c), taking connections until
 * their head is whole (door.c), and requests that the library has (exchange.c). */
#ifndef SHOAL_HTTPD_HTTPD_INTERNAL_H
#define SHOAL_HTTPD_HTTPD_INTERNAL_H

#include "common/digest.h"
#include "httpd/address.h"
#include "httpd/connections.h"
#include "httpd/httpd.h"
#include "httpd/slow_thread.h"

#include <microhttpd.h>
#include <pthread.h>

struct httpd
{
  struct httpd_options
      options; /* its strings are the caller's but for the token's, which isn't kept */
  bool has_token;
  uint8_t token[DIGEST_SIZE]; /* token_sum of it */
  struct address address;
  struct slow_thread *slow_thread;
  pthread_t thread;
  int wake;    /* an eventfd: something changed in another thread */
  bool ending; /* atomic: no more connections */
  bool idle;   /* atomic: the slow thread has stopped */

  /* ---- the server thread's */
  struct MHD_Daemon *daemon; /* without a thread and a socket of its own */
  struct connections connections;
  struct connection *handed; /* the one that the library is taking */
  int epoll;
  int listener;
  int64_t deaf_until; /* boot ms: no descriptor was free for a connection; 0: it listens */
};

/* ---- shared.c */

/* Counts a connection that was ended by us, for REASON. */
void httpd_count_end (const struct httpd *httpd, const char *reason);

/* Has the server thread look around. From any thread. */
void httpd_wake (const struct httpd *httpd);

/* ---- door.c */

/* Takes all connections that there are. */
void door_open (struct httpd *httpd);

/* CONNECTION, WAITING or LEAVING, has sent something; ENDED: and will send nothing more. */
void door_read (struct httpd *httpd, struct connection *connection, bool ended);

/* connection_end, with the httpd as its context. */
void door_end (void *context, struct connection *connection, const char *reason);

/* ---- exchange.c */

struct MHD_Daemon *exchange_daemon (struct httpd *httpd);

/* slow_thread_start's, for requests that may take long. */
void exchange_work (void *task);
void exchange_drop (void *task);

#endif
