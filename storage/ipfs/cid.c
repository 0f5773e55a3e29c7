#include "storage/ipfs/cid.h"

#include "common/digest.h"
#include "common/hex.h"
#include "common/varint.h"

#include <string.h>

enum
{
  BYTES_MAX = CID_DIGEST_MAX + 32,
  NUMBER_MAX = 9, /* bytes of a varint */
};

static const char base32[] = "abcdefghijklmnopqrstuvwxyz234567";
static const char base36[] = "0123456789abcdefghijklmnopqrstuvwxyz";
static const char base58[] = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/* ---- text to bytes: the size, or -1 ------------------------------------------------------ */

static int
from_base32 (const char *text, size_t size, uint8_t *bytes)
{
  uint32_t bits = 0;
  int have = 0, count = 0;
  for (size_t i = 0; i < size; i++)
    {
      const char *digit = memchr (base32, text[i], sizeof base32 - 1);
      if (digit == NULL || count == BYTES_MAX)
        return -1;
      bits = bits << 5 | (uint32_t) (digit - base32);
      have += 5;
      if (have >= 8)
        {
          have -= 8;
          bytes[count++] = (uint8_t) (bits >> have);
          bits &= (1U << have) - 1;
        }
    }
  return have < 5 && bits == 0 ? count : -1;
}

static int
from_base64url (const char *text, size_t size, uint8_t *bytes)
{
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  uint32_t bits = 0;
  int have = 0, count = 0;
  for (size_t i = 0; i < size; i++)
    {
      const char *digit = memchr (digits, text[i], sizeof digits - 1);
      if (digit == NULL || count == BYTES_MAX)
        return -1;
      bits = bits << 6 | (uint32_t) (digit - digits);
      have += 6;
      if (have >= 8)
        {
          have -= 8;
          bytes[count++] = (uint8_t) (bits >> have);
          bits &= (1U << have) - 1;
        }
    }
  return have < 6 && bits == 0 ? count : -1;
}

static int
from_base16 (const char *text, size_t size, uint8_t *bytes)
{
  if (size % 2 != 0 || size / 2 > BYTES_MAX || !hex_read (text, bytes, size / 2))
    return -1;
  return (int) (size / 2);
}

/* A long division, digit by digit in DIGITS; its leading zeros are leading zero bytes. */
static int
from_number (const char *digits, const char *text, size_t size, uint8_t *bytes)
{
  const uint32_t base = (uint32_t) strlen (digits);
  uint8_t number[BYTES_MAX] = { 0 }; /* the least byte first */
  size_t used = 0, zeros = 0;
  while (zeros < size && text[zeros] == digits[0])
    zeros++;
  for (size_t i = 0; i < size; i++)
    {
      const char *digit = text[i] == '\0' ? NULL : strchr (digits, text[i]);
      if (digit == NULL)
        return -1;
      uint32_t carry = (uint32_t) (digit - digits);
      for (size_t k = 0; k < used || carry > 0; k++)
        {
          if (k == BYTES_MAX)
            return -1;
          carry += (uint32_t) number[k] * base;
          number[k] = (uint8_t) carry;
          carry >>= 8;
          used = k + 1 > used ? k + 1 : used;
        }
    }
  if (zeros + used > BYTES_MAX)
    return -1;
  memset (bytes, 0, zeros);
  for (size_t i = 0; i < used; i++)
    bytes[zeros + i] = number[used - 1 - i];
  return (int) (zeros + used);
}

/* ---- the binary form --------------------------------------------------------------------- */

/* An unsigned varint at *AT, of at most 9 bytes (multiformats); false when there is none. */
static bool
cid_get_number (const uint8_t **at, const uint8_t *end, uint64_t *number)
{
  const char *start = (const char *) *at;
  const char *limit = end - *at > NUMBER_MAX ? start + NUMBER_MAX : (const char *) end;
  const char *behind = varint_get_unsigned (start, limit, number);
  *at = behind == NULL ? *at : (const uint8_t *) behind;
  return behind != NULL;
}

