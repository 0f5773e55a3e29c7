#!/bin/bash
# systemd: the units are right, the producer's and the merger's rated below 3; services say READY, STATUS, WATCHDOG and STOPPING, and what they start doesn't.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
units=$E2E_LIB/../../deploy/systemd
at_end e2e_kill_services

# ---- the units
mkdir units
for unit in "$units"/*.service; do sed "s|/usr/bin/shoal|$SHOAL|" "$unit" >"units/$(basename "$unit")"; done
mv units/shoal-worker@.service units/shoal-worker@gpu.service
for unit in producer merger worker@gpu; do
  expect_exit 0 "shoal-$unit.service is one" systemd-analyze verify --man=no "./units/shoal-$unit.service"
  expect_same "without a remark" "" "$(grep "shoal-$unit" "$E2E_WORK/err" || true)"
done
for unit in producer merger; do
  expect_exit 0 "shoal-$unit.service is rated below 3" systemd-analyze security --offline=true --threshold=29 "./units/shoal-$unit.service"
done
expect_same "openat2 is allowed" "" "$(grep -l "^RestrictSUIDSGID" "$units"/*.service || true)"
expect_true "SIGTERM goes to the worker alone" grep -q '^KillMode=mixed' "$units/shoal-worker@.service"
# The grace that the worker knows is the one that it has.
expect_same "one grace" "$(sed -n 's/.*SHOAL_STOP_GRACE=\([0-9]*\)s.*/\1/p' "$units/shoal-worker@.service")" "$(sed -n 's/^TimeoutStopSec=//p' "$units/shoal-worker@.service")"
mkdir -p root/etc root/usr/lib/sysusers.d root/usr/lib/tmpfiles.d
cp "$units/shoal.sysusers" root/usr/lib/sysusers.d/shoal.conf
cp "$units/shoal.tmpfiles" root/usr/lib/tmpfiles.d/shoal.conf
expect_exit 0 "the user is made" systemd-sysusers --root="$PWD/root"
expect_exit 0 "and the folders" systemd-tmpfiles --root="$PWD/root" --create shoal.conf
expect_same "of that user" "$(sed -n 's/^shoal:[^:]*:\([0-9]*\):.*/\1/p' root/etc/passwd)" "$(stat -c %u root/srv/shoal)"

# ---- the protocol, with a socket as systemd has one
listen () { # ADDRESS FILE: what is sent there, one datagram a line
  python3 -c '
import socket, sys
address = sys.argv[1]
peer = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
peer.bind("\0" + address[1:] if address[0] == "@" else address)
print("listens", flush=True)
while True:
    print(peer.recv(4096).decode().replace("\n", " "), flush=True)' "$1" >"$2" &
  pids+=($!)
  wait_for "a socket" grep -q listens "$2"
}
said () { grep -qE -- "$2" "$1"; } # FILE REGEX
export SHOAL_BUS=sqlite:$PWD/bus.db
listen "$PWD/notify" told
NOTIFY_SOCKET=$PWD/notify WATCHDOG_USEC=300000 start_service producer producer
wait_for "a producer is ready" said told '^READY=1 STATUS=ready$'
wait_for "and lives" eval '[ "$(grep -c "^WATCHDOG=1$" told)" -ge 3 ]'
expect_true "it says nothing of stopping" eval '! said told STOPPING'
kill $last
expect_end 0 "SIGTERM ends it" $last
expect_same "as it says, once" 1 "$(grep -c '^STOPPING=1 ' told)"
expect_same "it was ready once" 1 "$(grep -c READY=1 told)"

listen "@shoal-$$" abstract
NOTIFY_SOCKET=@shoal-$$ WATCHDOG_USEC=300000 WATCHDOG_PID=1 start_service worker worker --jobs 1
wait_for "a worker is ready" said abstract '^READY=1 '
expect_true "a watchdog of another process isn't its" eval '! said abstract WATCHDOG'
children () { pgrep -P $last >children; }
wait_for "its slot" children
expect_same "what it starts can't speak for it" "" "$(xargs -a children -I{} cat /proc/{}/environ | tr '\0' '\n' | grep -E '^(NOTIFY|WATCHDOG)' || true)"

listen "$PWD/nobody" away
NOTIFY_SOCKET=$PWD/nobody start_service merger merger --bus kafka://127.0.0.1:1/x
wait_for "without a bus it says why it isn't" said away '^STATUS=.*bus'
expect_true "ready" eval '! said away READY'
kill $last
expect_end 0 "it ends all the same" $last
expect_true "saying so" said away '^STOPPING=1'
NOTIFY_SOCKET=nowhere expect_exit 2 "an address that is none" "$SHOAL" merger
expect_stderr 'NOTIFY_SOCKET: "nowhere" is no address of a socket'
