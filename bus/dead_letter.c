/* A dead letter as the seam hands it out. */
#include "bus/dead_letter.h"

#include <stdlib.h>

void
dead_letter_release (struct dead_letter *letter)
{
  free (letter->name);
  free (letter->topic);
  free (letter->key);
  free (letter->reason);
  free (letter->error);
  buffer_release (&letter->payload);
  *letter = (struct dead_letter){ 0 };
}

void
dead_letter_count (struct metrics *metrics, const char *reason)
{
  metric_add (metrics_counter (metrics, "shoal_dead_letters_total",
                               "Dead letters written, by reason.", LABELS ("reason", reason)),
              1);
}
