# programs.sh — Kubernetes, KEDA and helm from their Go modules, in a cache folder, once per version. To be sourced, after ../go.sh.
#
# $CACHE/NAME-VERSION appears whole or not at all. Two builds at once: one builds, the other waits.
kubernetes_version=1.34.1
keda_version=2.18.1
helm_version=3.19.5
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/shoal

version_of () { # kubernetes|keda|helm
  local name=${1}_version
  echo "${!name}"
}
home_of () { echo "$CACHE/$1-$(version_of "$1")"; }

# A module of ours that needs MODULE; its other requirements are MODULE's own.
new_module () { # MODULE VERSION
  printf 'module programs\ngo 1.25.0\nrequire %s %s\n' "$1" "$2" >go.mod
}
module_folder () { # MODULE VERSION
  go mod download -json "$1@$2" | sed -n 's/^\t"Dir": "\(.*\)",\?$/\1/p'
}
go_build () { # FOLDER PACKAGE…, with $flags for the linker
  local folder=$1
  shift
  CGO_ENABLED=0 go build -mod=mod -trimpath -ldflags "-s -w ${flags-}" -o "$folder/" "$@"
}

# `set -e` holds in none of the builds, whose failure is asked for: each step that can fail is chained.
build_kubernetes () { # FOLDER
  local source name packages=() flags
  source=$(module_folder k8s.io/kubernetes "v$kubernetes_version") && [ -f "$source/go.mod" ] || return
  new_module k8s.io/kubernetes "v$kubernetes_version"
  # Its parts have versions of their own, which its go.mod has as v0.0.0: 1.34.1 goes with 0.34.1.
  sed -nE "s/^\t?(require )?(k8s\.io\/[a-z-]+) v0\.0\.0( .*)?$/replace \2 => \2 v0.${kubernetes_version#1.}/p" "$source/go.mod" >>go.mod
  printf '//go:build tools\npackage tools\n' >tools.go
  for name in kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubelet kubectl; do
    packages+=("k8s.io/kubernetes/cmd/$name")
    echo "import _ \"k8s.io/kubernetes/cmd/$name\"" >>tools.go
  done
  name=k8s.io/component-base/version
  flags="-X $name.gitVersion=v$kubernetes_version -X $name.gitMajor=1 -X $name.gitMinor=$(cut -d. -f2 <<< "$kubernetes_version")"
  go_build "$1" "${packages[@]}"
}

build_keda () { # FOLDER
  local module=github.com/kedacore/keda/v2 source
  source=$(module_folder $module "v$keda_version") && [ -f "$source/go.mod" ] || return
  new_module $module "v$keda_version"
  sed -n '/^replace (/,/^)/p' "$source/go.mod" >>go.mod
  printf '//go:build tools\npackage tools\nimport _ "%s"\nimport _ "%s"\n' $module/cmd/operator $module/cmd/adapter >tools.go
  go_build "$1" $module/cmd/operator $module/cmd/adapter && cp -r "$source/config/crd/bases" "$1/crds" && chmod -R u+w "$1/crds"
}

build_helm () { # FOLDER
  local flags="-X helm.sh/helm/v3/internal/version.version=v$helm_version"
  # What `helm template` takes the cluster for.
  flags+=" -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor=1 -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=$(cut -d. -f2 <<< "$kubernetes_version")"
  new_module helm.sh/helm/v3 "v$helm_version"
  printf '//go:build tools\npackage tools\nimport _ "helm.sh/helm/v3/cmd/helm"\n' >tools.go
  go_build "$1" helm.sh/helm/v3/cmd/helm
}

# Whether FOLDER has all that NAME consists of.
programs_are_there () { # kubernetes|keda|helm FOLDER
  local programs=() program
  case $1 in
    kubernetes) programs=(kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubelet kubectl) ;;
    keda) programs=(operator adapter crds) ;; # crds is a folder
    helm) programs=(helm) ;;
  esac
  for program in "${programs[@]}"; do [ -x "$2/$program" ] || return; done
}

# Makes the programs of NAME unless they are there.
make_programs () { # kubernetes|keda|helm
  local home
  home=$(home_of "$1")
  ! programs_are_there "$1" "$home" || return 0
  mkdir -p "$CACHE"
  (
    flock 9
    ! programs_are_there "$1" "$home" || exit 0
    use_go || die "Go couldn't be fetched"
    say "building $1 $(version_of "$1") into $home, some minutes"
    rm -rf "$home.part"
    mkdir "$home.part"
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    (cd "$work" && "build_$1" "$home.part" && programs_are_there "$1" "$home.part") >"$home.log" 2>&1 9>&- \
      || { tail -n 20 "$home.log" >&2; die "$1 couldn't be built, see $home.log"; }
    rm -rf "$home"
    mv -T "$home.part" "$home"
  ) 9>"$home.lock"
}