bool
cid_read (struct cid *cid, struct bytes bytes)
{
  uint64_t version = 0, size = 0;
  *cid = (struct cid){ .codec = CID_DAG_PB };
  if (bytes.size == 0)
    return false;
  const uint8_t *at = bytes.data, *end = at + bytes.size;
  bool old = bytes.size == 34 && at[0] == CID_SHA256 && at[1] == DIGEST_SIZE;
  if (!old
      && (!cid_get_number (&at, end, &version) || version != 1
          || !cid_get_number (&at, end, &cid->codec)))
    return false;
  if (!cid_get_number (&at, end, &cid->hash) || !cid_get_number (&at, end, &size)
      || size != (uint64_t) (end - at) || size > CID_DIGEST_MAX
      || (cid->hash == CID_SHA256 && size != DIGEST_SIZE))
    return false;
  cid->digest_size = (size_t) size;
  memcpy (cid->digest, at, cid->digest_size);
  return true;
}

bool
cid_parse (struct cid *cid, const char *text, size_t size)
{
  uint8_t bytes[BYTES_MAX];
  int count = -1;
  if (size < 8)
    return false;
  if (size == 46 && text[0] == 'Q' && text[1] == 'm')
    count = from_number (base58, text, size, bytes);
  else if (text[0] == 'b')
    count = from_base32 (text + 1, size - 1, bytes);
  else if (text[0] == 'z')
    count = from_number (base58, text + 1, size - 1, bytes);
  else if (text[0] == 'k')
    count = from_number (base36, text + 1, size - 1, bytes);
  else if (text[0] == 'u')
    count = from_base64url (text + 1, size - 1, bytes);
  else if (text[0] == 'f')
    count = from_base16 (text + 1, size - 1, bytes);
  return count > 0 && cid_read (cid, (struct bytes){ bytes, (size_t) count });
}

static void
put_number (uint8_t *bytes, size_t *size, uint64_t number)
{
  for (; number >= 0x80; number >>= 7)
    bytes[(*size)++] = (uint8_t) (number | 0x80);
  bytes[(*size)++] = (uint8_t) number;
}

const char *
cid_format (const struct cid *cid, char text[static CID_TEXT_SIZE])
{
  uint8_t bytes[BYTES_MAX + 10];
  size_t size = 0, written = 0;
  uint32_t bits = 0;
  int have = 0;
  put_number (bytes, &size, 1);
  put_number (bytes, &size, cid->codec);
  put_number (bytes, &size, cid->hash);
  put_number (bytes, &size, cid->digest_size);
  memcpy (bytes + size, cid->digest, cid->digest_size);
  size += cid->digest_size;
  text[written++] = 'b';
  for (size_t i = 0; i < size && written < CID_TEXT_SIZE - 3; i++)
    {
      bits = bits << 8 | bytes[i];
      for (have += 8; have >= 5; have -= 5)
        text[written++] = base32[bits >> (have - 5) & 31];
      bits &= (1U << have) - 1;
    }
  if (have > 0)
    text[written++] = base32[bits << (5 - have) & 31];
  text[written] = '\0';
  return text;
}

/* As multicodec's table calls it. */
static const char *
cid_hash_name (uint64_t hash)
{
  static const struct
  {
    uint64_t code;
    const char *name;
  } names[] = { { 0x11, "sha1" },         { 0x13, "sha2-512" },   { 0x14, "sha3-512" },
                { 0x16, "sha3-256" },     { 0x1b, "keccak-256" }, { 0x1e, "blake3" },
                { 0xb220, "blake2b-256" } };
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (names[i].code == hash)
      return names[i].name;
  return "that has no name here";
}

int
cid_check (const struct cid *cid, struct bytes block, struct error *err)
{
  uint8_t sum[DIGEST_SIZE];
  bool same = false;
  if (cid->hash == CID_IDENTITY)
    same = block.size == cid->digest_size && memcmp (block.data, cid->digest, block.size) == 0;
  else if (cid->hash == CID_SHA256)
    {
      auto_digest struct digest *digest = digest_new ();
      digest_add (digest, block.data, block.size);
      digest_finish (digest, sum);
      same = memcmp (sum, cid->digest, sizeof sum) == 0;
    }
  else
    return error_set (err, ERROR_USER,
                      "unsupported hash function %s (0x%llx) in the CID: add it with sha2-256",
                      cid_hash_name (cid->hash), (unsigned long long) cid->hash);
  return same ? 0 : error_set (err, ERROR_TRANSIENT, "the content does not match the CID");
}
