/* A member of a group: which partitions of the events it holds, by claims in the topic of leases.
 */
#include "bus/kafka/group.h"

#include "bus/kafka/client.h"
#include "bus/kafka/producer.h"
#include "bus/kafka/topic_names.h"
#include "bus/kafka/trouble.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/text.h"
#include "schemas/codec.h"

#include <string.h>

enum
{
  SHARE_MS = 1000, /* how often the members are counted */
  CHANCE_MS = 500, /* for a renewal that was on its way when the lease ran out */
  JOIN_MS = 100,   /* how often a partition that may be free is tried for */
};

static struct claims_entry *
lease_of (struct kafka_group *group, const struct slice *slice)
{
  return claims_find (group->leases->claims, slice->key);
}

bool
group_has (struct kafka_group *group, const struct slice *slice)
{
  const struct claims_entry *entry = lease_of (group, slice);
  return entry != NULL && entry->phase == CLAIMS_HELD && strcmp (entry->holder, group->writer) == 0;
}

/* Whether it is worth trying: it was given back, or the lease has run out, as far as we know the
 * broker's clock, for so long that a renewal that was on its way would have come. While brokers
 * were away nobody could renew. */
static bool
seems_free (struct kafka_group *group, struct slice *slice)
{
  const struct claims_entry *entry = lease_of (group, slice);
  if (entry == NULL || entry->phase == CLAIMS_FREE)
    return true;
  int64_t now = clock_boot_ms ();
  int64_t trouble = kafka_trouble_at (&group->producer->client->trouble);
  if (clock_wall_ms () + group->leases->cursor.skew < entry->expires
      || (trouble != 0 && now < trouble + group->producer->client->lease_ms / 2))
    {
      slice->free_since = 0;
      return false;
    }
  if (slice->free_since == 0)
    slice->free_since = leases_sync (group->leases, NULL) == 0 ? now : 0;
  return slice->free_since != 0 && now - slice->free_since >= CHANCE_MS;
}

static int
send_lease (struct kafka_group *group, const char *key, enum claim_kind kind,
            struct delivery_report *report, struct error *err)
{
  auto_buffer struct buffer payload = { 0 };
  const struct claims_entry *entry = claims_find (group->leases->claims, key);
  const uint32_t known = entry == NULL ? 0 : entry->starts;
  const struct claim claim = { .kind = kind,
                               .writer = group->writer,
                               .starts = kind == CLAIM_CLAIM ? known + 1 : known,
                               .lease_ms = group->producer->client->lease_ms };
  if (codec_encode_claim (&claim, &payload, err) != 0)
    return -1;
  return kafka_send (group->producer, TOPIC_LEASES, 0, key, &payload, report, err);
}

static int
group_renew (struct kafka_group *group, struct error *err)
{
  int64_t now = clock_boot_ms ();
  if (now - group->renewed < group->producer->client->lease_ms / 3)
    return 0;
  group->renewed = now;
  struct delivery_report *quiet = &group->producer->quiet;
  for (int32_t i = 0; i < group->count; i++)
    if (group->slices[i].held
        && send_lease (group, group->slices[i].key, CLAIM_RENEW, quiet, err) != 0)
      return -1;
  return send_lease (group, group->member, CLAIM_RENEW, quiet, err);
}

/* ---- shares ----------------------------------------------------------------------------- */

int32_t
group_held (const struct kafka_group *group)
{
  int32_t held = 0;
  for (int32_t i = 0; i < group->count; i++)
    held += group->slices[i].held ? 1 : 0;
  return held;
}

static void
count_members (struct kafka_group *group)
{
  auto_free char *members = xasprintf ("member/%s/", group->name);
  int32_t count = (int32_t) claims_held (group->leases->claims, members);
  count = count < 1 ? 1 : count;
  group->share = (group->count + count - 1) / count;
}

/* Says which members have other settings than we: what becomes of a job would depend on who takes
 * it up. */
