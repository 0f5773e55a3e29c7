#!/bin/bash
# The Debian package of a build: clean for lintian, twice the same. In a Debian whose process 1 is systemd it is installed, its services run a job, it is installed
# again while one runs, removed and purged. 5 minutes on a busy machine.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
build=$(dirname "$SHOAL")
source=$(realpath "$E2E_LIB/../..")
outside=
at_end '[ -z "$outside" ] || kill -9 "$outside" 2>/dev/null || true'

mkdir one two
for turn in one two; do
  expect_exit 0 "a package" env -C $turn SOURCE_DATE_EPOCH=1000000000 cpack -G DEB --config "$build/CPackConfig.cmake"
done
deb=$(cd one && ls shoal_*.deb)
expect_same "twice the same" "$(sha256sum <"one/$deb")" "$(sha256sum <"two/$deb")"
expect_exit 0 "lintian" lintian --allow-root --fail-on error,warning "one/$deb"
expect_same "has nothing to say" "" "$(<"$E2E_WORK/out")"

# ---- a Debian of its own
bash "$source/deploy/images/busybox.sh" "$PWD/busybox" >/dev/null
expect_exit 0 "a Debian with the package" mmdebstrap --quiet --variant=minbase --include=systemd,dbus,crun,umoci bookworm root \
  --customize-hook="copy-in one/$deb /root" --customize-hook="chroot \"\$1\" apt-get install -y -qq --no-install-recommends /root/$deb"
cp -r busybox root/root/busybox
unshare --pid --mount --uts --ipc --cgroup --net --fork --kill-child bash "$source/tests/long/boot.sh" "$PWD/root" >boot.log 2>&1 </dev/null &
outside=$!
init_is_there () { init=$(pgrep -P $outside); }
wait_for "process 1" init_is_there
inside () { timeout 120 nsenter -t "$init" -a -r -w env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root "$@" </dev/null; }
state_is () { [ "$(inside systemctl is-system-running 2>/dev/null || true)" = "$1" ]; }
wait_for "systemd" state_is running
expect_same "nothing was started" "looked" "$(inside sh -c "systemctl list-units --no-legend 'shoal-*' && echo looked")"
expect_same "the user's folder" "shoal shoal" "$(inside stat -c '%U %G' /srv/shoal)"
expect_same "the settings are closed to others" "root shoal 640" "$(inside stat -c '%U %G %a' /etc/shoal/shoal.env)"

# ---- the services run a job
inside sh -c 'printf "%s\n" SHOAL_BUS=sqlite:/srv/shoal/bus.db "SHOAL_PRODUCER_OPTIONS=$1" "SHOAL_MERGER_OPTIONS=$1" "SHOAL_WORKER_OPTIONS=$1" >>/etc/shoal/shoal.env' - \
  "--results-root /srv/shoal --volume-root /srv"
expect_exit 0 "producer and merger are started" inside systemctl start shoal-producer shoal-merger
expect_exit 0 "and a worker" inside systemctl start shoal-worker@default
expect_exit 0 "an image" inside env SHOAL_IMAGES=/var/lib/shoal-worker/images shoal image import /root/busybox --as busybox
inside sh -c 'mkdir /srv/in && for i in 1 2 3 4 5 6; do echo $i >/srv/in/$i.txt; done'
expect_exit 0 "a job" inside env SHOAL_BUS=sqlite:/srv/shoal/bus.db shoal submit --wait -q --id one -v /srv/in:/in --glob '*.txt' -o res:/out \
  --results /srv/shoal/one busybox sh -c 'cp /in/* /out/'
expect_same "its result" "123456" "$(inside sh -c 'cat /srv/shoal/one/outputs/res/*.txt' | tr -d '\n')"

# ---- installed again, removed, purged
pid_of () { inside systemctl show -p MainPID --value "$1"; }
before=$(pid_of shoal-worker@default)
expect_exit 0 "installed again" inside dpkg -i "/root/$deb"
expect_same "the worker goes on" "$before" "$(pid_of shoal-worker@default)"
expect_same "with the settings" 1 "$(inside grep -c '^SHOAL_BUS=' /etc/shoal/shoal.env)"
inside chmod 600 /etc/shoal/shoal.env
expect_exit 0 "and again" inside dpkg -i "/root/$deb"
expect_same "the administrator's stricter mode stays" "root shoal 600" "$(inside stat -c '%U %G %a' /etc/shoal/shoal.env)"
inside mv /etc/shoal/shoal.env /root/shoal.env
expect_exit 0 "without settings" inside dpkg -i "/root/$deb"
expect_true "they stay removed" inside test ! -e /etc/shoal/shoal.env
inside mv /root/shoal.env /etc/shoal/shoal.env
expect_exit 0 "removed" inside dpkg -r shoal
expect_same "no service runs" "looked" "$(inside sh -c "systemctl list-units --no-legend --state=active 'shoal-*' && echo looked")"
expect_same "each said goodbye" 3 "$(inside journalctl -b --no-pager -o cat | grep -c '^Stopped shoal-')"
expect_exit 0 "purged" inside dpkg -P shoal
expect_same "no settings, no state" "looked" "$(inside sh -c 'ls -d /etc/shoal /var/lib/shoal /var/lib/shoal-worker 2>/dev/null; echo looked')"
expect_same "the results stay" 6 "$(inside sh -c 'ls /srv/shoal/one/outputs/res | wc -l')"
