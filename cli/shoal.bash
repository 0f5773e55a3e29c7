# Bash completion for shoal. Commands and options are what the program's own help says.

_shoal_options () { # PROGRAM COMMAND
  { "$1" "$2" --help; case $2 in run | plan | submit) "$1" help options ;; esac; } 2>/dev/null \
    | grep -oE -- '--[a-z][a-z0-9-]+' | sort -u
}

# Folders that are results, by the names that commands take, and folders on the way to some.
_shoal_results () { # WORD
  local folder
  while read -r folder; do
    if [ -d "$folder/.shoal" ]; then printf '%s\n' "${folder%.partial}"; else printf '%s/\n' "$folder"; fi
  done < <(compgen -d -- "$1")
}

_shoal_images () { # PROGRAM
  "$1" image list 2>/dev/null | cut -f1 | sed 's/:latest$//'
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
    --order) values="index size" ;;
    --on-conflict) values="fail first last rename concat" ;;
    --symlinks) values="beneath follow skip" ;;
    --output-links) values="keep follow fail" ;;
    --stage) values="auto link copy bind" ;;
    --network) values="none host" ;;
    --runtime) values="oci process pod" ;;
    --progress) values="auto bar plain json none" ;;
    --oci-runtime) values="crun runc" ;;
    --userns) values="auto none" ;;
    --state) values="queued running merging succeeded partial failed conflict cancelled" ;;
    --reduce) values=$(_shoal_images "$program") ;;
    *)
      if [ "$COMP_CWORD" -eq $((at + 1)) ]; then
        case $command in
          help) values="$commands options exit-codes patterns environment" ;;
          image) values="import pull list remove prune" ;;
          topics) values="create check describe tail" ;;
          policy) values="check" ;;
          dead) values="list show replay" ;;
        esac
      fi
      case $word in
        -*) values="$(_shoal_options "$program" "$command") --help" ;;
        *)
          case $command in
            status | logs | report | get | cancel | pause | retry | resume | merge)
              mapfile -t COMPREPLY < <(_shoal_results "$word" | sort -u)
              return
              ;;
            run | plan | submit) values=$(_shoal_images "$program") ;;
            image) [ "${COMP_WORDS[at + 1]}" != remove ] || values=$(_shoal_images "$program") ;;
          esac
          files=yes
          ;;
      esac
      ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$values" -- "$word"; [ $files = no ] || compgen -f -- "$word")
}

complete -o filenames -F _shoal shoal
