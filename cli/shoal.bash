# Bash completion for shoal. Commands and options are what the program's own help says.

_shoal_options () { # PROGRAM COMMAND
  { "$1" "$2" --help; case $2 in run | plan | submit) "$1" help options ;; esac; } 2>/dev/null \
    | grep -oE -- '--[a-z][a-z-]+' | sort -u
}

_shoal () {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} at=1
  local program=${COMP_WORDS[0]} values="" files=no commands
  commands=$("$program" --help 2>/dev/null | sed -n 's/^  shoal \([a-z]*\)  *[a-z].*/\1/p')
  if [ "${COMP_WORDS[1]}" = docker ] && [ "$COMP_CWORD" -gt 1 ]; then at=2; commands=run; fi
  if [ "$COMP_CWORD" -eq "$at" ]; then
    mapfile -t COMPREPLY < <(compgen -W "$commands --help --version" -- "$word")
    return
  fi
  local command=${COMP_WORDS[at]}
  case $before in
    --on-conflict) values="fail first last rename concat" ;;
    --symlinks) values="beneath follow skip" ;;
    --stage) values="auto link copy bind" ;;
    --network) values="none host" ;;
    --runtime) values="oci process" ;;
    --progress) values="auto bar plain json none" ;;
    --oci-runtime) values="crun runc" ;;
    --userns) values="auto none" ;;
    *)
      if [ "$COMP_CWORD" -eq $((at + 1)) ]; then
        case $command in
          help) values="$commands options exit-codes patterns environment" ;;
          image) values="import pull list remove" ;;
          topics) values="create check describe" ;;
          policy) values="check" ;;
          dead) values="list show replay" ;;
        esac
      fi
      case $word in
        -*) values="$(_shoal_options "$program" "$command") --help" ;;
        *) files=yes ;;
      esac
      ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$values" -- "$word"; [ $files = no ] || compgen -f -- "$word")
}

complete -o filenames -F _shoal shoal
