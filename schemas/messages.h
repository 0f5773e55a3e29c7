/* messages.h — what travels, as C structs: job, shard, event, control, status, claim.
 *
 * Each has an Avro schema of the same name beside it; codec.h turns one into the other. The structs
 * own what they point to; `X_release` frees the inside and zeroes it. Times are UTC milliseconds
 * unless said otherwise. Numbers that may be absent are -1, strings NULL.
 */
#ifndef SHOAL_SCHEMAS_MESSAGES_H
#define SHOAL_SCHEMAS_MESSAGES_H

#include "schemas/claim.h"
#include "schemas/event.h"
#include "schemas/job.h"
#include "schemas/shard.h"
#include "schemas/status.h"

#endif
