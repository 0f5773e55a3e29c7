#!/bin/bash
# shoal image: import from every kind of source, list, remove; what a bad one gets.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
own_store busybox
make_files in 2
try () { "$SHOAL" run -q -v in:/in -o o:/out --results "r$RANDOM$RANDOM" "$1" sh -c 'cp /in/* /out'; }

expect_exit 0 "an empty store's list" "$SHOAL" image list
expect_same "… is empty" "" "$(cat "$E2E_WORK/out")"
expect_exit 0 "import of an OCI layout" "$SHOAL" image import "$layout" --as one
expect_exit 0 "… runs" try one
tar -C "$layout" -cf oci.tar .
expect_exit 0 "import of an OCI archive" "$SHOAL" image import oci.tar --as two:v1
expect_exit 0 "… runs by name and tag" try two:v1
expect_exit 2 "… not by another tag" try two
expect_stderr "two.*shoal image pull two.*shoal image import"
expect_true "a Docker archive is made" skopeo copy -q "oci:$layout" docker-archive:docker.tar:some:latest
expect_exit 0 "import of a Docker archive" "$SHOAL" image import --as three docker.tar
expect_exit 0 "… runs" try three
expect_exit 0 "list" "$SHOAL" image list
expect_same "… by name" "one:latest three:latest two:v1" "$(cut -f1 "$E2E_WORK/out" | paste -sd ' ')"
expect_exit 0 "list --json" "$SHOAL" image list --json
expect_stdout '"name":"two:v1","digest":"sha256:[0-9a-f]{64}","id":"sha256:[0-9a-f]{64}","bytes":[0-9]+'
expect_exit 0 "remove" "$SHOAL" image remove two:v1
expect_exit 0 "… leaves the others" try one
expect_exit 2 "remove of what isn't there" "$SHOAL" image remove two:v1
expect_stderr "two:v1"

expect_exit 2 "import without a name" "$SHOAL" image import "$layout"
expect_stderr "missing name: .*--as NAME"
expect_exit 2 "import of nothing" "$SHOAL" image import nosuch --as x
expect_stderr "nosuch"
echo "not an image" >text
expect_exit 2 "import of what is no image" "$SHOAL" image import text --as x
expect_stderr "text"
expect_exit 2 "an unknown action" "$SHOAL" image eat x
expect_stderr "expected import, pull, list, remove or prune"
expect_exit 2 "list of too much" "$SHOAL" image list x
