#!/bin/bash
# Other people's HTTP servers: what each lists comes whole, or is said to be left over; what changes meanwhile is noticed where the server tells.
# SHOAL_WEB_SERVERS: which ones; those that aren't installed are named, and fail the test unless it is told so (SHOAL_WEB_SERVERS_MISSING=ok).
. "$(dirname "$0")/../lib/e2e.sh" "$@"
. "$E2E_LIB/web_servers.sh"
servers=${SHOAL_WEB_SERVERS:-python nginx_html nginx_json nginx_xml apache_plain apache_fancy apache_table lighttpd lighttpd_types webfsd mini_httpd caddy rclone}

tree=$E2E_WORK/tree
mkdir -p "$tree/sub/deep" "$tree/empty" "$tree/sp ace" "$tree/été" "$tree/only/folders" "$tree/12:31" "$tree/pins"
plainly () { printf '%s\n' "$1" >"$tree/$1"; }
for file in a.txt 12:30:00.jpg colon:name.txt "q&a <x> 'y' \"z\".txt" '100% #1?.txt' '100%41;+,=@~.txt' '*.txt' ' blank .txt' ümläut.txt 日本.txt page.html README; do plainly "$file"; done
plainly sub/b.txt; plainly sub/deep/c.txt; plainly 'sp ace/d e.txt'; plainly été/ü.txt; plainly only/folders/f; plainly 12:31/g.txt
: >"$tree/void.txt"
head -c 300000 /dev/urandom >"$tree/big.bin"
find "$tree" -type f -exec touch -d '2026-11-29 18:30:25' {} +
chmod -R a+rX "$tree" "$E2E_WORK"
(cd "$tree" && find . -type f | cut -c3- | sort) >all

# What a server can't say right: its links don't say the name, and are left over; the number is in what plan says.
left_over () { # SERVER
  case $1 in
    webfsd) echo 'colon:name.txt' ;;
    serve14) printf '%s\n' '100% #1?.txt' ;;
  esac
}
# The file comes, but by another name.
misnamed () { # SERVER
  case $1 in
    serve14) printf '%s\n' '100%41;+,=@~.txt' ;;
  esac
}

copy_all='cd /in && find . -type f | while IFS= read -r f; do mkdir -p "/out/$(dirname "$f")" && cp "$f" "/out/$f"; done'
use_images busybox
take () { "$SHOAL" run "$@" -o res:/out --batch-size 100 --retries 0 busybox sh -c "$copy_all"; }

check_server () { # NAME
  local name=$1 missing count
  missing=$(left_over "$name"; misnamed "$name")
  grep -vxF -e "${missing:-//}" all >expected
  echo "--- $name"
  expect_exit 0 "$name: a plan" "$SHOAL" plan -v "$url:/in" -o res:/out --glob '**/*' busybox true
  cat "$E2E_WORK/out" "$E2E_WORK/err" >said
  count=$(left_over "$name" | wc -l)
  if [ "$count" -gt 0 ]; then
    expect_true "$name: $count left over, and told" grep -qE "$count links? of folders' pages to nothing in them" said
  else
    expect_true "$name: nothing left over" bash -c '! grep -q "folders. pages" said'
  fi
  expect_exit 0 "$name: all of it" take -v "$url:/in" --glob '**/*' --exclude '100*' --results "$name"
  grep -v '^100' expected >wanted
  (cd "$name/outputs/res" && find . -type f | cut -c3- | sort) >got
  expect_same "$name: every name" "$(<wanted)" "$(<got)"
  expect_true "$name: every byte" bash -c 'cd "$1" && while IFS= read -r f; do cmp "$f" "$2/$f" || exit 1; done <../../../got' - "$name/outputs/res" "$tree"
  expect_exit 0 "$name: by size" "$SHOAL" plan -v "$url:/in" -o res:/out --glob '**/*.???' --exclude '100*' --batch-bytes 200k --json busybox true
  expect_same "$name: … has every size" "$(cd "$tree" && grep -E '\....$' "$OLDPWD/wanted" | xargs -d '\n' stat -c %s | paste -sd+ | bc)" "$(json bytes <"$E2E_WORK/out")"
  expect_exit 0 "$name: an empty file" "$SHOAL" plan -v "${url}void.txt:/in" -o res:/out --glob '*' --batch-bytes 200k --json busybox true
  expect_same "$name: … is one" 0 "$(json bytes <"$E2E_WORK/out")"
  if [ "$name" = rclone ]; then # it has no such redirect
    expect_exit 2 "$name: a folder without its slash" "$SHOAL" plan -v "${url}sub:/in" -o res:/out --glob '**/*' busybox true
    expect_stderr 'sub: HTTP 404'
    return
  fi
  expect_exit 0 "$name: a folder without its slash" "$SHOAL" plan --atoms -v "${url}sub:/in" -o res:/out --glob '**/*' busybox true
  expect_same "$name: … is the folder" "/in/b.txt /in/deep/c.txt" "$(paste -sd' ' "$E2E_WORK/out")"
  [ "$name" = python ] || return 0
  expect_exit 0 "… whose files come" take -v "${url}sub:/in" --glob '**/*' --results "$name-slash"
  expect_same "… below it" "b.txt deep/c.txt" "$(cd "$name-slash/outputs/res" && find . -type f | cut -c3- | sort | paste -sd' ')"
}

# While a job runs, its last file changes, and nothing else of it but its time: noticed, or said not to be.
check_pins () { # NAME
  local name=$1 i
  for ((i = 10; i < 20; i++)); do echo "before $i" >"$tree/pins/$i.txt"; done
  touch -d '2026-11-29 18:30:25' "$tree"/pins/*
  local got=0
  "$SHOAL" run -v "${url}pins/:/in" -o res:/out --glob '*.txt' -j 1 --retries 0 --runtime process --results "$name-pins" \
    any sh -c 'for f in "$PWD"/in/* /in/*; do [ ! -e "$f" ] || cp "$f" "$1"; done; echo "after  19" >"$2"' - "$PWD/seen" "$tree/pins/19.txt" >"$E2E_WORK/out" 2>"$E2E_WORK/err" </dev/null || got=$?
  case $name in
    lighttpd) # it tells neither types nor times of files without a type
      expect_same "$name: a change isn't noticed" 0 "$got"
      expect_stderr 'pins of 10 files' ;;
    *)
      expect_same "$name: a change fails its shard" 1 "$got"
      expect_stderr '19.txt: has changed since it was listed'
      expect_true "$name: … and nothing is said to be unpinned" bash -c "! grep 'pins of 10 files' '$E2E_WORK/err'" ;;
  esac
}

for server in $servers; do
  if web_serve "$server" "$tree"; then
    check_server "$server"
    check_pins "$server"
    rm "$tree"/pins/*
  elif [ "${SHOAL_WEB_SERVERS_MISSING:-}" != ok ]; then
    fail "$server isn't there: tools/install.sh web installs what these tests need"
  fi
done
