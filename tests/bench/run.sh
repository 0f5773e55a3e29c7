#!/bin/bash
# Compares shoal with the bare tools and prints a table of ratios: run.sh SHOAL BENCH_SLICING [slicing|overhead|assembly|photographs|storage …]
# Each contestant runs in turn with the others, figures are medians; below 1 shoal is the faster one. As root, on an idle machine; half an hour.
set -euo pipefail
here=$(dirname "$(realpath "$0")")
shoal=$(realpath "$1")
slicer=$(realpath "$2")
shift 2
[ $# -gt 0 ] || set -- slicing overhead assembly photographs storage
"$here/../../tools/install.sh" run image photos bench storage peers

echo "Machine: $(nproc) cores ($(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -1)), $(free -g | awk '/^Mem/ {print $2}') GiB," \
  "Linux $(uname -r), $(findmnt -no FSTYPE -T "${TMPDIR:-/tmp}"), $(crun --version | head -1)"
echo
echo "| what | shoal | against | ratio |"
echo "|---|---|---|---|"
for bench in "$@"; do
  if [ "$bench" = slicing ]; then
    /usr/bin/python3 -B "$here/slicing.py" "$shoal" "$slicer"
  else
    /usr/bin/python3 -B "$here/$bench.py" "$shoal"
  fi
done
