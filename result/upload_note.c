#include "result/upload_note.h"

#include "common/memory.h"
#include "schemas/codec.h"

enum
{
  NOTE_MAX = 1 << 28,
};

static char *
upload_note_key_of (const char *name)
{
  return xasprintf (UPLOAD_NOTES "/%s", name);
}

int
upload_note_put (struct storage *storage, const char *name, struct bytes atoms, struct error *err)
{
  struct atom atom = { 0 };
  int got = 0;
  auto_buffer struct buffer note = { 0 };
  auto_free char *key = upload_note_key_of (name);
  auto_atom_cursor struct atom_cursor cursor = atom_cursor_start (atoms);
  while ((got = atom_cursor_next (&cursor, &atom, err)) > 0)
    if (atom.size > STORAGE_WHOLE_MAX)
      {
        const struct atom large = { .size = -1, .path = atom.path, .path_size = atom.path_size };
        atom_append (&note, &large);
      }
  if (got < 0 || note.size == 0)
    return got;
  return storage_put (storage, key, buffer_bytes (&note), false, err) < 0 ? -1 : 1;
}

int
upload_note_end (struct storage *storage, const char *name, struct error *err)
{
  struct atom atom = { 0 };
  auto_buffer struct buffer note = { 0 };
  auto_free char *key = upload_note_key_of (name);
  int got = storage_get (storage, key, 0, -1, NOTE_MAX, &note, err);
  if (got <= 0)
    return got;
  auto_atom_cursor struct atom_cursor cursor = atom_cursor_start (buffer_bytes (&note));
  while ((got = atom_cursor_next (&cursor, &atom, err)) > 0)
    if (storage_end_uploads (storage, atom.path, err) != 0)
      return -1;
  return got < 0 ? -1 : storage_remove (storage, key, err);
}
