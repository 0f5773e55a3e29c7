/* connections.h — who is connected, and who must go when there are too many.
 *
 *     accept ─► WAITING ──head is whole──► SERVED ─► closed
 *                  │ │                        │
 *                  │ └─ refused ─► LEAVING    ├─ ENDED: shut down, about to be closed
 *                  └─ closed                  └─ (has the token: stays)
 *
 * Nobody holds a place for long without saying anything: each phase has a deadline, and a newcomer
 * takes the place of the oldest one that hasn't shown the token. Some places are for probes alone.
 * So whoever opens connections and waits shuts out himself, by his address or by his age.
 *
 * Belongs to the server thread. Plain lists: there are at most some two hundred.
 */
#ifndef SHOAL_HTTPD_CONNECTIONS_H
#define SHOAL_HTTPD_CONNECTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum
{
  WAITING_MAX = 64, /* those that leave included */
  SERVED_MAX = 64,  /* of requests that aren't probes … */
  PROBES_MAX = 16,  /* … and these places more, which only probes take */
};

enum phase
{
  PHASE_WAITING, /* for all of its head */
  PHASE_LEAVING, /* refused: what it still sends is thrown away until it has read why */
  PHASE_SERVED,  /* the library has it */
  PHASE_ENDED,   /* shut down: the library closes it */
};

struct connection
{
  struct connection *next; /* by age, the oldest first */
  int fd;
  enum phase phase;
  bool probe;       /* SERVED in answer to a probe */
  bool trusted;     /* has shown the token */
  bool answered;    /* its answer is on its way */
  bool busy;        /* the slow thread has it: it can't be ended now */
  bool counted;     /* by its address: it isn't this machine's */
  uint8_t peer[16]; /* its address, of an IPv6 one the network (/64) */
  int64_t deadline; /* boot ms; 0: none */
};

/* Has all of them; zeroed at first. PER_ADDRESS: at once from one address that isn't this
 * machine's; 0: any number. */
struct connections
{
  struct connection *first;
  int per_address;
};

/* Called with each that has to go: a WAITING or LEAVING one is to be closed and dropped, a SERVED
 * one shut down. */
typedef void (*connection_end) (void *context, struct connection *connection, const char *reason);

/* Takes FD, of the peer ADDRESS, as WAITING. NULL: too many of its address are served. */
struct connection *connections_add (struct connections *all, int fd, const struct sockaddr *address,
                                    socklen_t size, connection_end end, void *context);

/* Makes CONNECTION a SERVED one. False: there is no place, all have the token or are busy. */
bool connections_serve (struct connections *all, struct connection *connection, bool probe,
                        connection_end end, void *context);

/* Takes CONNECTION out and frees it; FD is the caller's. */
void connections_drop (struct connections *all, struct connection *connection);

/* Ends those whose deadline is before NOW. The next deadline, -1: none. */
int64_t connections_expire (struct connections *all, int64_t now, connection_end end,
                            void *context);

/* How many are SERVED. */
int connections_served (const struct connections *all);

#endif
