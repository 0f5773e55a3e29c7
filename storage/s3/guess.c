/* A page's keys are read as numbers: what follows their common beginning, each place with the
 * letters that it had there. Names that are counted up and names that are hashes are both close to
 * evenly spread in that order. */
#include "storage/s3/guess.h"

#include "common/memory.h"

#include <limits.h>
#include <string.h>

enum
{
  POSITIONS = 32,
};

#define NUMBERS_MAX ((uint64_t) 1 << 60)

struct guess_position
{
  bool seen[UCHAR_MAX + 1];
  unsigned char letters[UCHAR_MAX + 1]; /* sorted */
  int count;
};

struct scale
{
  const char *like; /* a key: what all have in common, and what never changes */
  size_t start;     /* of the first place */
  int places;
  struct guess_position positions[POSITIONS];
};

static const char *const classes[] = { "0123456789", "0123456789abcdef", "0123456789ABCDEF" };

static bool
is_in (const char *class, unsigned char letter)
{
  return letter != '\0' && class != NULL && strchr (class, letter) != NULL;
}

/* ---- the scale -------------------------------------------------------------------------- */

static void
see (struct scale *scale, const char *key)
{
  size_t length = strlen (key);
  for (int i = 0; i < POSITIONS && scale->start + (size_t) i < length; i++)
    scale->positions[i].seen[(unsigned char) key[scale->start + (size_t) i]] = true;
}

static int
count_seen (const struct guess_position *position)
{
  int count = 0;
  for (int letter = 1; letter <= UCHAR_MAX; letter++)
    count += position->seen[letter] ? 1 : 0;
  return count;
}

static bool
guess_is_of_class (const struct guess_position *position, const char *class)
{
  for (int letter = 1; letter <= UCHAR_MAX; letter++)
    if (position->seen[letter] && !is_in (class, (unsigned char) letter))
      return false;
  return true;
}

/* The letters that all places which vary are of, those that a page didn't happen to show included;
 * NULL: of no class. */
static const char *
find_class (const struct scale *scale)
{
  for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
    {
      int of = 0;
      while (of < POSITIONS
             && (count_seen (&scale->positions[of]) < 2
                 || guess_is_of_class (&scale->positions[of], classes[i])))
        of++;
      if (of == POSITIONS)
        return classes[i];
    }
  return NULL;
}

static void
set_letters (struct guess_position *position, const char *class)
{
  bool classed = class != NULL && count_seen (position) > 0 && guess_is_of_class (position, class);
  for (int letter = 1; letter <= UCHAR_MAX; letter++)
    if (classed ? is_in (class, (unsigned char) letter) : position->seen[letter])
      position->letters[position->count++] = (unsigned char) letter;
}

/* Places from where PAGE's keys differ, and those before it that a carry may reach. False: they
 * can't be counted. */
static bool
make_scale (struct scale *scale, const struct s3_page *page)
{
  const char *first = page->objects[0].key;
  const char *last = page->objects[page->count - 1].key;
  size_t same = 0;
  while (first[same] != '\0' && first[same] == last[same])
    same++;
  scale->like = last;
  scale->start = same;
  for (size_t i = 0; i < page->count; i++)
    see (scale, page->objects[i].key);
  const char *class = find_class (scale);
  while (scale->start > 0 && same - scale->start < POSITIONS / 2
         && is_in (class, (unsigned char) last[scale->start - 1]))
    scale->start--;
  memset (scale->positions, 0, sizeof scale->positions);
  for (size_t i = 0; i < page->count; i++)
    see (scale, page->objects[i].key);
  uint64_t numbers = 1;
  for (; scale->places < POSITIONS; scale->places++)
    {
      struct guess_position *position = &scale->positions[scale->places];
      set_letters (position, class);
      if (position->count == 0
          || position->letters[position->count - 1] > 0x7f /* half a character */
          || numbers > NUMBERS_MAX / (uint64_t) position->count)
        break;
      numbers *= (uint64_t) position->count;
    }
  return scale->places > 0;
}

/* ---- numbers ---------------------------------------------------------------------------- */

static uint64_t
guess_number_of (const struct scale *scale, const char *key)
{
  uint64_t number = 0;
  const char *end = key + strlen (key);
  const char *at = key + scale->start;
  for (int i = 0; i < scale->places; i++, at++)
    {
      const struct guess_position *position = &scale->positions[i];
      int rank = 0;
      while (at < end && rank < position->count - 1
             && position->letters[rank] < (unsigned char) *at)
        rank++;
      number = number * (uint64_t) position->count + (uint64_t) rank;
    }
  return number;
}

static uint64_t
guess_largest (const struct scale *scale)
{
  uint64_t numbers = 1;
  for (int i = 0; i < scale->places; i++)
    numbers *= (uint64_t) scale->positions[i].count;
  return numbers - 1;
}

static char *
guess_key_of (const struct scale *scale, uint64_t number)
{
  char *key = xcalloc (scale->start + (size_t) scale->places + 1, 1);
  memcpy (key, scale->like, scale->start);
  for (int i = scale->places - 1; i >= 0; i--)
    {
      const struct guess_position *position = &scale->positions[i];
      key[scale->start + (size_t) i] =
          (char) position->letters[number % (uint64_t) position->count];
      number /= (uint64_t) position->count;
    }
  return key;
}

char *
s3_guess (const struct s3_page *page, const char *base, int pages)
{
  struct scale scale = { 0 };
  if (page->count < 2 || !make_scale (&scale, page) || strncmp (base, scale.like, scale.start) != 0)
    return NULL;
  uint64_t step =
      guess_number_of (&scale, scale.like) - guess_number_of (&scale, page->objects[0].key);
  uint64_t from = guess_number_of (&scale, base);
  if (step == 0 || step > (guess_largest (&scale) - from) / (uint64_t) pages)
    return NULL;
  auto_free char *key = guess_key_of (&scale, from + step * (uint64_t) pages);
  return strcmp (key, base) > 0 ? take (&key) : NULL;
}
