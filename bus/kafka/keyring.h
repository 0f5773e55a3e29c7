/* keyring.h — the keys that sign records, and the check of what others signed (docs/job-api.md
 * shows it from outside).
 *
 * A file with a key a line. The first signs, all verify:
 *
 *     # made with: openssl rand -hex 32
 *     5f0c…e1
 *     a911…07 until 2026-12-01T00:00:00Z      one that was replaced: good for what was written
 *                                             before
 *     unsigned until 2026-12-01T00:00:00Z     likewise for records without a signature
 *
 * "Before" is by the brokers' clock, which stamps each record, so all readers agree, and whoever
 * has an old key can't use it any more.
 *
 * The signature is "sha256=" and the hex HMAC-SHA256 of TOPIC NUL KEY-LENGTH NUL KEY VALUE: the
 * topic's whole name, the length in decimal, the bytes as they travel. Not thread-safe: a keyring
 * belongs to one bus handle.
 */
#ifndef SHOAL_BUS_KAFKA_KEYRING_H
#define SHOAL_BUS_KAFKA_KEYRING_H

#include "common/auto.h"
#include "common/buffer.h"
#include "common/error.h"

#include <errno.h>
#include <stdbool.h>

#define KEYRING_HEADER "shoal-signature"
#define KEYRING_TEXT_SIZE 72 /* "sha256=", 64 hex digits and the NUL */

/* The `code` of an error (ERROR_USER): a record without a signature, and one whose signature is of
 * none of the keys, or of other bytes. */
#define KEYRING_UNSIGNED ENOKEY
#define KEYRING_BAD EKEYREJECTED

struct keyring;

/* What is signed of a record. */
struct signed_record
{
  const char *topic;
  struct bytes key; /* empty: none */
  struct bytes value;
};

/* Reads the file PATH. NULL with ERR: ERROR_USER where it isn't as above, or where all users of the
 * machine may read it. No error has a key in it. */
struct keyring *keyring_read (const char *path, struct error *err);
void keyring_free (struct keyring *keyring);

/* The signature of RECORD into TEXT; returns TEXT. */
const char *keyring_sign (struct keyring *keyring, const struct signed_record *record,
                          char text[static KEYRING_TEXT_SIZE]);

/* Whether SIGNATURE (empty: there is none) is good for RECORD, which the brokers got at TIME, UTC
 * ms: 0, or -1 with ERR. */
int keyring_verify (struct keyring *keyring, const struct signed_record *record,
                    struct bytes signature, int64_t time, struct error *err);

#endif
