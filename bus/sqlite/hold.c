#include "bus/sqlite/hold.h"

#include "bus/sqlite/publish.h"

static int
let_one_go (struct sqlite_bus *bus, const char *job_id, int64_t index, struct error *err)
{
  sqlite3_stmt *statement = sqlite_statement (bus, SQL_LET_GO, err);
  if (statement == NULL)
    return -1;
  sqlite_bind_text (statement, 1, job_id);
  (void) sqlite3_bind_int64 (statement, 2, index);
  return sqlite_run (bus, statement, err) < 0 ? -1 : 0;
}

int
sqlite_let_go (struct bus *base, const char *job_id, const uint32_t *indexes, size_t count,
               struct error *err)
{
  struct sqlite_bus *bus = (struct sqlite_bus *) base;
  if (sqlite_flush (base, err) != 0 || sqlite_begin (bus, err) != 0)
    return -1;
  int outcome = indexes == NULL ? let_one_go (bus, job_id, -1, err) : 0;
  for (size_t i = 0; indexes != NULL && outcome == 0 && i < count; i++)
    outcome = let_one_go (bus, job_id, indexes[i], err);
  return sqlite_end (bus, outcome, err);
}
