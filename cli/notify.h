/* notify.h — tells systemd how a service stands (sd_notify(3)): READY when its bus answers, STATUS
 * why not, STOPPING, and the watchdog's sign of life while its loop turns.
 *
 * The protocol is one datagram to NOTIFY_SOCKET, so libsystemd isn't needed. Owns a thread; takes
 * no signals. Without that variable nothing happens.
 */
#ifndef SHOAL_CLI_NOTIFY_H
#define SHOAL_CLI_NOTIFY_H

#include "common/auto.h"
#include "common/health.h"

#include <signal.h>

struct notify_args
{
  char *address;       /* NOTIFY_SOCKET; NULL: nobody asks. Owned */
  int64_t watchdog_ms; /* between two signs of life at most; 0: none is wanted */
};

/* Reads the variables, and removes them: what a service starts isn't to speak for it. To be called
 * before there are threads. ERROR_USER when the address can't be one. */
int notify_read (struct notify_args *args, struct error *err);

struct notify;

/* Begins to tell. HEALTH and STOP, which becomes non-zero when the service is told to end, outlive
 * it. NULL with ERR. */
struct notify *notify_start (const struct notify_args *args, struct health *health,
                             const volatile sig_atomic_t *stop, struct error *err);
void notify_end (struct notify *notify);

static inline void
auto_notify_ (struct notify **notify)
{
  notify_end (*notify);
}
#define auto_notify AUTO (auto_notify_)

#endif
