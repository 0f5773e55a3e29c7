/* extents.h — which bytes of a file are there, in whatever order they come. */
#ifndef SHOAL_STORAGE_EXTENTS_H
#define SHOAL_STORAGE_EXTENTS_H

#include <stddef.h>
#include <stdint.h>

struct extent
{
  int64_t from, end;
};

/* In order, none of them touches the next. { 0 } has nothing. */
struct extents
{
  struct extent *items;
  size_t count;
  size_t room;
};

/* Adds ADDED, which isn't empty; returns the one that it is part of now. */
struct extent extents_add (struct extents *extents, struct extent added);

/* Takes out what lies in GONE. */
void extents_remove (struct extents *extents, struct extent gone);

/* Takes out all and frees it. */
void extents_release (struct extents *extents);

#endif
