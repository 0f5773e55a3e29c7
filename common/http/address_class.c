#include "common/http/address_class.h"

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct block
{
  uint8_t prefix[16];
  uint8_t bits;
  enum address_class class;
};

/* The first that fits counts. */
static const struct block v4[] = {
  { { 0 }, 8, ADDRESS_LOOPBACK }, /* Linux connects 0.0.0.0 to itself; the rest is nobody's */
  { { 10 }, 8, ADDRESS_PRIVATE },
  { { 100, 64 },
    10,
    ADDRESS_PRIVATE }, /* shared by a provider's customers; clouds' metadata as well */
  { { 127 }, 8, ADDRESS_LOOPBACK },
  { { 169, 254 }, 16, ADDRESS_LINK },
  { { 172, 16 }, 12, ADDRESS_PRIVATE },
  { { 192, 0, 0, 9 }, 32, ADDRESS_PUBLIC },  /* port control, anycast */
  { { 192, 0, 0, 10 }, 32, ADDRESS_PUBLIC }, /* TURN, anycast */
  { { 192, 0, 0 }, 24, ADDRESS_PRIVATE },    /* protocols; a provider's metadata in 192.0.0.192 */
  { { 192, 0, 2 }, 24, ADDRESS_RESERVED },   /* documentation */
  { { 192, 88, 99 }, 24, ADDRESS_RESERVED }, /* relays of 6to4, given up */
  { { 192, 168 }, 16, ADDRESS_PRIVATE },
  { { 198, 18 }, 15, ADDRESS_RESERVED },      /* benchmarks */
  { { 198, 51, 100 }, 24, ADDRESS_RESERVED }, /* documentation */
  { { 203, 0, 113 }, 24, ADDRESS_RESERVED },  /* documentation */
  { { 224 }, 4, ADDRESS_RESERVED },           /* multicast */
  { { 240 }, 4, ADDRESS_RESERVED },           /* future use, broadcast */
};

static const struct block v6[] = {
  { { 0x20, 0x01, 0, 1, [15] = 1 }, 128, ADDRESS_PUBLIC }, /* port control, anycast */
  { { 0x20, 0x01, 0, 1, [15] = 2 }, 128, ADDRESS_PUBLIC }, /* TURN, anycast */
  { { 0x20, 0x01, 0, 1, [15] = 3 }, 128, ADDRESS_PUBLIC }, /* DNS-SD, anycast */
  { { 0x20, 0x01, 0, 3 }, 32, ADDRESS_PUBLIC },            /* AMT */
  { { 0x20, 0x01, 0, 4, 1, 0x12 }, 48, ADDRESS_PUBLIC },   /* AS112 */
  { { 0x20, 0x01, 0, 0x20 }, 28, ADDRESS_PUBLIC },         /* ORCHIDv2 */
  { { 0x20, 0x01, 0, 0x30 }, 28, ADDRESS_PUBLIC },         /* drones' identities */
  { { 0x20, 0x01 }, 23, ADDRESS_RESERVED },                /* other protocols, benchmarks */
  { { 0x20, 0x01, 0x0d, 0xb8 }, 32, ADDRESS_RESERVED },    /* documentation */
  { { 0x3f, 0xff }, 20, ADDRESS_RESERVED },                /* documentation */
  { { 0x20 }, 3, ADDRESS_PUBLIC },                         /* what is given out */
  { { 0xfc }, 7, ADDRESS_PRIVATE },                        /* metadata in fd00:ec2::254 */
  { { 0xfe, 0x80 }, 10, ADDRESS_LINK },
  { { 0xfe, 0xc0 }, 10, ADDRESS_PRIVATE }, /* of a site, given up */
  { { 0 }, 0, ADDRESS_RESERVED },
};

/* Where IPv6 addresses that begin so hold an IPv4 one. */
static const struct
{
  uint8_t prefix[16];
  uint8_t bits;
  uint8_t at;
  uint8_t flip; /* the bytes are there xor this */
} holders[] = {
  { { [10] = 0xff, [11] = 0xff }, 96, 12, 0 }, /* mapped */
  { { [8] = 0xff, [9] = 0xff }, 96, 12, 0 },   /* translated */
  { { 0 }, 96, 12, 0 },                        /* compatible */
  { { 0, 0x64, 0xff, 0x9b }, 96, 12, 0 },      /* NAT64 */
  { { 0x20, 0x02 }, 16, 2, 0 },                /* 6to4 */
  { { 0x20, 0x01, 0, 0 }, 32, 12, 0xff },      /* Teredo */
};

/* ---- reading them ----------------------------------------------------------------------- */

static bool
address_class_begins_with (const uint8_t *address, const uint8_t *prefix, unsigned int bits)
{
  unsigned int bytes = bits / 8;
  unsigned int rest = bits % 8;
  return memcmp (address, prefix, bytes) == 0
         && (rest == 0 || ((address[bytes] ^ prefix[bytes]) >> (8 - rest)) == 0);
}

static enum address_class
range_of_address (const struct block *blocks, size_t count, const uint8_t *address,
                  enum address_class other)
{
  for (size_t i = 0; i < count; i++)
    if (address_class_begins_with (address, blocks[i].prefix, blocks[i].bits))
      return blocks[i].class;
  return other;
}

#define FIND(blocks, address, other)                                                               \
  range_of_address (blocks, sizeof blocks / sizeof *blocks, address, other)

static enum address_class
class_of_v6 (const uint8_t address[static 16])
{
  static const uint8_t none[16] = { 0 };
  if (memcmp (address, none, 15) == 0 && address[15] <= 1)
    return ADDRESS_LOOPBACK;
  for (size_t i = 0; i < sizeof holders / sizeof *holders; i++)
    if (address_class_begins_with (address, holders[i].prefix, holders[i].bits))
      {
        uint8_t held[4];
        for (size_t k = 0; k < sizeof held; k++)
          held[k] = address[holders[i].at + k] ^ holders[i].flip;
        return FIND (v4, held, ADDRESS_PUBLIC);
      }
  return FIND (v6, address, ADDRESS_RESERVED);
}

enum address_class
address_class_of (const struct sockaddr *address, socklen_t size)
{
  if (address->sa_family == AF_UNIX)
    return ADDRESS_LOOPBACK;
  if (address->sa_family == AF_INET && size >= sizeof (struct sockaddr_in))
    {
      const struct sockaddr_in *in = (const struct sockaddr_in *) (const void *) address;
      uint8_t bytes[4];
      memcpy (bytes, &in->sin_addr, sizeof bytes);
      return FIND (v4, bytes, ADDRESS_PUBLIC);
    }
  if (address->sa_family == AF_INET6 && size >= sizeof (struct sockaddr_in6))
    return class_of_v6 (((const struct sockaddr_in6 *) (const void *) address)->sin6_addr.s6_addr);
  return ADDRESS_RESERVED;
}

const char *address_class_name (enum address_class class)
{
  static const char *const names[] = { [ADDRESS_PUBLIC] = "a public address",
                                       [ADDRESS_RESERVED] = "a reserved address",
                                       [ADDRESS_PRIVATE] = "a private address",
                                       [ADDRESS_LINK] = "a link-local address",
                                       [ADDRESS_LOOPBACK] = "a loopback address" };
  return names[class];
}
