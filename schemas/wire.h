/* wire.h — the two frames that a message travels in, and the step from one to the other.
 *
 *     C3 01 | fingerprint, 8 bytes, little-endian | Avro binary     single-object encoding: what
 *                                                                   codec.h reads and writes
 *     00 | schema id, 4 bytes, big-endian         | Avro binary     the wire format of schema
 *                                                                   registries
 *
 * All of shoal speaks single-object encoding. A bus that has a registry packs what it sends; a bus,
 * with or without one, unpacks what it gets: the first bytes say which frame it is. The errors of
 * both:
 *   ERROR_USER       the message is at fault, now and for ever
 *   ERROR_TRANSIENT  the registry is away: the same call may succeed later
 *   ERROR_FATAL      the registry is there and refuses us (password, an incompatible schema)
 */
#ifndef SHOAL_SCHEMAS_WIRE_H
#define SHOAL_SCHEMAS_WIRE_H

#include "schemas/registry.h"
#include "schemas/writer_schema.h"

/* Turns MESSAGE, which codec_encode_… wrote, into the wire format; its schema is registered under
 * SUBJECT at first use. Without a registry (NULL) MESSAGE stays as it is. */
int wire_pack (struct registry *registry, const char *subject, struct buffer *message,
               struct error *err);

/* Turns MESSAGE, of either frame, into what codec_decode_… reads. What was written with a schema
 * that isn't compiled in is read by the names of its fields and becomes a message of our version.
 * On return MESSAGE views what it viewed, or OWN, which is overwritten. REGISTRY may be NULL. */
int wire_unpack (struct registry *registry, struct bytes *message, struct buffer *own,
                 struct error *err);

/* Appends BODY, written with SCHEMA, to OUT as a message in single-object encoding. */
int wire_translate (const struct writer_schema *schema, struct bytes body, struct buffer *out,
                    struct error *err);

#endif
