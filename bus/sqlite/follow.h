/* follow.h — followers of the events. */
#ifndef SHOAL_BUS_SQLITE_FOLLOW_H
#define SHOAL_BUS_SQLITE_FOLLOW_H

#include "bus/sqlite/database.h"

struct follower *sqlite_follow (struct bus *bus, const char *group, const char *job_id,
                                struct error *err);

#endif
