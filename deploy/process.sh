# process.sh — background processes known by their pid file, free ports. To be sourced.
#
# A pid file has "PID START", START as in /proc/PID/stat: a number that was given to another process since is not ours.

process_start_of () { # PID: when it was started, in clock ticks since boot; fails when it is gone or a zombie
  local stat
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  read -ra stat <<< "${stat##*) }" # the name before may have spaces
  [ "${stat[0]}" != Z ] && echo "${stat[19]}"
}

# The process of a pid file, if it is alive.
process_pid () { # PIDFILE
  local pid start
  read -r pid start 2>/dev/null <"$1" || return 1
  [ -n "$start" ] && [ "$(process_start_of "$pid")" = "$start" ] && echo "$pid"
}

# Runs a command in a session of its own; what it says goes to LOG.
process_spawn () { # PIDFILE LOG COMMAND…
  local pidfile=$1 log=$2
  shift 2
  setsid "$@" >>"$log" 2>&1 </dev/null 8>&- 9>&- &
  echo "$! $(process_start_of $!)" >"$pidfile"
}

process_signal () { # PIDFILE SIGNAL; fine when it is gone
  local pid
  if pid=$(process_pid "$1"); then kill "-$2" "$pid" 2>/dev/null || true; fi
}

# Ends it now and waits until it is gone.
process_kill () { # PIDFILE
  process_signal "$1" KILL
  while process_pid "$1" >/dev/null; do sleep 0.02; done
  rm -f "$1"
}

# Ports of 127.0.0.1 that nobody listens on, below the range that outgoing connections take theirs from.
free_ports () { # COUNT
  local port
  local -A chosen=()
  while [ ${#chosen[@]} -lt "$1" ]; do
    port=$((15000 + SRANDOM % 17000))
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || chosen[$port]=1
  done
  echo "${!chosen[@]}"
}

wait_until_gone () { # SECONDS PIDFILE
  local end=$((SECONDS + $1))
  while process_pid "$2" >/dev/null; do
    [ $SECONDS -lt $end ] || return 1
    sleep 0.05
  done
}
