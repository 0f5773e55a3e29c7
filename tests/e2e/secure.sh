#!/bin/bash
# Brokers that want a password or a certificate: the whole way of a job over SASL_SSL (PLAIN, SCRAM) and mTLS, on Kafka 4 and 3.9;
# what is said when something about it is wrong; and that no password is anywhere but in its file.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
dev=$E2E_LIB/../../deploy/kafka/dev.sh
pids=()
at_end '[ ${#pids[@]} -eq 0 ] || kill -9 "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null
  for folder in "$E2E_WORK"/kafka-*; do bash "$dev" clean --dir "$folder" >/dev/null 2>&1 || true; done'
make_files in 12
library=$(python3 -c 'import ctypes; print("%08x" % ctypes.CDLL("librdkafka.so.1").rd_kafka_version())')

# Two clusters, in files to source: four, three.
start_cluster () { # NAME VERSION
  KAFKA_VERSION=$2 bash "$dev" start --sasl --dir "$E2E_WORK/kafka-$1" >"$1.exports" 2>"$1.said" || { cat "$1.said"; return 1; }
}
start_cluster three 3.9.2 &
other=$!
start_cluster four 4.4.0
wait $other
use_cluster () { # NAME
  cluster=$E2E_WORK/kafka-$1
  . "./$1.exports"
  password=$(<"$cluster/password")
}

# ---- the whole way
job=(-v "$PWD/in:/in" -o res:/out --glob '*.txt' --batch-size 2 --runtime process x sh -c 'cp in/* out/; echo $SHOAL_SHARD_INDEX; env >&2')
"$SHOAL" run --results reference "${job[@]}" 2>/dev/null
start_parts () { # NAME
  local name
  for name in producer worker merger; do
    SHOAL_LOG=debug "$SHOAL" $name -X debug=security,conf,protocol >"$1.$name.out" 2>"$1.$name.err" &
    pids+=($!)
  done
}
stop_parts () {
  local pid
  kill "${pids[@]}"
  for pid in "${pids[@]}"; do expect_end 0 "SIGTERM ends it" "$pid"; done
  pids=()
}
round_trip () { # NAME
  expect_exit 0 "$1: topics" "$SHOAL" topics create --partitions 4
  start_parts "$1"
  expect_exit 0 "$1: submit" "$SHOAL" submit --id "$1" --results "$1" "${job[@]}"
  expect_exit 0 "$1: watch" "$SHOAL" watch "$1"
  expect_true "$1: the same files as on one machine" diff -r reference/outputs "$1/outputs"
  expect_true "$1: the same stdout" cmp reference/stdout "$1/stdout"
  ps -eww -o args >"$1.ps"
  expect_same "$1: all three are in the list of processes" 3 "$(grep -c "^$SHOAL .*-X debug=" "$1.ps")"
  stop_parts
}

use_cluster four
export SHOAL_BUS SHOAL_KAFKA_CONFIG
round_trip plain
plain_bus=$SHOAL_BUS mtls_bus=$SHOAL_BUS_MTLS plaintext=$(cut -d' ' -f1 "$cluster/ports")
SHOAL_BUS=$mtls_bus/certified SHOAL_KAFKA_CONFIG=$cluster/client-mtls.properties
round_trip mtls
SHOAL_BUS=$plain_bus

# ---- what is wrong is said in a line: the address, what, and what to do
config () { # SED-SCRIPT [FILE]: a changed copy of a client's file
  sed -E "$1" "$cluster/client-${2:-plain}.properties" >changed
  export SHOAL_KAFKA_CONFIG=$PWD/changed
}
refused () { # WHAT CODE ADDRESS REGEX
  expect_exit "$2" "$1" "$SHOAL" list --bus "$3" --connect-timeout 5s
  expect_one_line
  expect_stderr "$4"
  cat "$E2E_WORK/out" "$E2E_WORK/err" >>said
}
config 's/^(sasl.password)=.*/\1=not-the-pass-word/'
refused "a wrong password" 3 "$plain_bus" "^shoal: $plain_bus: .*SASL.*sasl.username or sasl.password is wrong"
expect_exit 3 "for topics as well" "$SHOAL" topics create --connect-timeout 5s
expect_stderr "$plain_bus: .*sasl.username or sasl.password is wrong"
cat "$E2E_WORK/out" "$E2E_WORK/err" >>said
SHOAL_LOG=debug "$SHOAL" worker -X debug=security,conf >wrong.out 2>wrong.err &
pids+=($!)
wait_for "a worker says it, too" grep -q 'level=warn event=kafka_unavailable .*sasl.username or sasl.password is wrong' wrong.err
expect_true "and goes on" kill -0 "${pids[@]}"
stop_parts

