/* upload_note.h — which keys somebody sends to a storage in parts, written down there while it
 * lasts.
 *
 * The note is there before the first upload begins and until the last one has ended, so it leads to
 * those of somebody who was killed: MinIO lists unfinished uploads only of a key that is named.
 */
#ifndef SHOAL_RESULT_UPLOAD_NOTE_H
#define SHOAL_RESULT_UPLOAD_NOTE_H

#include "storage/storage.h"

/* The folder of the notes. */
#define UPLOAD_NOTES ".shoal/uploads"

/* Notes as NAME those of the list ATOMS that go in parts: 1, 0 when none does, or -1. */
int upload_note_put (struct storage *storage, const char *name, struct bytes atoms,
                     struct error *err);

/* Ends all uploads of the keys in the note NAME, and removes it. That there is none is fine. */
int upload_note_end (struct storage *storage, const char *name, struct error *err);

#endif
