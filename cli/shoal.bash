# Bash completion for shoal. tests/e2e/help.sh holds it against the program's own help.

_shoal_options () { # COMMAND
  local run="--jobs --joblog --progress --quiet --verbose --oci-runtime --images --scratch --backoff"
  local job="--volume --volume-shared --glob --base-path --batch-size --batch-bytes --shards --exclude --symlinks --stage
    --output --on-conflict --reduce --reduce-command --results --id --env --env-file --workdir --user --entrypoint --network
    --read-only --tmpfs --runtime --memory --cpus --pids-limit --timeout --job-timeout --log-limit --retries --fail-on
    --success-codes --min-success --max-failures
    --input-volumes --output-volumes --sharding-glob-pattern --sharding-base-path --sharding-batch-size"
  local service="--bus --job --parent"
  case $1 in
    run) echo "$job $run" ;;
    plan) echo "--atoms --json --null $job $run" ;;
    resume) echo "$run" ;;
    retry) echo "--shard --failed $run" ;;
    merge) echo "--on-conflict $run" ;;
    status) echo "--json --shards" ;;
    logs) echo "--shard --failed --stdout --stderr --follow --quiet" ;;
    cancel) echo "--reason" ;;
    report) echo "--output" ;;
    image) echo "--as --json --images" ;;
    producer | merger) echo "$service" ;;
    worker) echo "$service --jobs --images --oci-runtime --scratch --lease --drain --backoff --max-lost --max-infra --probe" ;;
  esac
}

_shoal () {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} at=1
  local commands="run plan resume retry merge status logs cancel report image producer worker merger help"
  local values="" files=no
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
    *)
      case $command in
        help) values="$commands options exit-codes patterns environment" ;;
        image) [ "$COMP_CWORD" -ne $((at + 1)) ] || values="import pull list remove" ;;
      esac
      case $word in
        -*) values="$(_shoal_options "$command") --help" ;;
        *) files=yes ;;
      esac
      ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$values" -- "$word"; [ $files = no ] || compgen -f -- "$word")
}

complete -o filenames -F _shoal shoal
