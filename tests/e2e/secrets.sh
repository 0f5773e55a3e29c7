#!/bin/bash
# What a worker knows and a container must not: credentials, keys, tokens and passwords of its environment, and their files. Each runtime; the container
# looks through its environment, all of /proc and every file that it can open.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
use_images busybox
make_files in 2
umask 077
n=0
while read -r name; do
  n=$((n + 1))
  export "$name=hush-$n"
done <<'NAMES'
AWS_ACCESS_KEY_ID
AWS_SECRET_ACCESS_KEY
AWS_SESSION_TOKEN
AWS_CONTAINER_AUTHORIZATION_TOKEN
SHOAL_TOKEN
SHOAL_WEBHOOK_SECRET
SHOAL_SCHEMA_REGISTRY_USER
SHOAL_SCHEMA_REGISTRY_PASSWORD
KAFKA_PASSWORD
SOMEBODYS_PASSWORD
NAMES
mkdir -p creds home/.aws
printf '[default]\naws_access_key_id=hush-file\naws_secret_access_key=hush-file\n' | tee creds/name >home/.aws/credentials
echo "sasl.password=hush-file" >kafka.properties
openssl rand -hex 20 | sed 's/^/hush-file-/' >job.key
export AWS_SHARED_CREDENTIALS_FILE=$PWD/home/.aws/credentials SHOAL_KAFKA_CONFIG=$PWD/kafka.properties SHOAL_JOB_KEY=$PWD/job.key \
  SHOAL_CREDENTIALS_DIR=$PWD/creds http_proxy=http://me:hush-proxy@127.0.0.1:1 https_proxy=http://me:hush-proxy@127.0.0.1:1 \
  HTTPS_PROXY=http://me:hush-proxy@127.0.0.1:1 ALL_PROXY=socks5://me:hush-proxy@127.0.0.1:1 no_proxy=127.0.0.1
expect_true "the environment has it" eval '[ "$(env | grep -c hush-)" -ge 14 ]'

# The search itself isn't to be found by itself: its pattern is a class.
look='env; cat /proc/self/environ /proc/1/environ 2>/dev/null; for p in /proc/[0-9]*; do cat $p/environ $p/cmdline 2>/dev/null; done
  for f in /proc/self/fd/*; do readlink $f; done; echo looked
  find / -path /proc -prune -o -path /sys -prune -o -type f -print 2>/dev/null | while read -r f; do
    case $f in */hidden*) ;; *) grep -l "hush[-]" "$f" 2>/dev/null && grep -h "hush[-]" "$f" ;; esac
  done; echo searched'
conceals () { # WHAT OPTION…
  local what=$1
  shift
  expect_exit 0 "$what: runs" "$SHOAL" run -q --results "$what" -v "$PWD/in:/in" -o res:/out "$@" busybox sh -c "$look"
  expect_true "$what: looked through it all" grep -q '^searched' "$what/stdout"
  expect_true "$what: sees an environment" grep -q '^SHOAL_JOB_ID=' "$what/stdout"
  expect_same "$what: but not the worker's" "" "$(tr '\0' '\n' <"$what/stdout" | grep -a 'hush-' | sort -u | paste -sd ' ')"
  expect_same "$what: nor a name of its" "" \
    "$(tr '\0' '\n' <"$what/stdout" | grep -aE '^(AWS_|KAFKA|SOMEBODYS|[a-zA-Z]+_(proxy|PROXY)=|SHOAL_(TOKEN|WEBHOOK|SCHEMA|KAFKA|JOB_KEY|CREDENTIALS))' | sort -u | paste -sd ' ')"
}
for runtime in crun runc; do
  conceals $runtime --oci-runtime $runtime
  conceals $runtime-user --oci-runtime $runtime --user 65534
  conceals $runtime-host --oci-runtime $runtime --network host
done

# Without a container the command is a process of the worker's user, and what that may read it may: here it is the environment alone.
expect_exit 0 "process: runs" "$SHOAL" run -q --results process -v "$PWD/in:/in" --runtime process x sh -c 'env; cat /proc/self/environ'
expect_same "process: its environment hasn't got it" "" "$(tr '\0' '\n' <process/stdout | grep -a 'hush-' | sort -u | paste -sd ' ')"
expect_true "process: it has got one" grep -q '^SHOAL_JOB_ID=' process/stdout

# What a job asks for by name comes from who submits it, not from who runs it.
expect_exit 0 "a name that is asked for" "$SHOAL" run -q --results asked -v "$PWD/in:/in" -e SOMEBODYS_PASSWORD busybox env
expect_true "is given" grep -q '^SOMEBODYS_PASSWORD=hush-' asked/stdout
expect_true "but stands in no report" eval '! grep -rl hush- asked/manifest.json asked/report.html'
