#include "common/unique.h"

#include "common/memory.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

enum
{
  TIME_DIGITS = 6, /* of a second's nanoseconds, in base 32 */
  RANDOM_DIGITS = 14,
};

static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";

/* COUNT random digits to TEXT. */
static void
put_random (char *text, size_t count)
{
  uint8_t bytes[UNIQUE_SIZE];
  ssize_t got = 0;
  do
    got = getrandom (bytes, count, 0);
  while (got < 0 && errno == EINTR);
  if (got != (ssize_t) count) /* never, for so few */
    {
      (void) fputs ("shoal: no random numbers from the system\n", stderr);
      abort ();
    }
  for (size_t i = 0; i < count; i++)
    text[i] = digits[bytes[i] % 32];
}

const char *
unique_text (char text[static UNIQUE_SIZE])
{
  put_random (text, UNIQUE_SIZE - 1);
  text[UNIQUE_SIZE - 1] = '\0';
  return text;
}

char *
unique_id (void)
{
  struct timespec now = { 0 };
  struct tm utc = { 0 };
  (void) clock_gettime (CLOCK_REALTIME, &now);
  (void) gmtime_r (&now.tv_sec, &utc);
  char time[32] = "";
  char rest[TIME_DIGITS + RANDOM_DIGITS + 1] = "";
  (void) strftime (time, sizeof time, "%Y%m%d-%H%M%S", &utc);
  long nanoseconds = now.tv_nsec;
  for (int i = TIME_DIGITS - 1; i >= 0; i--, nanoseconds /= 32)
    rest[i] = digits[nanoseconds % 32];
  put_random (rest + TIME_DIGITS, RANDOM_DIGITS);
  return xasprintf ("%s-%s", time, rest);
}
