/* Atom lists, in Avro binary (Avro 1.11 specification, "Binary Encoding"): int and long are zig-zag
 * varints, bytes a length and the bytes, a union the branch's number and its value. */
#include "common/varint.h"
#include "schemas/codec.h"

#include "common/memory.h"

#include <limits.h>
#include <string.h>

enum
{
  PATH_BYTES_MAX = 64 << 10, /* of one atom's path or source */
};

static char *
atoms_put_bytes (char *at, const char *bytes, size_t size)
{
  at = varint_put (at, (int64_t) size);
  memcpy (at, bytes, size);
  return at + size;
}

void
atom_append (struct buffer *list, const struct atom *atom)
{
  size_t source_size = atom->source == NULL ? 0 : strlen (atom->source);
  size_t version_size = atom->version == NULL ? 0 : strlen (atom->version);
  char *start = buffer_reserve (list, (size_t) 7 * VARINT_MAX + 1 + atom->path_size + source_size
                                          + version_size);
  char *at = varint_put (start, atom->volume);
  *at++ = atom->folder ? 1 : 0;
  at = varint_put (at, atom->size);
  at = atoms_put_bytes (at, atom->path, atom->path_size);
  if (atom->version != NULL)
    {
      at = varint_put (at, 2);
      at = atoms_put_bytes (at, atom->version, version_size);
    }
  at = varint_put (at, atom->source == NULL ? 0 : 1);
  if (atom->source != NULL)
    at = atoms_put_bytes (at, atom->source, source_size);
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
  buffer_release (&cursor->version);
}

static bool
get_long (struct atom_cursor *cursor, int64_t *value)
{
  const char *behind = varint_get (cursor->at, cursor->end, value);
  if (behind == NULL)
    return false;
  cursor->at = behind;
  return true;
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

/* The union of null, a source and a pin. */
static bool
get_source (struct atom_cursor *cursor, struct atom *atom)
{
  int64_t branch = 0;
  atom->source = atom->version = NULL;
  if (!get_long (cursor, &branch) || branch < 0 || branch > 2)
    return false;
  if (branch == 2)
    {
      if (!get_path (cursor, &cursor->version) || !get_long (cursor, &branch) || branch < 0
          || branch > 1)
        return false;
      atom->version = cursor->version.data;
    }
  if (branch == 1)
    {
      if (!get_path (cursor, &cursor->source))
        return false;
      atom->source = cursor->source.data;
    }
  return true;
}

static bool
get_atom (struct atom_cursor *cursor, struct atom *atom)
{
  int64_t volume = 0;
  if (!get_long (cursor, &volume) || volume < 0 || volume > INT_MAX || cursor->at == cursor->end
      || (unsigned char) *cursor->at > 1)
    return false;
  atom->volume = (uint32_t) volume;
  atom->folder = *cursor->at++ == 1;
  if (!get_long (cursor, &atom->size) || atom->size < -1 || !get_path (cursor, &cursor->path)
      || !get_source (cursor, atom))
    return false;
  atom->path = cursor->path.data;
  atom->path_size = cursor->path.size;
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
