/* open.h — opening and leaving the database. */
#ifndef SHOAL_BUS_SQLITE_OPEN_H
#define SHOAL_BUS_SQLITE_OPEN_H

#include "bus/sqlite/database.h"

/* Opens bus->path, which nobody has opened yet, and registers the handle as an owner unless it only
 * reads. ERROR_USER for what isn't there or isn't a bus. */
int sqlite_open_database (struct sqlite_bus *bus, enum bus_access how, struct error *err);

/* Closes it, all statements being finalized; the owners' file stays with the caller. */
void sqlite_leave (struct sqlite_bus *bus);

#endif
