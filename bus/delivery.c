/* A delivery, to its end. */
#include "bus/delivery.h"

#include <stdlib.h>

void
delivery_free (struct delivery *delivery)
{
  if (delivery == NULL)
    return;
  if (delivery->job != NULL)
    job_release (delivery->job);
  free (delivery->job);
  shard_release (&delivery->shard);
  free (delivery);
}
