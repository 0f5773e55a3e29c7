/* topics_tail.h — the records of a topic as JSON, a line each. */
#ifndef SHOAL_CLI_TOPICS_TAIL_H
#define SHOAL_CLI_TOPICS_TAIL_H

#include "bus/bus.h"
#include "bus/records.h"

/* Writes TAIL's records to stdout, and with `follow` those that come until the process is ended. */
int topics_tail (const char *url, const struct bus_options *bus, const struct bus_tail *tail,
                 struct error *err);

#endif
