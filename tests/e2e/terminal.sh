#!/bin/bash
# No command and no service lets a stranger's bytes speak to a terminal: names, paths, images, reasons, logs, on a terminal and in a pipe.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
use_images busybox
python3 -B "$E2E_LIB/terminal.py" "$SHOAL" >"$E2E_WORK/said" 2>&1 </dev/null && code=0 || code=$?
while IFS= read -r line; do
  case $line in
  "ok "*) ok "${line#ok }" ;;
  "FAIL "*) fail "${line#FAIL }" ;;
  *) echo "     $line" ;;
  esac
done <"$E2E_WORK/said"
expect_same "the walk ends" 0 "$code"
