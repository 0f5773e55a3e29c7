/* claim.h — who runs what, on a bus that is a log: docs/claims.md. */
#ifndef SHOAL_SCHEMAS_CLAIM_H
#define SHOAL_SCHEMAS_CLAIM_H

#include "common/buffer.h"

#include <stdint.h>

enum claim_kind
{
  CLAIM_UNKNOWN,
  CLAIM_CLAIM, /* I run it */
  CLAIM_RELEASE,
  CLAIM_SETTLE, /* this is how it ended */
  CLAIM_DONE,   /* and everybody knows */
  CLAIM_RENEW,  /* I go on running it */
};

#define CLAIM_LEASE_MAX_MS ((int64_t) 86400 * 1000)

struct claim
{
  enum claim_kind kind;
  char *writer;
  uint32_t starts;
  int64_t lease_ms;
  int64_t position;    /* of the message that is claimed */
  struct buffer event; /* SETTLE: the completion event, encoded; may be empty */
  struct buffer retry; /* SETTLE: the retry, encoded; may be empty */
};

void claim_release (struct claim *claim);
#define auto_claim AUTO (claim_release)

#endif
