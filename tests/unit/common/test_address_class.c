/* Kinds of addresses, each by its first, its last and what lies beside: IANA's registries of
 * special-purpose addresses as of RFC 8190, 9637 and 9780. */
#include "common/http/address_class.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <string.h>
#include <sys/un.h>

static enum address_class
class_of (const char *text)
{
  struct sockaddr_in v4 = { .sin_family = AF_INET };
  struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
  if (inet_pton (AF_INET, text, &v4.sin_addr) == 1)
    return address_class_of ((const struct sockaddr *) &v4, sizeof v4);
  if (inet_pton (AF_INET6, text, &v6.sin6_addr) != 1)
    fail_msg ("%s is no address", text);
  return address_class_of ((const struct sockaddr *) &v6, sizeof v6);
}

static void
each_address_has_its_class (void **state)
{
  (void) state;
  static const struct
  {
    const char *address;
    enum address_class class;
  } cases[] = {
    { "0.0.0.0", ADDRESS_LOOPBACK },
    { "0.255.255.255", ADDRESS_LOOPBACK },
    { "1.0.0.0", ADDRESS_PUBLIC },
    { "9.255.255.255", ADDRESS_PUBLIC },
    { "10.0.0.0", ADDRESS_PRIVATE },
    { "10.255.255.255", ADDRESS_PRIVATE },
    { "11.0.0.0", ADDRESS_PUBLIC },
    { "100.63.255.255", ADDRESS_PUBLIC },
    { "100.64.0.0", ADDRESS_PRIVATE },
    { "100.100.100.200", ADDRESS_PRIVATE }, /* a cloud's metadata */
    { "100.127.255.255", ADDRESS_PRIVATE },
    { "100.128.0.0", ADDRESS_PUBLIC },
    { "126.255.255.255", ADDRESS_PUBLIC },
    { "127.0.0.0", ADDRESS_LOOPBACK },
    { "127.0.0.1", ADDRESS_LOOPBACK },
    { "127.255.255.255", ADDRESS_LOOPBACK },
    { "128.0.0.0", ADDRESS_PUBLIC },
    { "169.253.255.255", ADDRESS_PUBLIC },
    { "169.254.0.0", ADDRESS_LINK },
    { "169.254.169.254", ADDRESS_LINK }, /* most clouds' metadata */
    { "169.254.170.2", ADDRESS_LINK },
    { "169.254.255.255", ADDRESS_LINK },
    { "169.255.0.0", ADDRESS_PUBLIC },
    { "172.15.255.255", ADDRESS_PUBLIC },
    { "172.16.0.0", ADDRESS_PRIVATE },
    { "172.31.255.255", ADDRESS_PRIVATE },
    { "172.32.0.0", ADDRESS_PUBLIC },
    { "191.255.255.255", ADDRESS_PUBLIC },
    { "192.0.0.0", ADDRESS_PRIVATE },
    { "192.0.0.8", ADDRESS_PRIVATE },
    { "192.0.0.9", ADDRESS_PUBLIC },
    { "192.0.0.10", ADDRESS_PUBLIC },
    { "192.0.0.11", ADDRESS_PRIVATE },
    { "192.0.0.192", ADDRESS_PRIVATE },
    { "192.0.0.255", ADDRESS_PRIVATE },
    { "192.0.1.0", ADDRESS_PUBLIC },
    { "192.0.2.0", ADDRESS_RESERVED },
    { "192.0.2.255", ADDRESS_RESERVED },
    { "192.0.3.0", ADDRESS_PUBLIC },
    { "192.31.196.1", ADDRESS_PUBLIC },
    { "192.52.193.1", ADDRESS_PUBLIC },
    { "192.88.98.255", ADDRESS_PUBLIC },
    { "192.88.99.0", ADDRESS_RESERVED },
    { "192.88.100.0", ADDRESS_PUBLIC },
    { "192.167.255.255", ADDRESS_PUBLIC },
    { "192.168.0.0", ADDRESS_PRIVATE },
    { "192.168.255.255", ADDRESS_PRIVATE },
    { "192.169.0.0", ADDRESS_PUBLIC },
    { "192.175.48.1", ADDRESS_PUBLIC },
    { "198.17.255.255", ADDRESS_PUBLIC },
    { "198.18.0.0", ADDRESS_RESERVED },
    { "198.19.255.255", ADDRESS_RESERVED },
    { "198.20.0.0", ADDRESS_PUBLIC },
    { "198.51.99.255", ADDRESS_PUBLIC },
    { "198.51.100.0", ADDRESS_RESERVED },
    { "198.51.100.255", ADDRESS_RESERVED },
    { "198.51.101.0", ADDRESS_PUBLIC },
    { "203.0.112.255", ADDRESS_PUBLIC },
    { "203.0.113.0", ADDRESS_RESERVED },
    { "203.0.113.255", ADDRESS_RESERVED },
    { "203.0.114.0", ADDRESS_PUBLIC },
    { "223.255.255.255", ADDRESS_PUBLIC },
    { "224.0.0.0", ADDRESS_RESERVED },
    { "239.255.255.255", ADDRESS_RESERVED },
    { "240.0.0.0", ADDRESS_RESERVED },
    { "255.255.255.255", ADDRESS_RESERVED },

    { "::", ADDRESS_LOOPBACK },
    { "::1", ADDRESS_LOOPBACK },
    { "::2", ADDRESS_LOOPBACK }, /* 0.0.0.2, as if it were one */
    { "::127.0.0.1", ADDRESS_LOOPBACK },
    { "::10.0.0.1", ADDRESS_PRIVATE },
    { "::ffff:127.0.0.1", ADDRESS_LOOPBACK },
    { "::ffff:0.0.0.0", ADDRESS_LOOPBACK },
    { "::ffff:169.254.169.254", ADDRESS_LINK },
    { "::ffff:10.1.2.3", ADDRESS_PRIVATE },
    { "::ffff:8.8.8.8", ADDRESS_PUBLIC },
    { "::ffff:0:169.254.169.254", ADDRESS_LINK },
    { "64:ff9b::7f00:1", ADDRESS_LOOPBACK },
    { "64:ff9b::a9fe:a9fe", ADDRESS_LINK },
    { "64:ff9b::808:808", ADDRESS_PUBLIC },
    { "64:ff9b:1::808:808", ADDRESS_RESERVED },
    { "64:ff9b:0:1::", ADDRESS_RESERVED },
    { "100::", ADDRESS_RESERVED },
    { "100:0:0:1::", ADDRESS_RESERVED },
    { "1fff:ffff::", ADDRESS_RESERVED },
    { "2001::7f00:1", ADDRESS_PUBLIC },                       /* Teredo of 128.255.255.254 */
    { "2001:0:4136:e378:8000:63bf:5601:5601", ADDRESS_LINK }, /* Teredo of 169.254.169.254 */
    { "2001:0:1:2:3:4:80ff:fffe", ADDRESS_LOOPBACK },         /* Teredo of 127.0.0.1 */
    { "2001:1::", ADDRESS_RESERVED },
    { "2001:1::1", ADDRESS_PUBLIC },
    { "2001:1::2", ADDRESS_PUBLIC },
    { "2001:1::3", ADDRESS_PUBLIC },
    { "2001:1::4", ADDRESS_RESERVED },
    { "2001:2::1", ADDRESS_RESERVED },
    { "2001:3::1", ADDRESS_PUBLIC },
    { "2001:4:111::1", ADDRESS_RESERVED },
    { "2001:4:112::1", ADDRESS_PUBLIC },
    { "2001:5::1", ADDRESS_RESERVED },
    { "2001:10::1", ADDRESS_RESERVED },
    { "2001:1f:ffff::", ADDRESS_RESERVED },
    { "2001:20::1", ADDRESS_PUBLIC },
    { "2001:30::1", ADDRESS_PUBLIC },
    { "2001:40::1", ADDRESS_RESERVED },
    { "2001:1ff:ffff::", ADDRESS_RESERVED },
    { "2001:200::", ADDRESS_PUBLIC },
    { "2001:db7:ffff::", ADDRESS_PUBLIC },
    { "2001:db8::", ADDRESS_RESERVED },
    { "2001:db8:ffff::", ADDRESS_RESERVED },
    { "2001:db9::", ADDRESS_PUBLIC },
    { "2002:7f00:1::", ADDRESS_LOOPBACK },
    { "2002:a9fe:a9fe::1", ADDRESS_LINK },
    { "2002:c0a8:1::", ADDRESS_PRIVATE },
    { "2002:808:808::", ADDRESS_PUBLIC },
    { "2606:4700::1111", ADDRESS_PUBLIC },
    { "2620:4f:8000::1", ADDRESS_PUBLIC },
    { "3fff::", ADDRESS_RESERVED },
    { "3fff:fff:ffff::", ADDRESS_RESERVED },
    { "3fff:1000::", ADDRESS_PUBLIC },
    { "4000::", ADDRESS_RESERVED },
    { "5f00::1", ADDRESS_RESERVED },
    { "fbff:ffff::", ADDRESS_RESERVED },
    { "fc00::", ADDRESS_PRIVATE },
    { "fd00:ec2::254", ADDRESS_PRIVATE }, /* a cloud's metadata */
    { "fdff:ffff::", ADDRESS_PRIVATE },
    { "fe00::", ADDRESS_RESERVED },
    { "fe80::1", ADDRESS_LINK },
    { "fe80::a9fe:a9fe", ADDRESS_LINK },
    { "febf:ffff::", ADDRESS_LINK },
    { "fec0::1", ADDRESS_PRIVATE },
    { "feff:ffff::", ADDRESS_PRIVATE },
    { "ff00::", ADDRESS_RESERVED },
    { "ff02::1", ADDRESS_RESERVED },
    { "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ADDRESS_RESERVED },
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    {
      enum address_class class = class_of (cases[i].address);
      if (class != cases[i].class)
        fail_msg ("%s is %s, not %s", cases[i].address, address_class_name (class),
                  address_class_name (cases[i].class));
    }
}

static void
other_families_are_nobodys (void **state)
{
  (void) state;
  const struct sockaddr_un local = { .sun_family = AF_UNIX };
  const struct sockaddr other = { .sa_family = AF_PACKET };
  const struct sockaddr_in cut = { .sin_family = AF_INET };
  assert_int_equal (address_class_of ((const struct sockaddr *) &local, sizeof local),
                    ADDRESS_LOOPBACK);
  assert_int_equal (address_class_of (&other, sizeof other), ADDRESS_RESERVED);
  assert_int_equal (address_class_of ((const struct sockaddr *) &cut, 4), ADDRESS_RESERVED);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (each_address_has_its_class),
    cmocka_unit_test (other_families_are_nobodys),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
