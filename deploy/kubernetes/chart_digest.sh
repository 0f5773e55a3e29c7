#!/bin/bash
# chart_digest.sh [VALUES]: the digest of the chart's templates and of VALUES, to tell without helm whether what was rendered is old.
set -euo pipefail
export LC_ALL=C
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$HERE/../helm/shoal"
{
  find . -type f ! -name README.md | sort | while read -r file; do sha256sum "$file"; done
  sha256sum <"${1:-$HERE/values.yaml}"
} | sha256sum | cut -c 1-32
