/* race.h — somebody who swaps folders and files for links while other code works on them, and a
 * place outside that nobody may touch. Failures fail the test. */
#ifndef SHOAL_TESTS_LIB_RACE_H
#define SHOAL_TESTS_LIB_RACE_H

#include "common/auto.h"

/* How many rounds a race has: SHOAL_RACE_ROUNDS, else OTHERWISE. */
int race_rounds (int otherwise);

/* A folder with a file `secret` in it. */
struct outside
{
  char *path;
  int fd;
  int secret;
  struct outside_status *before;
};

#define OUTSIDE_SECRET "this is a secret"

void outside_make (struct outside *outside);
void outside_release (struct outside *outside);
#define auto_outside AUTO (outside_release)

/* Nobody has read or changed anything there, not even for a moment. */
void outside_expect_untouched (const struct outside *outside);

/* Nothing beneath DIRFD, links not followed, has the secret in it. */
void outside_expect_not_in (const struct outside *outside, int dirfd);

struct race;

/* From now on what has one of NAMES (up to NULL) in DIRFD is exchanged with what is called
 * NAME.other there, again and again. SEED decides when. */
struct race *race_start (int dirfd, const char *const *names, unsigned int seed);

/* Ends it; how often it exchanged two. */
long race_stop (struct race *race);

#endif
