#!/bin/bash
# Command lines of docker's and Bacalhau's: options that need nothing here, --mount, --env-file; and bytes that a container can't be given.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
use_images busybox
make_files in 2

expect_exit 0 "docker run with docker's options" "$SHOAL" docker run --rm -it --name mine -l a=b --label=c=d -v in:/in -o out:/out \
  --results docker busybox cat /in/f001.txt
expect_same "… runs the command" 1 "$(cat docker/stdout)"
for option in rm tty interactive name label; do expect_stderr "^shoal: --$option has no effect: "; done
expect_exit 0 "and with Bacalhau's" "$SHOAL" docker run --wait --id-only --download --local --input-volumes in:/in --output-volumes out:/out \
  --sharding-glob-pattern '*.txt' --sharding-batch-size 1 --results bacalhau busybox sh -c 'cat /in/*'
expect_same "… runs the job" "1 2" "$(paste -sd' ' bacalhau/stdout)"
for option in wait id-only download local; do expect_stderr "^shoal: --$option has no effect: "; done
expect_exit 0 "-q says nothing of them" "$SHOAL" docker run -q --rm -v in:/in -o out:/out --results quiet busybox true
expect_same "… at all" "" "$(cat "$E2E_WORK/err")"
expect_exit 2 "run itself has none of them" "$SHOAL" run --rm -v in:/in -o out:/out --results r busybox true
expect_stderr 'unknown option --rm'

# ---- --mount
expect_exit 0 "--mount type=bind and type=tmpfs" "$SHOAL" run -q --mount type=bind,source=in,target=/in,readonly \
  --mount type=tmpfs,destination=/t,tmpfs-size=1m,tmpfs-mode=700 -o out:/out --results mounts busybox \
  sh -c 'cat /in/f002.txt; touch /in/x 2>/dev/null || echo closed; stat -c %a /t; df -k /t | tail -1 | sed "s/  */ /g" | cut -d" " -f2'
expect_same "… are an input and memory" "2 closed 700 1024" "$(paste -sd' ' mounts/stdout)"
refused () { # REGEX MOUNT
  expect_exit 2 "refused: $2" "$SHOAL" run --mount "$2" -o out:/out --results r busybox true
  expect_stderr "^shoal: --mount: .*$1"
}
refused "an output is -o NAME:PATH" type=bind,src=in,dst=/in,readonly=false
refused "expected type=bind or type=tmpfs" type=volume,src=in,dst=/in
refused "expected type=bind or type=tmpfs" src=in,dst=/in
refused "\"propagation\" isn't known|\"bind-propagation\" isn't known" type=bind,src=in,dst=/in,bind-propagation=shared
refused "target=PATH" type=bind,src=in
refused "source=SRC" type=bind,dst=/in
refused "said twice" type=bind,src=in,source=in,dst=/in
refused "source needs a value" type=bind,source,dst=/in
refused "needs type=tmpfs|need type=tmpfs" type=bind,src=in,dst=/in,tmpfs-size=1m

# ---- --env-file
printf '\xef\xbb\xbfFIRST=1\r\n# a comment\n  \n   INDENTED= two words \nQUOTED="q"\nEMPTY=\nFROM_US\nNOT_THERE\nLAST=a=b' >env
FROM_US=ours expect_exit 0 "a file of variables" "$SHOAL" run -q --env-file env -v in:/in -o out:/out --results env-r busybox \
  sh -c 'printf "%s|" "$FIRST" "$INDENTED" "$QUOTED" "${EMPTY-none}" "$FROM_US" "${NOT_THERE-none}" "$LAST"'
expect_same "… is read as docker reads it" '1| two words |"q"||ours|none|a=b|' "$(cat env-r/stdout)"
wrong () { # REGEX CONTENT
  printf "$2" >wrong
  expect_exit 2 "a file that is refused: $2" "$SHOAL" run --env-file wrong -v in:/in -o out:/out --results r busybox true
  expect_stderr "^shoal: --env-file: wrong: line $1"
}
wrong '2: a name can.t contain blanks: "export A"' 'A=1\nexport A=1\n'
wrong '1: a name can.t contain blanks' 'A B\n'
wrong '3: no name before "="' '\n\n=x\n'
wrong '2: not UTF-8' 'A=1\nB=\xff\n'
wrong '1: a NUL byte' 'A=1\0B\n'

# ---- bytes
bytes () { # OPTION ARG…
  local option=$1
  shift
  expect_exit 2 "what isn't UTF-8 is refused: $option" "$SHOAL" run -v in:/in -o out:/out --results r "$@"
  expect_stderr "^shoal: (--$option: )?.*isn't UTF-8, which --runtime oci needs"
}
bytes command busybox printf $'a\xff'
bytes entrypoint --entrypoint $'a\xff' busybox
bytes env -e $'A=\xff' busybox true
bytes workdir -w $'/a\xff' busybox true
bytes tmpfs --tmpfs $'/a\xff' busybox true
bytes output -o $'more:/a\xff' busybox true
bytes volume -v in:$'/a\xff' busybox true
expect_exit 0 "without a container bytes are bytes" "$SHOAL" run -q -v in:/in -o out:/out --results bytes --runtime process any printf $'a\xff'
expect_same "… all the way" "$(printf 'a\xff' | od -c)" "$(od -c <bytes/stdout)"
expect_true "nothing was made" bash -c '! compgen -G "r" && ! compgen -G "r.partial"'
