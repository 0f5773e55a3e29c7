/* part_order.h — in which order the parts of a large file are asked for.
 *
 * From its beginning to its end, unless the pieces are known that its sum is of. Then several
 * pieces come at once, each from its beginning on, so that they can be summed side by side (md5.h)
 * while they come:
 *
 *     pieces      │ 0           │ 1           │ 2           │ 3           │ 4        │
 *     2 at once   │ 1 │ 3 │ 5   │ 2 │ 4 │ 6   │ 7 │ 9 │ 11  │ 8 │10 │12   │13 │14    │
 *
 * Small pieces are asked for several at a time, and no request ends within one.
 */
#ifndef SHOAL_STORAGE_PART_ORDER_H
#define SHOAL_STORAGE_PART_ORDER_H

#include "storage/extents.h"

#include <stdbool.h>

enum
{
  PART_SIZE = 16 << 20,
};

/* What has been asked for; { 0 }: nothing. */
struct part_order
{
  int parts;     /* so many have been asked for; 2: or more */
  int64_t piece; /* how long pieces are; 0: not known */
  int64_t next;  /* where the next part begins, when they go from beginning to end */
  int64_t first; /* the first one of the pieces that come at once … */
  int64_t round; /* … so many parts of each have been asked for … */
  int64_t turn;  /* … and one more of so many of them */
};

/* The next part to be asked for of a file of SIZE bytes, of pieces as long as PIECE but for the
 * last one (0: not known), AT_ONCE of them at once; the first one is the same in each case, and
 * what is told of PIECE after the second one doesn't count. False: there are no more. */
bool part_order_next (struct part_order *order, int64_t size, int64_t piece, int64_t at_once,
                      struct extent *part);

#endif
