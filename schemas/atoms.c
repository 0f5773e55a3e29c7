/* Atom lists, in Avro binary (Avro 1.11 specification, "Binary Encoding"): int and long are zig-zag varints,
 * bytes a length and the bytes, a union the branch's number and its value. */
#include "schemas/codec.h"

#include "common/memory.h"

#include <limits.h>
#include <string.h>

enum
{
  VARINT_MAX = 10,           /* bytes of a 64-bit varint */
  PATH_BYTES_MAX = 64 << 10, /* of one atom's path or source */
};

static char *
put_long (char *at, int64_t value)
{
  uint64_t bits = ((uint64_t) value << 1) ^ (uint64_t) (value >> 63);
  while (bits > 0x7f)
    {
      *at++ = (char) (bits | 0x80);
      bits >>= 7;
    }
  *at++ = (char) bits;
  return at;
}

static char *
put_bytes (char *at, const char *bytes, size_t size)
{
  at = put_long (at, (int64_t) size);
  memcpy (at, bytes, size);
  return at + size;
}

void
atom_append (struct buffer *list, const struct atom *atom)
{
  size_t source_size = atom->source == NULL ? 0 : strlen (atom->source);
  char *start = buffer_reserve (list, (size_t) 5 * VARINT_MAX + 1 + atom->path_size + source_size);
  char *at = put_long (start, atom->volume);
  *at++ = atom->folder ? 1 : 0;
  at = put_long (at, atom->size);
  at = put_bytes (at, atom->path, atom->path_size);
  at = put_long (at, atom->source == NULL ? 0 : 1);
  if (atom->source != NULL)
    at = put_bytes (at, atom->source, source_size);
  list->size += (size_t) (at - start);
  list->data[list->size] = '\0';
}

struct atom_cursor
atom_cursor_start (struct bytes list)
{
  const char *start = list.data;
  return (struct atom_cursor){ .at = start, .end = start == NULL ? NULL : start + list.size };
}

void
atom_cursor_release (struct atom_cursor *cursor)
{
  buffer_release (&cursor->path);
  buffer_release (&cursor->source);
}

static bool
get_long (struct atom_cursor *cursor, int64_t *value)
{
  uint64_t bits = 0;
  for (unsigned int shift = 0; shift < 7 * VARINT_MAX && cursor->at < cursor->end; shift += 7)
    {
      uint64_t byte = (unsigned char) *cursor->at++;
      if (shift == 63 && byte > 1)
        return false;
      bits |= (byte & 0x7f) << shift;
      if (byte < 0x80)
        {
          *value = (int64_t) (bits >> 1) ^ -(int64_t) (bits & 1);
          return true;
        }
    }
  return false;
}

/* A path: no NUL inside, bounded. */
static bool
get_path (struct atom_cursor *cursor, struct buffer *path)
{
  int64_t size = 0;
  if (!get_long (cursor, &size) || size < 0 || size > PATH_BYTES_MAX
      || size > cursor->end - cursor->at || memchr (cursor->at, '\0', (size_t) size) != NULL)
    return false;
  buffer_clear (path);
  buffer_append (path, cursor->at, (size_t) size);
  cursor->at += size;
  return true;
}

static bool
get_atom (struct atom_cursor *cursor, struct atom *atom)
{
  int64_t volume = 0;
  int64_t branch = 0;
  if (!get_long (cursor, &volume) || volume < 0 || volume > INT_MAX || cursor->at == cursor->end
      || (unsigned char) *cursor->at > 1)
    return false;
  atom->volume = (uint32_t) volume;
  atom->folder = *cursor->at++ == 1;
  if (!get_long (cursor, &atom->size) || atom->size < -1 || !get_path (cursor, &cursor->path)
      || !get_long (cursor, &branch) || branch < 0 || branch > 1)
    return false;
  if (branch == 1 && !get_path (cursor, &cursor->source))
    return false;
  atom->path = cursor->path.data;
  atom->path_size = cursor->path.size;
  atom->source = branch == 1 ? cursor->source.data : NULL;
  return true;
}

int
atom_cursor_next (struct atom_cursor *cursor, struct atom *atom, struct error *err)
{
  if (cursor->at == cursor->end)
    return 0;
  if (get_atom (cursor, atom))
    return 1;
  return error_set (err, ERROR_USER, "the atom list is damaged");
}
