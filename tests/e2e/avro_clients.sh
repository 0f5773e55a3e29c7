#!/bin/bash
# The programs of examples/avro, built and run by the commands of docs/avro.md: jobs from Python, Java, Go and JavaScript.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
: "${SHOAL_TEST_KAFKA:?is HOST:PORT of a broker for tests, as deploy/kafka/dev.sh start brings up}"
. "$E2E_LIB/../../deploy/go.sh"
use_images busybox
make_files in 4
root=$(cd "$E2E_LIB/../.." && pwd)

# The commands of SECTION in docs/avro.md, with the example's arguments in place of the names.
commands_of () { # SECTION
  sed -n "/^## $1\$/,/^## /s/^    //p" "$root/docs/avro.md"
}
# In a copy of the example, made once a machine and version of it.
build () { # SECTION FOLDER
  local home
  home=$E2E_CACHE/avro-$2-$(cat "$root/examples/avro/$2/"* | sha256sum | cut -c1-16)
  (
    flock 9
    [ ! -d "$home" ] || exit 0
    rm -rf "$home.part"
    cp -r "$root/examples/avro/$2" "$home.part"
    cd "$home.part"
    # Python's libraries are those of the tests' own environment, in the versions of the page.
    [ "$2" = python ] || eval "$(commands_of "$1" | head -n 1)"
    mv -T "$home.part" "$home"
  ) 9>"$E2E_CACHE/avro-$2.lock" >build.log 2>&1 || { tail -n 50 build.log; return 1; }
  folder=$home
}
run () { # SECTION ID
  local brokers=$SHOAL_TEST_KAFKA command
  command=$(commands_of "$1" | tail -n 1)
  command=${command/python /$E2E_PYTHON }
  command=${command/SCHEMAS/$root/schemas}
  command=${command/BROKERS/$brokers}
  command=${command/PREFIX/$prefix}
  command=${command/ ID/ $2}
  command=${command/INPUT/$PWD/in}
  command=${command/RESULTS/$PWD/$2}
  (cd "$folder" && eval "timeout $E2E_SECONDS $command")
}

expect_true "Go is there" use_go
expect_same "Python's libraries are those of the page" "$(commands_of Python | head -n 1)" \
  "pip install confluent-kafka==$("$E2E_PYTHON" -c 'from importlib.metadata import version as v; print(v("confluent-kafka"), "fastavro==" + v("fastavro"))')"
prefix=avro-$$-$RANDOM
export SHOAL_BUS=kafka://$SHOAL_TEST_KAFKA/$prefix
expect_exit 0 "topics" "$SHOAL" topics create --partitions 4
for part in producer worker merger; do start_service $part $part; done
for language in Python Java Go JavaScript; do
  id=${language,,}
  expect_true "$language: built" build "$language" "$id"
  expect_exit 0 "$language: a job is sent twice and followed" run "$language" "$id"
  expect_same "$language: to its end" "SUCCEEDED 2" "$(tail -n 1 "$E2E_WORK/out")"
  expect_same "$language: with its output" "1 2 3 4" "$(paste -sd ' ' "$id/stdout")"
done
expect_exit 0 "the jobs" "$SHOAL" list --json
expect_same "are four" 4 "$(wc -l <"$E2E_WORK/out")"
expect_exit 0 "dead letters" "$SHOAL" dead list
expect_same "there are none" "" "$(tail -n +2 "$E2E_WORK/out")"
