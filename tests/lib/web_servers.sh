# web_servers.sh — other people's HTTP servers on a folder, on loopback. To be sourced after e2e.sh.
#
#   web_serve NAME FOLDER     starts it, sets $url to the folder's URL, and waits until it answers; 1: it isn't installed here, and says so
#
# Each ends with the script. NAME: a function web_NAME below.
. "$E2E_LIB/../../deploy/process.sh"
WEB_NPM=${XDG_CACHE_HOME:-$HOME/.cache}/shoal/npm/node_modules # tools/install.sh npm

web_python () { # PORT FOLDER RUN
  web_program=/usr/bin/python3
  web_command=(/usr/bin/python3 -u -m http.server --bind 127.0.0.1 --directory "$2" "$1")
}

web_nginx () { # FORMAT PORT FOLDER RUN
  web_program=/usr/sbin/nginx
  cat >"$4/conf" <<CONF
daemon off; master_process off; pid $4/pid; error_log $4/log;
events {}
http {
  access_log off; client_body_temp_path $4; proxy_temp_path $4; fastcgi_temp_path $4; uwsgi_temp_path $4; scgi_temp_path $4;
  server { listen 127.0.0.1:$2; root "$3"; autoindex on; autoindex_format $1; }
}
CONF
  web_command=(/usr/sbin/nginx -p "$4" -c "$4/conf" -e "$4/log")
}
web_nginx_html () { web_nginx html "$@"; }
web_nginx_json () { web_nginx json "$@"; }
web_nginx_xml () { web_nginx xml "$@"; }

web_apache () { # OPTIONS PORT FOLDER RUN
  web_program=/usr/sbin/apache2
  cat >"$4/conf" <<CONF
ServerName localhost
Listen 127.0.0.1:$2
PidFile $4/pid
ErrorLog $4/log
DocumentRoot "$3"
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule autoindex_module /usr/lib/apache2/modules/mod_autoindex.so
LoadModule dir_module /usr/lib/apache2/modules/mod_dir.so
<Directory "$3">
  Options Indexes
  IndexIgnoreReset On
  IndexOptions $1
</Directory>
CONF
  web_command=(/usr/sbin/apache2 -X -d "$4" -f "$4/conf")
}
web_apache_plain () { web_apache None "$@"; }
web_apache_fancy () { web_apache "FancyIndexing NameWidth=*" "$@"; }
web_apache_table () { web_apache "FancyIndexing HTMLTable NameWidth=*" "$@"; }

web_lighttpd_of () { # SETTING PORT FOLDER RUN
  web_program=/usr/sbin/lighttpd
  cat >"$4/conf" <<CONF
$1
server.modules = ( "mod_dirlisting" )
server.bind = "127.0.0.1"
server.port = $2
server.document-root = "$3"
server.errorlog = "$4/log"
dir-listing.activate = "enable"
CONF
  web_command=(/usr/sbin/lighttpd -D -f "$4/conf")
}
web_lighttpd () { web_lighttpd_of '' "$@"; } # a file without a type has no time and no tag
web_lighttpd_types () { web_lighttpd_of 'mimetype.assign = ("" => "application/octet-stream")' "$@"; }

web_webfsd () { # PORT FOLDER RUN
  web_program=/usr/bin/webfsd
  web_command=(/usr/bin/webfsd -F -4 -i 127.0.0.1 -p "$1" -r "$2" -u nobody -g nogroup)
}

web_mini_httpd () { # PORT FOLDER RUN
  web_program=/usr/sbin/mini_httpd
  web_command=(/usr/sbin/mini_httpd -D -h 127.0.0.1 -p "$1" -d "$2" -u nobody -l "$3/log")
}

web_caddy () { # PORT FOLDER RUN
  web_program=/usr/bin/caddy
  web_command=(env "HOME=$3" "XDG_CONFIG_HOME=$3" "XDG_DATA_HOME=$3" /usr/bin/caddy file-server --browse --listen "127.0.0.1:$1" --root "$2")
}

web_rclone () { # PORT FOLDER RUN
  web_program=/usr/bin/rclone
  web_command=(env "HOME=$3" /usr/bin/rclone serve http "$2" --dir-cache-time 0s --addr "127.0.0.1:$1")
}

web_npm () { # PACKAGE
  web_program=$WEB_NPM/$1
}
web_serve14 () { # PORT FOLDER RUN
  web_npm serve
  web_command=(node "$WEB_NPM/serve/build/main.js" -L -n -l "tcp://127.0.0.1:$1" "$2")
}
web_http_server () { # PORT FOLDER RUN
  web_npm http-server
  web_command=(node "$WEB_NPM/http-server/bin/http-server" "$2" -a 127.0.0.1 -p "$1" -c-1)
}
web_serve_index () { # PORT FOLDER RUN
  web_npm serve-index
  cat >"$3/app.js" <<'APP'
const [modules, port, folder] = process.argv.slice(2);
const express = require(modules + "/express");
const app = express();
app.use(express.static(folder, { dotfiles: "allow" }));
app.use(require(modules + "/serve-index")(folder, { hidden: true, icons: true, view: "details" }));
app.listen(Number(port), "127.0.0.1");
APP
  web_command=(node "$3/app.js" "$WEB_NPM" "$1" "$2")
}

web_go () { # PORT FOLDER RUN
  web_program=$(command -v go) || web_program=/usr/bin/go
  mkdir -p "$3/go"
  cat >"$3/go/main.go" <<'APP'
package main

import (
	"net/http"
	"os"
)

func main() {
	panic(http.ListenAndServe("127.0.0.1:"+os.Args[1], http.FileServer(http.Dir(os.Args[2]))))
}
APP
  [ ! -x "$web_program" ] || "$web_program" build -o "$3/server" "$3/go/main.go" || return
  web_command=("$3/server" "$1" "$2")
}

web_dufs () { # PORT FOLDER RUN
  web_program=${XDG_CACHE_HOME:-$HOME/.cache}/shoal/dufs/bin/dufs # tests/long.sh servers
  web_command=("$web_program" -b 127.0.0.1 -p "$1" "$2")
}

web_answers () { # URL PIDFILE
  ! process_pid "$2" >/dev/null || curl -s -o /dev/null --max-time 5 "$1"
}

web_serve () { # NAME FOLDER
  local run=$E2E_WORK/web/$1 web_command=() web_program=
  mkdir -p "$run"
  chmod 755 "$E2E_WORK"
  port=$(free_ports 1)
  "web_$1" "$port" "$2" "$run" || return
  if [ ! -e "$web_program" ]; then
    echo "NOT INSTALLED: $1 ($web_program): not tested here"
    return 1
  fi
  url=http://127.0.0.1:$port/
  process_spawn "$run/pidfile" "$run/said" "${web_command[@]}"
  at_end "process_kill '$run/pidfile'"
  wait_for "$1" web_answers "$url" "$run/pidfile" && process_pid "$run/pidfile" >/dev/null || { tail "$run/said" "$run/log"; return 1; }
}
