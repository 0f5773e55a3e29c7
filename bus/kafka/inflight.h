/* inflight.h — what this handle holds or is about to: a claim on a message, from the first record
 * to the last.
 *
 *     CLAIMING ─counts─► READY ─► TAKEN ─► SETTLING ─counts─► PUBLISHING ─acknowledged─► SETTLED
 *         └──────────────┴─────────┴──────────┴─► LOST
 */
#ifndef SHOAL_BUS_KAFKA_INFLIGHT_H
#define SHOAL_BUS_KAFKA_INFLIGHT_H

#include "bus/kafka/partition.h"

struct inflight;
TAILQ_HEAD (inflight_list, inflight);

enum inflight_phase
{
  INFLIGHT_CLAIMING,   /* the claim was sent */
  INFLIGHT_READY,      /* it counted */
  INFLIGHT_TAKEN,      /* the caller has it */
  INFLIGHT_SETTLING,   /* how it ended was sent */
  INFLIGHT_PUBLISHING, /* that counted: event and retry are sent */
  INFLIGHT_SETTLED,    /* and acknowledged: the caller is to be told */
  INFLIGHT_LOST,       /* likewise, that it isn't ours */
};

/* All that this handle has. */
struct kafka_inflight
{
  struct kafka_producer *producer;
  struct inflight_list list;
  bool quiesced; /* nothing is taken any more */
  int64_t next_ticket;
};

struct inflight
{
  struct kafka_inflight *all;
  struct partition *partition;
  enum inflight_phase phase;
  int64_t ticket; /* 0: the caller has nothing to do with it */
  struct claims_entry *entry;
  char *job_id;
  int64_t position; /* of the message */
  int64_t since;    /* from when it might have been run, on the broker's clock, ms */
  uint32_t starts;
  int64_t ready;                  /* boot ms at which it became so */
  int64_t taken;                  /* likewise */
  int64_t renewed;                /* boot ms at which CLAIM or RENEW was last sent */
  int64_t asked;                  /* … the oldest of those that weren't read back */
  int unread;                     /* how many these are */
  unsigned int epoch;             /* the producer's when its last record was sent */
  int64_t confirmed;              /* boot ms before which what was last read back wasn't sent */
  struct delivery *delivery;      /* until it is taken */
  struct claim settle;            /* SETTLING: the record, to be sent again should it be lost */
  struct delivery_report *report; /* PUBLISHING: of what is sent */
  bool retry_sent;                /* PUBLISHING: the event was acknowledged before */
  bool complained;                /* … that it can't be sent */
  TAILQ_ENTRY (inflight) links;
};

struct inflight *inflight_new (struct kafka_inflight *all, struct partition *partition,
                               const struct message *message, enum inflight_phase phase);
void inflight_drop (struct inflight *inflight);

/* Sends the claim, with the starts that INFLIGHT has; nobody waits for it. */
int inflight_claim (struct inflight *inflight, struct error *err);

/* The same for a renewal, which is tried again anyway. */
void inflight_renew (struct inflight *inflight);

/* Whether a claim of ours that counted is so young that nobody can have taken over. */
bool inflight_is_sure (const struct inflight *inflight);

/* Others may have it at once; the start doesn't count. */
void inflight_give_back (struct inflight *inflight);

/* Whether an end is on its way: decided or to be, and not acknowledged yet. */
bool inflight_is_ending (struct kafka_inflight *all);

/* NULL when there is none. */
struct inflight *inflight_find (struct kafka_inflight *all, int64_t ticket);

/* Sends the record CLAIM (writer and lease are filled in; a lease of -1 becomes 0) of KEY; nobody
 * waits for it. */
int inflight_send (struct partition *partition, const char *key, struct claim *claim,
                   struct error *err);

/* Sends INFLIGHT's `settle`. */
int inflight_send_settle (struct inflight *inflight, struct error *err);

/* Sends again what somebody waits for and was sent by a producer that was replaced since: it may be
 * lost. */
void inflight_send_again (struct kafka_inflight *all);

/* What was published and acknowledged is done; what failed is sent again. */
void inflight_advance (struct kafka_inflight *all);

void inflight_on_claim (struct kafka_inflight *all, struct partition *partition,
                        const struct claim *claim, struct claims_entry *entry,
                        enum claims_verdict verdict);

/* Somebody decided how MESSAGE ended and died before all was published. */
void inflight_redo (struct kafka_inflight *all, struct message *message);

/* Sends a claims record of KIND for ENTRY that nobody waits for. */
void inflight_note (struct partition *partition, const struct claims_entry *entry,
                    enum claim_kind kind);

#endif
