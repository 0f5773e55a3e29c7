#!/bin/bash
# What one job may take: bytes and files of output, time for staging and collecting, and what a limit of the shell's does.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
use_images busybox
make_files in 2

job () { "$SHOAL" run -v in:/in -o res:/out --glob '*.txt' --retries 0 --backoff 20ms "$@"; }

# ---- ulimit -f: an error, not a signal
(ulimit -f 4096 && job --results big --log-limit 64m busybox sh -c 'head -c 8000000 /dev/zero') >"$E2E_WORK/out" 2>"$E2E_WORK/err" || true
expect_stderr "File too large"
expect_true "no part was killed" sh -c "! grep -q 'signal 25' '$E2E_WORK/err'"
(ulimit -f 4096 && job --results sig busybox grep SigIgn /proc/self/status) >"$E2E_WORK/out" 2>"$E2E_WORK/err" || true
expect_true "a container has the default" test $((0x$(sed -n 's/^SigIgn:[[:space:]]*//p' sig/stdout | head -1) & 1 << 24)) -eq 0
