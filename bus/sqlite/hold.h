/* hold.h — shards of jobs with a pilot, held until they are let go. */
#ifndef SHOAL_BUS_SQLITE_HOLD_H
#define SHOAL_BUS_SQLITE_HOLD_H

#include "bus/sqlite/database.h"

int sqlite_let_go (struct bus *bus, const char *job_id, const uint32_t *indexes, size_t count,
                   struct error *err);

#endif
