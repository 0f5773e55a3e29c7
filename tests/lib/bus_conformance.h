/* bus_conformance.h — what every bus must do, as one suite of tests.
 *
 * An implementation's test program says how to get an empty bus, and calls bus_conformance_run.
 */
#ifndef SHOAL_TESTS_LIB_BUS_CONFORMANCE_H
#define SHOAL_TESTS_LIB_BUS_CONFORMANCE_H

#include <stdbool.h>
#include <stdint.h>

struct bus_place
{
  char *(*make) (void); /* URL of a new, empty bus; discard frees it */
  void (*discard) (char *url);
  /* shards come in order of publishing, a dead process is noticed by its lease alone, and an event
     may be there twice */
  bool is_log;
  int patience_ms; /* how long something may be on its way */
  int kills;       /* of the longest test; 0: 300 */
  uint32_t shards; /* likewise; 0: 3000 */
};

/* Each runs a part and gives the number of tests that failed. The program's main must call
 * actor_main first. */
int bus_conformance_run_work (const struct bus_place *place);
int bus_conformance_run_events (const struct bus_place *place);

/* Processes that are killed and stopped, also at random. */
int bus_conformance_run_faults (const struct bus_place *place);

#endif
