/* Which partitions of a queue each of its workers reads. */
#include "bus/kafka/share.h"

#include <string.h>

uint64_t
share_mix (uint64_t value)
{
  value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9U;
  value = (value ^ value >> 27) * 0x94d049bb133111ebU;
  return value ^ value >> 31;
}

static uint64_t
share_weight (const char *name, int32_t partition)
{
  uint64_t hash = 0x9e3779b97f4a7c15U * ((uint64_t) partition + 1);
  for (const char *at = name; *at != '\0'; at++)
    hash = share_mix (hash * 31 + (unsigned char) *at);
  return hash;
}

/* How many of OTHERS weigh more for PARTITION than SELF; SHARE_READERS at most. */
static int
count_heavier (const char *self, const char *const *others, size_t others_count, int32_t partition)
{
  uint64_t weight = share_weight (self, partition);
  int heavier = 0;
  for (size_t i = 0; i < others_count && heavier < SHARE_READERS; i++)
    {
      int order = strcmp (others[i], self);
      uint64_t other = order == 0 ? 0 : share_weight (others[i], partition);
      heavier += order != 0 && (other > weight || (other == weight && order > 0)) ? 1 : 0;
    }
  return heavier;
}

/* The partition that SELF weighs most for of those that aren't TAKEN; -1: all are. */
static int32_t
heaviest_left (const char *self, const bool *taken, int32_t count)
{
  int32_t heaviest = -1;
  uint64_t most = 0;
  for (int32_t i = 0; i < count; i++)
    {
      uint64_t weight = taken[i] ? 0 : share_weight (self, i);
      if (!taken[i] && (heaviest < 0 || weight > most))
        {
          heaviest = i;
          most = weight;
        }
    }
  return heaviest;
}

void
share_choose (const char *self, const char *const *others, size_t others_count, bool *reads,
              int32_t count)
{
  memset (reads, 0, (size_t) count * sizeof *reads);
  for (int i = 0; i < SHARE_PARTITIONS; i++)
    {
      int32_t heaviest = heaviest_left (self, reads, count);
      if (heaviest >= 0)
        reads[heaviest] = true;
    }
  for (int32_t i = 0; i < count; i++)
    reads[i] = reads[i] || count_heavier (self, others, others_count, i) < SHARE_READERS;
}
