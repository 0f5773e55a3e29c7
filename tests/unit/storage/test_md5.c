/* MD5s of many messages at once are what OpenSSL says that each one is. */
#include "storage/md5.h"

#include "common/hex.h"
#include "tests/lib/seed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <string.h>

enum
{
  MESSAGES = 40,
  LONGEST = 5000,
};

static uint8_t bytes[MESSAGES * (LONGEST + 64)];

/* RFC 1321, section A.5. */
static void
sums_of_the_rfc (void **state)
{
  (void) state;
  static const struct
  {
    const char *text, *sum;
  } known[] = {
    { "", "d41d8cd98f00b204e9800998ecf8427e" },
    { "a", "0cc175b9c0f1b6a831c399e269772661" },
    { "abc", "900150983cd24fb0d6963f7d28e17f72" },
    { "message digest", "f96b697d7cb7938d525a2f31aaf161d0" },
    { "abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b" },
    { "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
      "d174ab98d277d9f5a5611c2c9f419d9f" },
    { "1234567890123456789012345678901234567890123456789012345678901234567890123456789"
      "0",
      "57edf4a22be3c955ac49da2e2107b67a" },
  };
  for (size_t kernel = 0; md5_kernel (kernel) != NULL; kernel++)
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
      {
        struct md5 sum;
        uint8_t digest[MD5_SIZE];
        char hex[2 * MD5_SIZE + 1];
        struct md5_input input = { .sum = &sum,
                                   .data = (const uint8_t *) known[i].text,
                                   .size = strlen (known[i].text) };
        md5_init (&sum);
        md5_add (kernel, &input, 1);
        md5_finish (&sum, digest);
        assert_string_equal (hex_format (digest, sizeof digest, hex), known[i].sum);
      }
}

/* A message at any address, which is taken in steps. */
struct message
{
  const uint8_t *data;
  size_t size;
  size_t taken;
  struct md5 sum;
};

static size_t
any_size (void)
{
  switch (rand () % 4)
    {
    case 0: /* around the borders of blocks, where the padding changes as well */
      return 64 * ((size_t) rand () % 10 + 1) - (size_t) rand () % 20;
    case 1:
      return (size_t) rand () % 130;
    case 2:
      return LONGEST;
    default:
      return (size_t) rand () % LONGEST;
    }
}

/* Some of the messages go on by some of their bytes; false: they have all of them. */
static bool
take_some (size_t kernel, struct message *messages, size_t count)
{
  struct md5_input inputs[MESSAGES];
  size_t chosen = 0;
  bool more = false;
  for (size_t i = 0; i < count; i++)
    {
      struct message *message = &messages[i];
      size_t left = message->size - message->taken;
      size_t size = rand () % 3 == 0 ? left : any_size ();
      size = size < left ? size : left;
      more = more || left > 0;
      if (rand () % 5 == 0)
        continue;
      inputs[chosen++] = (struct md5_input){ .sum = &message->sum,
                                             .data = message->data + message->taken,
                                             .size = size };
      message->taken += size;
    }
  md5_add (kernel, inputs, chosen);
  return more;
}

static void
all_lanes_are_what_openssl_says (void **state)
{
  (void) state;
  for (size_t kernel = 0; md5_kernel (kernel) != NULL; kernel++)
    {
      print_message ("%s: %zu lanes\n", md5_kernel (kernel)->name, md5_kernel (kernel)->lanes);
      for (int round = 0; round < 300; round++)
        {
          struct message messages[MESSAGES];
          size_t count = (size_t) rand () % MESSAGES + 1;
          for (size_t i = 0; i < count; i++)
            {
              messages[i] =
                  (struct message){ .data = bytes + i * (LONGEST + 64) + (size_t) rand () % 64,
                                    .size = any_size () };
              md5_init (&messages[i].sum);
            }
          while (take_some (kernel, messages, count))
            ;
          for (size_t i = 0; i < count; i++)
            {
              uint8_t digest[MD5_SIZE], wanted[EVP_MAX_MD_SIZE];
              md5_finish (&messages[i].sum, digest);
              assert_int_equal (
                  EVP_Digest (messages[i].data, messages[i].size, wanted, NULL, EVP_md5 (), NULL),
                  1);
              assert_memory_equal (digest, wanted, MD5_SIZE);
            }
        }
    }
}

/* One bit of any lane changes that lane's sum and no other's. */
static void
a_bit_of_a_lane_is_its_own (void **state)
{
  (void) state;
  enum
  {
    LANES = 16,
    SIZE = 640,
  };
  for (size_t kernel = 0; md5_kernel (kernel) != NULL; kernel++)
    for (size_t flipped = 0; flipped < LANES; flipped++)
      {
        static uint8_t before[LANES][SIZE], after[LANES][SIZE];
        struct md5 sums[2 * LANES];
        struct md5_input inputs[2 * LANES];
        for (size_t i = 0; i < SIZE; i++)
          for (size_t lane = 0; lane < LANES; lane++)
            before[lane][i] = (uint8_t) rand ();
        memcpy (after, before, sizeof after);
        after[flipped][(size_t) rand () % SIZE] ^= (uint8_t) (1u << rand () % 8);
        for (size_t i = 0; i < 2 * LANES; i++)
          {
            md5_init (&sums[i]);
            inputs[i] = (struct md5_input){ .sum = &sums[i],
                                            .data = i < LANES ? before[i] : after[i - LANES],
                                            .size = SIZE };
          }
        md5_add (kernel, inputs, LANES);
        md5_add (kernel, inputs + LANES, LANES);
        for (size_t lane = 0; lane < LANES; lane++)
          {
            uint8_t left[MD5_SIZE], right[MD5_SIZE];
            md5_finish (&sums[lane], left);
            md5_finish (&sums[LANES + lane], right);
            assert_int_equal (memcmp (left, right, MD5_SIZE) == 0, lane != flipped);
          }
      }
}

/* The length of a message goes beyond 32 bits of bits. */
static void
long_messages_count_right (void **state)
{
  (void) state;
  struct md5 sum;
  uint8_t digest[MD5_SIZE], wanted[EVP_MAX_MD_SIZE];
  md5_init (&sum);
  EVP_MD_CTX *digest_of = EVP_MD_CTX_new ();
  assert_int_equal (EVP_DigestInit_ex (digest_of, EVP_md5 (), NULL), 1);
  for (size_t all = 0; all <= (size_t) 540 << 20; all += sizeof bytes)
    {
      struct md5_input input = { .sum = &sum, .data = bytes, .size = sizeof bytes };
      md5_add (0, &input, 1);
      assert_int_equal (EVP_DigestUpdate (digest_of, bytes, sizeof bytes), 1);
    }
  md5_finish (&sum, digest);
  assert_int_equal (EVP_DigestFinal_ex (digest_of, wanted, NULL), 1);
  EVP_MD_CTX_free (digest_of);
  assert_memory_equal (digest, wanted, MD5_SIZE);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (sums_of_the_rfc),
    cmocka_unit_test (all_lanes_are_what_openssl_says),
    cmocka_unit_test (a_bit_of_a_lane_is_its_own),
    cmocka_unit_test (long_messages_count_right),
  };
  srand (seed_of_test ());
  for (size_t i = 0; i < sizeof bytes; i++)
    bytes[i] = (uint8_t) rand ();
  return cmocka_run_group_tests (tests, NULL, NULL);
}
