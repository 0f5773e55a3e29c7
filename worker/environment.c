#include "worker/environment.h"

#include "common/digest.h"
#include "worker/stage.h"

#include <stdio.h>
#include <string.h>

enum
{
  TRACE_ID_TEXT = 32, /* hex digits */
  SPAN_ID_TEXT = 16,
};

static void
hash_text (const char *text, char sum_text[static DIGEST_TEXT_SIZE])
{
  auto_digest struct digest *digest = digest_new ();
  uint8_t sum[DIGEST_SIZE];
  digest_add (digest, text, strlen (text));
  digest_finish (digest, sum);
  (void) digest_format (sum, sum_text);
}

/* The trace that the job came with ("00-TRACE-SPAN-FLAGS", W3C), or NULL. */
static const char *
job_trace (const struct job *job)
{
  static const char name[] = "TRACEPARENT=";
  const char *found = NULL;
  for (size_t i = 0; i < job->env.count; i++)
    if (strncmp (job->env.items[i], name, strlen (name)) == 0)
      found = job->env.items[i] + strlen (name);
  if (found == NULL || strlen (found) < strlen ("00-") + TRACE_ID_TEXT
      || strspn (found + 3, "0123456789abcdef") != TRACE_ID_TEXT)
    return NULL;
  return found;
}

/* The attempt is a span of its own in the job's trace. Both ids are made from the names, so that
 * they can be found again. */
static void
add_trace (const struct job *job, const struct shard *shard, uint32_t starts, struct strlist *env)
{
  char trace[DIGEST_TEXT_SIZE];
  char span[DIGEST_TEXT_SIZE];
  char name[512];
  const char *given = job_trace (job);
  size_t size = given == NULL ? 0 : strlen (given);
  hash_text (shard->job_id, trace);
  (void) snprintf (name, sizeof name, "%.400s/%u/%u/%u/%u", shard->job_id, shard->generation,
                   shard->index, shard->attempt, starts);
  hash_text (name, span);
  const char *flags = size >= 55 ? given + 53 : "00";
  strlist_addf (env, "TRACEPARENT=00-%.32s-%.16s-%.2s", given == NULL ? trace : given + 3, span,
                flags);
}

void
environment_fill (const struct job *job, const struct shard *shard, uint32_t starts,
                  struct strlist *env)
{
  strlist_addf (env, "SHOAL_JOB_ID=%s", shard->job_id);
  strlist_addf (env, "SHOAL_ATTEMPT=%u", shard->attempt);
  add_trace (job, shard, starts, env);
  if (!stage_has_atoms (job, shard))
    return;
  if (shard->kind == SHARD_MAP)
    strlist_addf (env, "SHOAL_SHARD_INDEX=%u", shard->index);
  if (shard->count >= 0)
    strlist_addf (env, "SHOAL_SHARD_COUNT=%lld", (long long) shard->count);
  strlist_addf (env, "SHOAL_ATOMS_FILE=%s", STAGE_ATOMS_FILE);
}
