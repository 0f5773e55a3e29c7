/* replay.h — dead letters listed, and sent again to where they were. */
#ifndef SHOAL_BUS_KAFKA_REPLAY_H
#define SHOAL_BUS_KAFKA_REPLAY_H

#include "bus/dead_letter.h"
#include "bus/kafka/dead_letters.h"

int dead_letters_list (struct kafka_dead_letters *letters,
                       int (*each) (void *context, const struct dead_letter *letter), void *context,
                       struct error *err);
int dead_letters_replay (struct kafka_dead_letters *letters, const struct dead_letter *letter,
                         struct error *err);

#endif