static void
compare_settings (const struct kafka_group *group)
{
  if (group->leases->log.config->settings == NULL)
    return;
  auto_free char *members = xasprintf ("member/%s/", group->name);
  auto_free char *ours = text_log (group->leases->log.config->settings);
  for (const struct claims_entry *entry = NULL;
       (entry = claims_next_held (group->leases->claims, members, entry)) != NULL;)
    {
      const char *settings = strchr (entry->key, ' ');
      if (settings == NULL || strcmp (settings + 1, group->leases->log.config->settings) == 0)
        continue;
      const char *name = entry->key + strlen (members);
      auto_free char *member = xstrndup (name, (size_t) (settings - name));
      auto_free char *member_quoted = text_log (member);
      auto_free char *theirs = text_log (settings + 1);
      log_warn ("config_mismatch", "group=%s member=%s theirs=%s ours=%s", group->name,
                member_quoted, theirs, ours);
    }
}

/* Whether no unfinished job needs what SLICE has delivered, and there is nothing more. */
static bool
is_idle (const struct slice *slice)
{
  return slice->held && cursor_is_open (&slice->cursor) && slice->delivered == slice->committed
         && cursor_is_at_end (&slice->cursor);
}

/* Gives back what is more than our share, as far as it can be given without anybody reading
 * again. */
static int
share_out (struct kafka_group *group, struct error *err)
{
  int64_t now = clock_boot_ms ();
  if (now - group->shared < SHARE_MS)
    return 0;
  group->shared = now;
  count_members (group);
  int32_t surplus = group_held (group) - group->share;
  for (int32_t i = 0; i < group->count && surplus > 0; i++)
    {
      struct slice *slice = &group->slices[i];
      if (!is_idle (slice))
        continue;
      if (send_lease (group, slice->key, CLAIM_RELEASE, &group->producer->quiet, err) != 0)
        return -1;
      slice->held = false;
      cursor_close (&slice->cursor);
      surplus--;
      log_info ("partition_revoked", "group=%s partition=%d", group->name, group->first + i);
    }
  return 0;
}

/* ---- joining ---------------------------------------------------------------------------- */

/* Tries for partitions that nobody has, up to our share. */
static int
group_take_free (struct kafka_group *group, struct error *err)
{
  auto_delivery_report struct delivery_report *report = delivery_report_new ();
  if (leases_sync (group->leases, err) != 0)
    return -1;
  count_members (group);
  int32_t room = group->share - group_held (group);
  int32_t tried = 0;
  for (int32_t i = 0; i < group->count && tried < room; i++)
    {
      struct slice *slice = &group->slices[i];
      if (slice->held || !seems_free (group, slice))
        continue;
      tried++;
      if (send_lease (group, slice->key, CLAIM_CLAIM, report, err) != 0)
        return -1;
    }
  if (tried == 0)
    return 0;
  if (kafka_await (group->producer, report, "joining a group", err) != 0
      || leases_sync (group->leases, err) != 0)
    return -1;
  for (int32_t i = 0; i < group->count; i++)
    group->slices[i].held |= group_has (group, &group->slices[i]);
  return 0;
}

/* Sees to the leases: what is held is renewed, what was taken from us is noticed, what is free is
 * tried for. */
int
group_tend (struct kafka_group *group, struct error *err)
{
  int64_t now = clock_boot_ms ();
  leases_pump (group->leases);
  bool free_ones = false;
  for (int32_t i = 0; i < group->count; i++)
    {
      struct slice *slice = &group->slices[i];
      group->lost = group->lost || (slice->held && !group_has (group, slice));
      free_ones = free_ones || (!slice->held && seems_free (group, slice));
    }
  if (group->lost)
    return 0;
  if (share_out (group, err) != 0)
    return -1;
  if (free_ones && group_held (group) < group->share && now - group->joined >= JOIN_MS)
    {
      group->joined = now;
      if (group_take_free (group, err) != 0)
        return -1;
    }
  return group_renew (group, err);
}

int
group_join (struct kafka_group *group, struct error *err)
{
  auto_delivery_report struct delivery_report *report = delivery_report_new ();
  if (leases_sync (group->leases, err) != 0
      || send_lease (group, group->member, CLAIM_CLAIM, report, err) != 0
      || kafka_await (group->producer, report, "joining a group", err) != 0)
    return -1;
  int joined = group_take_free (group, err);
  compare_settings (group);
  return joined;
}

void
group_leave (struct kafka_group *group)
{
  for (int32_t i = 0; i < group->count; i++)
    if (group->slices[i].held)
      (void) send_lease (group, group->slices[i].key, CLAIM_RELEASE, &group->producer->quiet, NULL);
  if (group->leases->claims != NULL)
    (void) send_lease (group, group->member, CLAIM_RELEASE, &group->producer->quiet, NULL);
}
