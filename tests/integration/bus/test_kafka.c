/* The bus on a real Kafka broker: held to the seam's suite. */
#include "bus/kafka/topics.h"
#include "common/memory.h"
#include "tests/lib/bus_actor.h"
#include "tests/lib/bus_conformance.h"
#include "tests/lib/bus_stage.h"
#include "tests/lib/kafka_place.h"

#include <stdlib.h>

int
main (int argc, char **argv)
{
  actor_main (argc, argv);
  const struct bus_place ordered = {
    .make = kafka_place_ordered, .discard = kafka_place_discard, .is_log = true, .patience_ms = 1000
  };
  const struct bus_place spread = { .make = kafka_place_spread,
                                    .discard = kafka_place_discard,
                                    .is_log = true,
                                    .patience_ms = 1000,
                                    .kills = 40,
                                    .shards = 400 };
  return bus_conformance_run_work (&ordered) + bus_conformance_run_events (&ordered)
         + bus_conformance_run_faults (&spread);
}
