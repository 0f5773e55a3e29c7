/* inflight.h — what this handle holds or is about to: a claim on a message, from the first record
 * to the last.
 *
 *     CLAIMING ─counts─► READY ─► TAKEN ─► SETTLING ─counts─► PUBLISHING ─acknowledged─► SETTLED
 *         └──────────────┴─────────┴──────────┴─► LOST
 */
#ifndef SHOAL_BUS_KAFKA_INFLIGHT_H
#define SHOAL_BUS_KAFKA_INFLIGHT_H

#include "bus/kafka/partition.h"

struct kafka_bus;

struct holding;
TAILQ_HEAD (holdings, holding);

void work_on_claim (struct kafka_bus *bus, struct lot *lot, const struct claim *claim,
                    struct claims_entry *entry, enum claims_verdict verdict);

/* Somebody decided how PARCEL ended and died before all was published. */
void work_redo (struct parcel *parcel);

/* Sends a claims record of KIND for ENTRY that nobody waits for. */
void work_note (struct lot *lot, const struct claims_entry *entry, enum claim_kind kind);

enum holding_phase
{
  HOLDING_CLAIMING,   /* the claim was sent */
  HOLDING_READY,      /* it counted */
  HOLDING_TAKEN,      /* the caller has it */
  HOLDING_SETTLING,   /* how it ended was sent */
  HOLDING_PUBLISHING, /* that counted: event and retry are sent */
  HOLDING_SETTLED,    /* and acknowledged: the caller is to be told */
  HOLDING_LOST,       /* likewise, that it isn't ours */
};

struct holding
{
  struct lot *lot;
  enum holding_phase phase;
  int64_t ticket; /* 0: the caller has nothing to do with it */
  struct claims_entry *entry;
  char *job_id;
  int64_t position; /* of the message */
  int64_t since;    /* from when it might have been run, on the broker's clock, ms */
  uint32_t starts;
  int64_t ready;             /* boot ms at which it became so */
  int64_t taken;             /* likewise */
  int64_t renewed;           /* boot ms at which CLAIM or RENEW was last sent */
  int64_t asked;             /* … the oldest of those that weren't read back */
  int unread;                /* how many these are */
  unsigned int epoch;        /* the producer's when its last record was sent */
  int64_t confirmed;         /* boot ms before which what was last read back wasn't sent */
  struct delivery *delivery; /* until it is taken */
  struct claim settle;       /* SETTLING: the record, to be sent again should it be lost */
  struct receipt *receipt;   /* PUBLISHING: of what is sent */
  bool retry_sent;           /* PUBLISHING: the event was acknowledged before */
  bool complained;           /* … that it can't be sent */
  TAILQ_ENTRY (holding) links;
};

struct holding *holding_new (struct lot *lot, const struct parcel *parcel,
                             enum holding_phase phase);
void holding_drop (struct kafka_bus *bus, struct holding *holding);

/* Sends the claim, with the starts that HOLDING has; nobody waits for it. */
int holding_claim (struct holding *holding, struct error *err);

/* The same for a renewal, which is tried again anyway. */
void holding_renew (struct holding *holding);

/* Whether a claim of ours that counted is so young that nobody can have taken over. */
bool holding_is_sure (const struct holding *holding);

/* Others may have it at once; the start doesn't count. */
void holding_give_back (struct kafka_bus *bus, struct holding *holding);

/* Whether an end is on its way: decided or to be, and not acknowledged yet. */
bool holdings_end (struct kafka_bus *bus);

/* NULL when there is none. */
struct holding *holding_find (struct kafka_bus *bus, int64_t ticket);

/* Sends the record CLAIM (writer and lease are filled in; a lease of -1 becomes 0) of KEY; nobody
 * waits for it. */
int holding_send (struct lot *lot, const char *key, struct claim *claim, struct error *err);

/* Sends HOLDING's `settle`. */
int holding_send_settle (struct holding *holding, struct error *err);

/* Sends again what somebody waits for and was sent by a producer that was replaced since: it may be
 * lost. */
void holdings_say_again (struct kafka_bus *bus);

/* What was published and acknowledged is done; what failed is sent again. */
void holdings_look (struct kafka_bus *bus);

#endif
