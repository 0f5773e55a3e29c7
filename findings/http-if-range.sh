#!/bin/bash
# Three servers of static files answer a range though If-Range names another version of the file.
#
# Behaviour: RFC 9110 §13.1.5: a range whose If-Range doesn't match the file's validator must be ignored, so that a client
# which goes on with a download gets the whole new file (200). These answer 206 with a piece of the new file, which a
# client appends to its piece of the old one: a file that never existed, of the right length. aiohttp knows dates in
# If-Range and takes an entity tag for no condition. Starlette, beside them, answers 200.
# Seen with: http-server 14.1.1, serve 14.2.7 (npm), aiohttp 3.9.5, starlette 0.41.3 (PyPI)
# Output seen:
#   http-server 14.1.1: 206, 5 bytes
#   serve 14.2.7: 206, 5 bytes
#   aiohttp 3.9.5: 206, 5 bytes
#   starlette 0.41.3: 200, 10 bytes
# What follows: resume by If-Match (412 or 200) where the server knows it, and hold the whole file against its length and
# checksum; a 206 behind If-Range proves nothing.
# Exits with 1 when a server behaves otherwise.
set -euo pipefail
work=$(mktemp -d)
pids=()
trap 'for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done; wait 2>/dev/null; rm -rf "$work"' EXIT
cd "$work"
mkdir files
printf 0123456789 >files/a.bin

npm install --silent --no-fund --no-audit http-server@14.1.1 serve@14.2.7 >npm.log 2>&1 || { cat npm.log >&2; exit 2; }
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check aiohttp==3.9.5 starlette==0.41.3 uvicorn==0.32.1

free_port () { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

await () { # PORT
  for _ in $(seq 100); do
    if curl -s -o /dev/null "http://127.0.0.1:$1/a.bin"; then return; fi
    sleep 0.1
  done
  echo "no server on port $1" >&2
  exit 2
}

wrong=0
check () { # NAME PORT STATUS BYTES
  local got
  await "$2"
  got=$(curl -s -o answer -w '%{http_code}' -H 'Range: bytes=5-9' -H 'If-Range: "another-version"' "http://127.0.0.1:$2/a.bin")
  echo "$1: $got, $(stat -c %s answer) bytes"
  [ "$got" = "$3" ] && [ "$(stat -c %s answer)" = "$4" ] || wrong=1
}

port=$(free_port)
node_modules/.bin/http-server files -a 127.0.0.1 -p "$port" -s 2>/dev/null & pids+=($!)
check "http-server 14.1.1" "$port" 206 5

port=$(free_port)
node_modules/.bin/serve --no-clipboard --no-port-switching -L -l "tcp://127.0.0.1:$port" files >/dev/null 2>&1 & pids+=($!)
check "serve 14.2.7" "$port" 206 5

port=$(free_port)
venv/bin/python - "$port" <<'PYTHON' & pids+=($!)
import sys
from aiohttp import web
app = web.Application()
app.router.add_static("/", "files")
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
PYTHON
check "aiohttp 3.9.5" "$port" 206 5

port=$(free_port)
venv/bin/python - "$port" <<'PYTHON' & pids+=($!)
import sys
import uvicorn
from starlette.applications import Starlette
from starlette.responses import FileResponse
from starlette.routing import Route

async def answer(request):
    return FileResponse("files/a.bin")

uvicorn.run(Starlette(routes=[Route("/a.bin", answer)]), host="127.0.0.1", port=int(sys.argv[1]), log_level="error")
PYTHON
check "starlette 0.41.3" "$port" 200 10
exit $wrong
