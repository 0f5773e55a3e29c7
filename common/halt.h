/* halt.h — what long work asks now and then: whether it is to go on. */
#ifndef SHOAL_COMMON_HALT_H
#define SHOAL_COMMON_HALT_H

#include "common/error.h"

#include <stddef.h>

struct halt
{
  /* 0: go on; -1 with ERR, which says why not. Asked for each small step, so it must be cheap. */
  int (*ask) (void *context, struct error *err);
  void *context;
};

/* As HALT says; NULL never stops anything. */
static inline int
halt_check (const struct halt *halt, struct error *err)
{
  return halt == NULL ? 0 : halt->ask (halt->context, err);
}

#endif
