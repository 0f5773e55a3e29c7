#include "storage/part_order.h"

/* No server has a larger object; what says that it is one isn't to be reckoned with in pieces. */
static const int64_t LARGEST_IN_PIECES = (int64_t) 1 << 50;

/* Where the part ends that begins at FROM, of parts of SIZE bytes up to END: none is shorter but
 * the only one. */
static int64_t
part_end (int64_t from, int64_t size, int64_t end)
{
  return end - from < 2 * size ? end : from + size;
}

/* From the beginning to the end, in parts of SIZE bytes. */
static bool
next_in_order (struct part_order *order, int64_t size, int64_t end, struct extent *part)
{
  if (order->next >= end)
    return false;
  part->from = order->next;
  part->end = part_end (part->from, size, end);
  order->next = part->end;
  return true;
}

/* Parts of whole pieces, of which the first part of the file may have taken some bytes. */
static bool
next_of_small_pieces (struct part_order *order, int64_t size, int64_t piece, struct extent *part)
{
  int64_t unit = piece > PART_SIZE ? piece : PART_SIZE / piece * piece;
  int64_t odd = order->next % unit;
  if (odd == 0 || size - order->next <= unit - odd)
    return next_in_order (order, unit, size, part);
  *part = (struct extent){ order->next, order->next + unit - odd };
  order->next = part->end;
  return true;
}

/* The first parts of AT_ONCE pieces, their second ones and so on, then those of the next pieces. */
static bool
next_of_large_pieces (struct part_order *order, int64_t size, int64_t at_once, struct extent *part)
{
  const int64_t piece = order->piece;
  for (; order->first * piece < size; order->first += at_once, order->round = 0)
    for (; order->round < piece / PART_SIZE; order->round++, order->turn = 0)
      for (; order->turn < at_once; order->turn++)
        {
          int64_t begin = (order->first + order->turn) * piece;
          int64_t end = begin + piece < size ? begin + piece : size;
          part->from = begin + order->round * PART_SIZE;
          if (part->from >= end || (order->round > 0 && end - part->from < PART_SIZE))
            continue; /* the last piece may be shorter, and the part before took its rest */
          part->end = part_end (part->from, PART_SIZE, end);
          order->turn++;
          return true;
        }
  return false;
}

bool
part_order_next (struct part_order *order, int64_t size, int64_t piece, int64_t at_once,
                 struct extent *part)
{
  if (order->parts < 2)
    order->piece = size > LARGEST_IN_PIECES ? 0 : piece < size ? piece : size;
  if (order->parts == 0 || order->piece == 0)
    {
      order->parts += order->parts < 2;
      order->turn = 1; /* of pieces, the first one's first part is this one */
      return next_in_order (order, PART_SIZE, size, part);
    }
  order->parts = 2;
  return order->piece < 2 * (int64_t) PART_SIZE
             ? next_of_small_pieces (order, size, order->piece, part)
             : next_of_large_pieces (order, size, at_once, part);
}
