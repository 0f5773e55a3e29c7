#!/bin/bash
# avro-c resolves an enum by the symbol's position, and knows no default of a field that the reader's schema adds.
#
# Behaviour: a value written with the symbols [QUEUED, RUNNING, DONE] and read through a resolved reader with the symbols
# [DONE, RUNNING, QUEUED] comes out as another symbol, without an error: the position is taken over. "Schema Resolution" of
# the Avro specification matches the string. A reader's record with one more field, which has a default, is refused
# ("Reader field ... doesn't appear in writer"); the specification takes the default.
# Seen with: avro-c 1.11.1 (Debian 12, libavro-dev 1.11.1-1); fastavro 1.12.0 (PyPI) beside it
# Output seen:
#   avro-c, the same symbols: QUEUED
#   avro-c, symbols in another order: DONE
#   avro-c, a field with a default added: Reader field owner doesn't appear in writer
#   fastavro, symbols in another order: QUEUED
#   fastavro, a field with a default added: nobody
# What follows: shoal decodes with the writer's schema and matches fields and symbols by name itself (schemas/README.md).
# Exits with 1 when either behaves otherwise.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get download -q libavro-dev=1.11.1-1 libavro23=1.11.1-1 >apt.log 2>&1 || { cat apt.log; exit 2; }
for package in *.deb; do dpkg -x "$package" root; done
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check fastavro==1.12.0
cat >resolve.c <<'C'
#include <avro.h>
#include <stdio.h>

#define RECORD(symbols, more)                                                                      \
  "{\"type\": \"record\", \"name\": \"Status\", \"fields\": [{\"name\": \"state\", \"type\": "      \
  "{\"type\": \"enum\", \"name\": \"State\", \"symbols\": " symbols "}}" more "]}"

static const char written[] = RECORD ("[\"QUEUED\", \"RUNNING\", \"DONE\"]", "");
static const char turned[] = RECORD ("[\"DONE\", \"RUNNING\", \"QUEUED\"]", "");
static const char longer[]
    = RECORD ("[\"QUEUED\", \"RUNNING\", \"DONE\"]",
              ", {\"name\": \"owner\", \"type\": \"string\", \"default\": \"nobody\"}");

static void
read_by (const char *what, const char *text, const char *bytes, size_t size)
{
  avro_schema_t writer;
  avro_schema_t reader;
  if (avro_schema_from_json_length (written, sizeof written - 1, &writer) != 0
      || avro_schema_from_json (text, 0, &reader, NULL) != 0)
    return;
  avro_value_iface_t *writer_class = avro_generic_class_from_schema (writer);
  avro_value_iface_t *view = avro_resolved_reader_new (writer, reader);
  if (view == NULL)
    {
      printf ("avro-c, %s: %s\n", what, avro_strerror ());
      return;
    }
  avro_value_t value;
  avro_value_t seen;
  avro_value_t state;
  avro_generic_value_new (writer_class, &value);
  avro_resolved_reader_new_value (view, &seen);
  avro_resolved_reader_set_source (&seen, &value);
  avro_reader_t from = avro_reader_memory (bytes, (int64_t) size);
  int symbol = -1;
  if (avro_value_read (from, &value) != 0
      || avro_value_get_by_name (&seen, "state", &state, NULL) != 0
      || avro_value_get_enum (&state, &symbol) != 0)
    {
      printf ("avro-c, %s: %s\n", what, avro_strerror ());
      return;
    }
  printf ("avro-c, %s: %s\n", what, avro_schema_enum_get (avro_value_get_schema (&state), symbol));
}

int
main (void)
{
  const char queued[] = { 0 }; /* the first symbol */
  read_by ("the same symbols", written, queued, sizeof queued);
  read_by ("symbols in another order", turned, queued, sizeof queued);
  read_by ("a field with a default added", longer, queued, sizeof queued);
}
C
cc -o resolve resolve.c -Iroot/usr/include -Lroot/usr/lib/x86_64-linux-gnu -Lroot/usr/lib -l:libavro.so.23 -Wl,--unresolved-symbols=ignore-in-shared-libs
cat >resolve.py <<'PYTHON'
import io
import fastavro


def record(symbols, *more):
    state = {"name": "state", "type": {"type": "enum", "name": "State", "symbols": symbols}}
    return fastavro.parse_schema({"type": "record", "name": "Status", "fields": [state, *more]})


symbols = ["QUEUED", "RUNNING", "DONE"]
owner = {"name": "owner", "type": "string", "default": "nobody"}
written = record(symbols)


def read(reader):
    return fastavro.schemaless_reader(io.BytesIO(b"\0"), written, reader)


print("fastavro, symbols in another order:", read(record(symbols[::-1]))["state"])
print("fastavro, a field with a default added:", read(record(symbols, owner))["owner"])
PYTHON
{ LD_LIBRARY_PATH=$work/root/usr/lib/x86_64-linux-gnu:$work/root/usr/lib ./resolve; venv/bin/python resolve.py; } | tee seen
diff - seen <<'SEEN' >/dev/null || { echo "it behaves otherwise now"; exit 1; }
avro-c, the same symbols: QUEUED
avro-c, symbols in another order: DONE
avro-c, a field with a default added: Reader field owner doesn't appear in writer
fastavro, symbols in another order: QUEUED
fastavro, a field with a default added: nobody
SEEN
