/* address_class.h — what kind of address an Internet address is: the machine's own, its network's,
 * or anybody's.
 *
 * By the registries of special-purpose addresses (RFC 6890, RFC 8190), those of multicast, and the
 * forms in which an IPv6 address holds an IPv4 one (mapped, compatible, NAT64, 6to4, Teredo): these
 * are of the class of what they hold, where that is the more special one.
 *
 * Plain functions, any thread.
 */
#ifndef SHOAL_COMMON_HTTP_ADDRESS_CLASS_H
#define SHOAL_COMMON_HTTP_ADDRESS_CLASS_H

#include <stdbool.h>
#include <sys/socket.h>

/* The further down, the closer. */
enum address_class
{
  ADDRESS_PUBLIC, /* anybody's */
  /* nobody's: documentation, benchmarks, multicast, broadcast, what isn't given out */
  ADDRESS_RESERVED,
  ADDRESS_PRIVATE,  /* of a site: 10/8, 172.16/12, 192.168/16, 100.64/10, fc00::/7 */
  ADDRESS_LINK,     /* of a wire: 169.254/16, fe80::/10; metadata services are there */
  ADDRESS_LOOPBACK, /* the machine's own: 127/8, ::1, 0.0.0.0 and ::, Unix sockets */
};

/* Families that aren't known are ADDRESS_RESERVED. */
enum address_class address_class_of (const struct sockaddr *address, socklen_t size);

/* "a private address" */
const char *address_class_name (enum address_class class);

#endif
