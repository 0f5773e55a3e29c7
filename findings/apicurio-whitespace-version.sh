#!/bin/bash
# Apicurio Registry's Confluent API makes a new id and version of a schema that differs in white space alone.
#
# Behaviour: the same Avro schema registered under one subject, once with blanks between the tokens and once with the
# attributes in another order, becomes three ids and three versions. Confluent's API reference says of this call that the
# id of a schema that is there already is returned; its registry parses the text first, so that clients of several
# languages, whose libraries print one schema differently, share one id. With ?normalize=true Apicurio finds an equal
# schema, but by the canonical form, which has no attribute "doc": it answers with the id of the newest schema that has
# that form, though that one has a doc which the registered one lacks.
# Seen with: Apicurio Registry 3.0.9 (Maven Central), API /apis/ccompat/v7, its store in memory
# Output seen:
#   compact: 1
#   compact again: 1
#   with blanks: 2
#   attributes in another order: 3
#   with a doc: 4
#   attributes in another order, normalize: 4
#   versions: [1,2,3,4]
# What follows: nobody may conclude from two ids that two schemas differ; shoal compares by Avro's fingerprint.
# Exits with 1 when it behaves otherwise.
set -euo pipefail
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null; wait 2>/dev/null; rm -rf "$work"' EXIT
cd "$work"
mvn -q -B dependency:copy -Dartifact=io.apicurio:apicurio-registry-app:3.0.9:tar.gz:all -DoutputDirectory="$work" >mvn.log 2>&1 || { cat mvn.log; exit 2; }
mkdir registry
tar -xzf apicurio-registry-app-3.0.9-all.tar.gz -C registry
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
api=http://127.0.0.1:$port/apis/ccompat/v7
java -Xmx512m -Dquarkus.http.host=127.0.0.1 -Dquarkus.http.port="$port" -Dquarkus.management.enabled=false -jar "$(echo registry/*-runner.jar)" >server.log 2>&1 & server=$!
for _ in $(seq 180); do curl -sf -o /dev/null "$api/subjects" && break; sleep 1; done
register() # WHAT SCHEMA [QUERY]
{
  local id
  id=$(python3 -c 'import json, sys; print(json.dumps({"schema": sys.argv[1]}))' "$2" | curl -sf -H 'Content-Type: application/vnd.schemaregistry.v1+json' -d @- \
    "$api/subjects/status-value/versions${3:-}" | python3 -c 'import json, sys; print(json.load(sys.stdin)["id"])')
  echo "$1: $id"
}
compact='{"type":"record","name":"Status","fields":[{"name":"state","type":"string"}]}'
blanks='{"type": "record", "name": "Status", "fields": [{"name": "state", "type": "string"}]}'
turned='{"name":"Status","type":"record","fields":[{"type":"string","name":"state"}]}'
doc='{"type":"record","name":"Status","doc":"of a job","fields":[{"name":"state","type":"string"}]}'
{
  register "compact" "$compact"
  register "compact again" "$compact"
  register "with blanks" "$blanks"
  register "attributes in another order" "$turned"
  register "with a doc" "$doc"
  register "attributes in another order, normalize" "$turned" '?normalize=true'
  echo "versions: $(curl -sf "$api/subjects/status-value/versions")"
} | tee seen
diff - seen <<'SEEN' >/dev/null || { echo "it behaves otherwise now"; exit 1; }
compact: 1
compact again: 1
with blanks: 2
attributes in another order: 3
with a doc: 4
attributes in another order, normalize: 4
versions: [1,2,3,4]
SEEN
