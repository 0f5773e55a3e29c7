#include "httpd/connections.h"

#include "common/http/address_class.h"
#include "common/memory.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

static bool
is_waiting (const struct connection *connection)
{
  return connection->phase == PHASE_WAITING || connection->phase == PHASE_LEAVING;
}

static bool
is_same_peer (const struct connection *one, const struct connection *other)
{
  return memcmp (one->peer, other->peer, sizeof one->peer) == 0;
}

/* ---- peers ------------------------------------------------------------------------------ */

static void
set_peer (struct connection *connection, const struct sockaddr *address, socklen_t size)
{
  if (size >= sizeof (struct sockaddr_in) && address->sa_family == AF_INET)
    {
      const struct sockaddr_in *v4 = (const struct sockaddr_in *) (const void *) address;
      memcpy (connection->peer, &v4->sin_addr, sizeof v4->sin_addr);
    }
  else if (size >= sizeof (struct sockaddr_in6) && address->sa_family == AF_INET6)
    {
      const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *) (const void *) address;
      if (IN6_IS_ADDR_V4MAPPED (&v6->sin6_addr))
        memcpy (connection->peer, v6->sin6_addr.s6_addr + 12, 4);
      else
        memcpy (connection->peer, v6->sin6_addr.s6_addr, 8);
    }
  else
    return;
  connection->counted = address_class_of (address, size) != ADDRESS_LOOPBACK;
}

static int
count_peers (const struct connections *all, const struct connection *of)
{
  int count = 0;
  for (const struct connection *one = all->first; one != NULL; one = one->next)
    count += one->phase != PHASE_ENDED && is_same_peer (one, of);
  return count;
}

/* ---- who must go ------------------------------------------------------------------------ */

/* The oldest that waits: of those that leave, else of the address that has most. */
static struct connection *
find_waiting (const struct connections *all)
{
  struct connection *found = NULL;
  int most = 0;
  for (struct connection *one = all->first; one != NULL; one = one->next)
    {
      if (one->phase == PHASE_LEAVING)
        return one;
      int count = one->phase == PHASE_WAITING ? count_peers (all, one) : 0;
      if (count > most)
        {
          found = one;
          most = count;
        }
    }
  return found;
}

/* The oldest of OF's address that hasn't shown the token; those that wait first. */
static struct connection *
find_of_peer (const struct connections *all, const struct connection *of)
{
  struct connection *found = NULL;
  for (struct connection *one = all->first; one != NULL; one = one->next)
    {
      if (!is_same_peer (one, of) || one->phase == PHASE_ENDED || one->trusted || one->busy)
        continue;
      if (is_waiting (one))
        return one;
      found = found == NULL ? one : found;
    }
  return found;
}

/* The oldest that is served, without the token, as a probe or not. */
static struct connection *
find_served (const struct connections *all, bool probe)
{
  for (struct connection *one = all->first; one != NULL; one = one->next)
    if (one->phase == PHASE_SERVED && one->probe == probe && !one->trusted && !one->busy)
      return one;
  return NULL;
}

/* ---- coming and going ------------------------------------------------------------------- */

static int
count_waiting (const struct connections *all)
{
  int count = 0;
  for (const struct connection *one = all->first; one != NULL; one = one->next)
    count += is_waiting (one);
  return count;
}

struct connection *
connections_add (struct connections *all, int fd, const struct sockaddr *address, socklen_t size,
                 connection_end end, void *context)
{
  struct connection new = { .fd = fd };
  struct connection *victim = NULL;
  set_peer (&new, address, size);
  if (new.counted && all->per_address > 0 && count_peers (all, &new) >= all->per_address)
    {
      victim = find_of_peer (all, &new);
      if (victim == NULL)
        return NULL;
      end (context, victim, "address");
    }
  if (count_waiting (all) >= WAITING_MAX && (victim = find_waiting (all)) != NULL)
    end (context, victim, "crowded");
  struct connection **last = &all->first;
  while (*last != NULL)
    last = &(*last)->next;
  return *last = xmemdup (&new, sizeof new);
}

static int
count_served (const struct connections *all, bool probe)
{
  int count = 0;
  for (const struct connection *one = all->first; one != NULL; one = one->next)
    count += one->phase == PHASE_SERVED && one->probe == probe;
  return count;
}

int
connections_served (const struct connections *all)
{
  return count_served (all, false) + count_served (all, true);
}

bool
connections_serve (struct connections *all, struct connection *connection, bool probe,
                   connection_end end, void *context)
{
  if (count_served (all, probe) >= (probe ? PROBES_MAX : SERVED_MAX))
    {
      struct connection *victim = find_served (all, probe);
      if (victim == NULL)
        return false;
      end (context, victim, "crowded");
    }
  connection->phase = PHASE_SERVED;
  connection->probe = probe;
  return true;
}

void
connections_drop (struct connections *all, struct connection *connection)
{
  struct connection **at = &all->first;
  while (*at != connection)
    at = &(*at)->next;
  *at = connection->next;
  free (connection);
}

int64_t
connections_expire (struct connections *all, int64_t now, connection_end end, void *context)
{
  static const char *const reasons[] = {
    [PHASE_WAITING] = "slow_head", [PHASE_LEAVING] = "left", [PHASE_SERVED] = "slow"
  };
  int64_t next = -1;
  struct connection *following = NULL;
  for (struct connection *one = all->first; one != NULL; one = following)
    {
      following = one->next;
      if (one->deadline == 0 || one->phase == PHASE_ENDED)
        continue;
      if (one->deadline <= now)
        end (context, one, reasons[one->phase]);
      else if (next < 0 || one->deadline < next)
        next = one->deadline;
    }
  return next;
}
