/* bus_options.h — the options that say which bus and how it is reached: all commands that can work
 * on a fleet share them. */
#ifndef SHOAL_CLI_BUS_OPTIONS_H
#define SHOAL_CLI_BUS_OPTIONS_H

#include "bus/bus.h"
#include "cli/options.h"

struct bus_args
{
  const char *url; /* --bus, else SHOAL_BUS, else the brokers of the properties, else NULL */
  char *made;      /* the URL of the brokers in the properties; NULL: another one counts */
  bool named;      /* by --bus */
  bool signs;      /* --job-key */
  struct strlist properties; /* name, value, … */
  int64_t patience_ms;       /* --connect-timeout; 0: the bus's own */
};

/* From the environment: SHOAL_BUS, and the properties file that SHOAL_KAFKA_CONFIG names (read by
 * bus_args_finish). */
void bus_args_init (struct bus_args *args);
void bus_args_release (struct bus_args *args);
#define auto_bus_args AUTO (bus_args_release)

extern const struct option_spec bus_options[];

/* Reads the file of SHOAL_KAFKA_CONFIG; what -X said goes before it. bootstrap.servers names the
 * bus where no URL does, and the brokers of kafka:///PREFIX. ERROR_USER. */
int bus_args_finish (struct bus_args *args, struct error *err);

/* The same where a bus must be named. */
int bus_args_need (struct bus_args *args, struct error *err);

/* For bus_open; points into ARGS. */
struct bus_options bus_args_options (const struct bus_args *args, const char *client);

/* Whether these arguments name a fleet's bus, and not a file on this machine. */
bool bus_args_is_fleet (const struct bus_args *args);

#endif
