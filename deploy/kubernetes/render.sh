#!/bin/bash
# render.sh [--check] [VALUES]: the chart as plain manifests, plain/shoal.yaml and keda/scaling.yaml, with the values of VALUES (default: values.yaml beside this).
# --check: says whether they are what the chart gives now, and changes nothing. Their first line has the digest of what they were made of.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$HERE/../go.sh"
. "$HERE/programs.sh"
say () { echo "render.sh: $*" >&2; }
die () { say "$*"; exit 1; }
chart=$HERE/../helm/shoal
check=
[ "${1-}" != --check ] || { check=1; shift; }
values=$(realpath "${1:-$HERE/values.yaml}")
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT

render () { # OPTION…
  echo "# Rendered by render.sh from the chart and values of $("$HERE/chart_digest.sh" "$values"): change those."
  # Helm's own labels and hooks mean nothing here.
  "$(home_of helm)/helm" template shoal "$chart" --namespace shoal --skip-tests --values "$values" "$@" \
    | awk '/^# Source: / || /helm\.sh\// || /managed-by: Helm/ || /^ *$/ { next }
           held { if (/^    /) print held; held = "" }
           /^  annotations:$/ { held = $0; next }
           { print }'
}
make_programs helm
# With KEDA's ScaledObjects the Deployments have no `replicas:`; without KEDA they have.
render --set keda.enabled=false >"$made/shoal.yaml"
render --show-only templates/scaling.yaml >"$made/scaling.yaml"
if [ -n "$check" ]; then
  diff -u "$HERE/plain/shoal.yaml" "$made/shoal.yaml" && diff -u "$HERE/keda/scaling.yaml" "$made/scaling.yaml" || die "the manifests aren't the chart's: render.sh"
else
  cp "$made/shoal.yaml" "$HERE/plain/shoal.yaml"
  cp "$made/scaling.yaml" "$HERE/keda/scaling.yaml"
fi
