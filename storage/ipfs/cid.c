#include "storage/ipfs/cid.h"

#include "common/digest.h"

#include <string.h>

enum
{
  BYTES_MAX = CID_DIGEST_MAX + 32,
};

static const char base32[] = "abcdefghijklmnopqrstuvwxyz234567";
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
from_base16 (const char *text, size_t size, uint8_t *bytes)
{
  static const char digits[] = "0123456789abcdef";
  if (size % 2 != 0 || size / 2 > BYTES_MAX)
    return -1;
  for (size_t i = 0; i < size; i += 2)
    {
      const char *high = memchr (digits, text[i], 16);
      const char *low = memchr (digits, text[i + 1], 16);
      if (high == NULL || low == NULL)
        return -1;
      bytes[i / 2] = (uint8_t) ((high - digits) << 4 | (low - digits));
    }
  return (int) (size / 2);
}

/* A long division, digit by digit; leading "1"s are leading zero bytes. */
static int
from_base58 (const char *text, size_t size, uint8_t *bytes)
{
  uint8_t number[BYTES_MAX] = { 0 }; /* the least byte first */
  size_t used = 0, zeros = 0;
  while (zeros < size && text[zeros] == '1')
    zeros++;
  for (size_t i = 0; i < size; i++)
    {
      const char *digit = memchr (base58, text[i], sizeof base58 - 1);
      if (digit == NULL)
        return -1;
      uint32_t carry = (uint32_t) (digit - base58);
      for (size_t k = 0; k < used || carry > 0; k++)
        {
          if (k == BYTES_MAX)
            return -1;
          carry += (uint32_t) number[k] * 58;
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

/* An unsigned varint at *AT; false at the end or when it is longer than 9 bytes. */
static bool
get_number (const uint8_t **at, const uint8_t *end, uint64_t *number)
{
  *number = 0;
  for (int shift = 0; shift < 63 && *at < end; shift += 7)
    {
      uint8_t byte = *(*at)++;
      *number |= (uint64_t) (byte & 0x7f) << shift;
      if (byte < 0x80)
        return true;
    }
  return false;
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
      && (!get_number (&at, end, &version) || version != 1 || !get_number (&at, end, &cid->codec)))
    return false;
  if (!get_number (&at, end, &cid->hash) || !get_number (&at, end, &size)
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
    count = from_base58 (text, size, bytes);
  else if (text[0] == 'b')
    count = from_base32 (text + 1, size - 1, bytes);
  else if (text[0] == 'z')
    count = from_base58 (text + 1, size - 1, bytes);
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
                      "a CID with the hash function 0x%llx, which isn't known here",
                      (unsigned long long) cid->hash);
  return same ? 0 : error_set (err, ERROR_TRANSIENT, "what came isn't what the CID says");
}