config '/^ssl.ca/d'
refused "no authority" 3 "$plain_bus" "^shoal: $plain_bus: .*certificate verify failed.*ssl.ca.location must be"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=other -keyout other.key -out other.pem 2>/dev/null
config "s|^(ssl.ca.location)=.*|\1=$PWD/other.pem|"
refused "another authority" 3 "$plain_bus" "^shoal: $plain_bus: .*certificate verify failed.*ssl.ca.location must be"
config "s|^(ssl.ca.location)=.*|\1=$PWD/nowhere.pem|"
refused "an authority that isn't there" 2 "$plain_bus" "ssl.ca.location .*$PWD/nowhere.pem: No such file"
config "s|^(ssl.ca.location)=.*|\1=$PWD/in/f001.txt|"
refused "an authority that is none" 2 "$plain_bus" "$plain_bus: ssl.ca.location failed"

config '/^ssl.(certificate|key)/d' mtls
refused "no certificate of one's own" 3 "$mtls_bus" "^shoal: $mtls_bus: .*alert.*ssl.certificate.location and ssl.key.location"
config "s|^(ssl.certificate.location)=.*|\1=$PWD/other.pem|; s|^(ssl.key.location)=.*|\1=$PWD/other.key|" mtls
refused "a stranger's certificate" 3 "$mtls_bus" "^shoal: $mtls_bus: .*(alert|Disconnected).*certificate"

SHOAL_KAFKA_CONFIG=
refused "plaintext to TLS" 3 "$plain_bus" "^shoal: $plain_bus: .*if this port expects TLS: security.protocol="
config ''
refused "TLS to plaintext" 3 "kafka://127.0.0.1:$plaintext" "127.0.0.1:$plaintext.*if this port doesn't expect TLS: security.protocol="
config '/^sasl/d; s/SASL_SSL/SSL/'
refused "no password" 3 "$plain_bus" "^shoal: $plain_bus: .*if this port expects a password: security.protocol="

# ---- the file itself
printf '# none\n\nsecurity.protocol=SSL\nhush-hush\n' >changed
refused "a line that is none" 2 "$plain_bus" "$PWD/changed: line 4 is not NAME=VALUE"
echo 'sasl.pasword=hush-hush' >changed
refused "a property that isn't one" 2 "$plain_bus" 'sasl.pasword .*SHOAL_KAFKA_CONFIG.*No such configuration property'
SHOAL_KAFKA_CONFIG=$PWD/nothing refused "no such file" 2 "$plain_bus" "SHOAL_KAFKA_CONFIG: $PWD/nothing: No such file"
: >changed
refused "an empty file is no error" 3 "$plain_bus" 'if this port expects TLS'

# ---- SCRAM: Kafka 4 refuses the one of librdkafka before 2.6.1, Kafka 3.9 takes it
if [[ $library < 020601ff ]]; then
  config '' scram
  refused "SCRAM with Kafka 4" 3 "$plain_bus" "^shoal: $plain_bus: .*SCRAM-SHA-512.*librdkafka before 2.6.1 can't.*SASL/PLAIN over TLS and mTLS work"
else
  SHOAL_BUS=$plain_bus/scram SHOAL_KAFKA_CONFIG=$cluster/client-scram.properties
  round_trip scram-new
fi
passwords=$password
use_cluster three
SHOAL_KAFKA_CONFIG=$cluster/client-scram.properties
round_trip scram
passwords+=$'\n'$password

# ---- no password but in its file
hush () { grep -rlF -e not-the-pass-word -e hush-hush -f <(echo "$passwords") "$@"; }
expect_same "the search finds what is there" 2 "$(hush "$E2E_WORK"/kafka-*/client-plain.properties | wc -l)"
expect_true "the logs are of librdkafka as well" grep -q 'event=librdkafka .*sasl' plain.worker.err
rm changed
expect_same "but in no log, output, result or list of processes" "" "$(hush .)"
