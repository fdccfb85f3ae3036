# Sourced by ../lab: the programs of a test cluster, in $programs: Kubernetes and etcd (nodebin), CoreDNS, the local path
# provisioner, KEDA, metrics-server, kube-state-metrics, kind, Helm and our own small ones. They come from an archive of built programs where
# one is there, else from Go modules at fixed versions, checked against the checksum database. It must not need a cluster.

export CGO_ENABLED=0 GOFLAGS="-trimpath -buildvcs=false" GOTOOLCHAIN=auto
unset GOWORK

needs_go() {
  local version
  command -v go >/dev/null || PATH=$PATH:/usr/local/go/bin
  version=$(cd / && go env GOVERSION 2>/dev/null) || die "Go is missing; install Go 1.24 or newer (https://go.dev/dl), then this again"
  case $version in
    go1.[0-9] | go1.[0-9].* | go1.1[0-9]* | go1.2[0-3]*) die "$version is too old for Kubernetes $kubernetes; install Go 1.24 or newer (https://go.dev/dl)" ;;
  esac
}

# module NAME@VERSION: its folder in the module cache, downloaded if needed.
module() { (cd / && go mod download -json "$1") | sed -n 's/^\t"Dir": "\(.*\)",\{0,1\}$/\1/p'; }

# A program is current when its stamp says what it would be made from now.
current() { [ -x "$programs/$1" ] && [ "$(cat "$programs/.$1" 2>/dev/null)" = "$2" ]; }
stamp() { printf '%s' "$2" >"$programs/.$1"; }
sources() { (cd "$here/node" && find "$1" -type f ! -name '*_test.go' -print0 | sort -z | xargs -0 cat | sha256sum | cut -c1-16); }

# own NAME: one of our programs, from node/cmd.
own() {
  local key; key=$(sources "cmd/$1")
  ! current "$1" "$key" || return 0
  local flags="-s -w"
  [ "$1" != runcwrap ] || flags+=" -X main.runc=$(command -v runc || echo /usr/sbin/runc)"
  (cd "$here/node" && go build -ldflags "$flags" -o "$programs/$1" "./cmd/$1")
  stamp "$1" "$key"
}

# of_module NAME MODULE@VERSION PACKAGE [LDFLAGS] [EDIT]: built inside its own module, whose replacements count only there.
of_module() {
  ! current "$1" "$2" || return 0
  step "building $1 ($2)"
  local copy=$cache/build/$1
  rm -rf "$copy"; mkdir -p "$cache/build"
  cp -r --no-preserve=mode "$(module "$2")" "$copy"
  rm -rf "$copy/vendor"
  [ -z "${5-}" ] || (cd "$copy" && "$5")
  (cd "$copy" && logged "$1" go build -mod=mod -ldflags "-s -w ${4-}" -o "$programs/$1" "$3")
  rm -rf "$copy"
  stamp "$1" "$2"
}

build_nodebin() {
  local key flags="-s -w" package; key=$(sources kubernetes)
  ! current nodebin "$key" || return 0
  step "building Kubernetes $kubernetes and etcd ${etcd%-*} (about 8 minutes of CPU time with an empty Go cache)"
  for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    flags+=" -X $package.gitVersion=v$kubernetes -X $package.gitMajor=${kubernetes%%.*} -X $package.gitMinor=$(cut -d. -f2 <<<$kubernetes)"
    flags+=" -X $package.gitTreeState=clean -X $package.gitCommit=v$kubernetes"
  done
  (cd "$here/node/kubernetes" && logged nodebin go build -ldflags "$flags" -o "$programs/nodebin" .)
  ln -sf nodebin "$programs/kubectl"
  stamp nodebin "$key"
}

build_pause() {
  ! current pause "$pause" || return 0
  logged pause gcc -Os -static -s -DVERSION="v$pause" -o "$programs/pause" "$(module "k8s.io/kubernetes@v$kubernetes")/build/pause/linux/pause.c"
  stamp pause "$pause"
}

helm_flags() {
  local package=helm.sh/helm/v3/pkg/chartutil # without this Helm believes in Kubernetes 1.20
  echo "-X $package.k8sVersionMajor=${kubernetes%%.*} -X $package.k8sVersionMinor=$(cut -d. -f2 <<<$kubernetes)"
}

# The programs that an archive of built programs may bring: NAME MODULE@VERSION PACKAGE.
archived() {
  cat <<END
kind sigs.k8s.io/kind@$kind .
helm helm.sh/helm/v3@$helm ./cmd/helm
keda github.com/kedacore/keda/v2@v$keda ./cmd/operator
keda-adapter github.com/kedacore/keda/v2@v$keda ./cmd/adapter
keda-admission-webhooks github.com/kedacore/keda/v2@v$keda ./cmd/webhooks
metrics-server sigs.k8s.io/metrics-server@$metrics_server ./cmd/metrics-server
END
}

# An archive lies beside the checkout, or beside the one that this is a work tree of.
archive_of_programs() {
  local beside candidate
  beside=$(cd "$repository" && git rev-parse --path-format=absolute --git-common-dir 2>/dev/null || true)
  for candidate in "${KEDACTL_CLUSTER_PROGRAMS-}" "$repository/../shared/cluster/tools.tar.zst" "$beside/../../shared/cluster/tools.tar.zst"; do
    [ ! -r "$candidate" ] || { printf '%s\n' "$candidate"; return; }
  done
}

# Takes the archive's programs where kind and Helm in it are of the versions above, as those of KEDA do not tell theirs.
unpack_archive() {
  local archive name module_version missing= part=$cache/build/archive
  while read -r name module_version _; do current "$name" "$module_version" || missing=1; done < <(archived)
  [ -n "$missing" ] || return 0
  archive=$(archive_of_programs); [ -n "$archive" ] || return 0
  step "unpacking built programs from $archive"
  rm -rf "$part"; mkdir -p "$part"
  zstd -dcq --long=30 "$archive" | tar -x -C "$part" --strip-components=1
  if "$part/kind" version 2>/dev/null | grep -qF "kind $kind " && "$part/helm" version --short 2>/dev/null | grep -qF "${helm%.*}"; then # as `go install` builds it, Helm tells no more
    while read -r name module_version _; do
      install -m755 "$part/$name" "$programs/$name" && stamp "$name" "$module_version"
    done < <(archived)
  else
    step "its kind or Helm is not of version $kind and $helm: it is not used"
  fi
  rm -rf "$part"
}

build_archived() {
  local name module_version package
  while read -r name module_version package; do
    of_module "$name" "$module_version" "$package" "$([ "$name" != helm ] || helm_flags)"
  done < <(archived)
}

# CoreDNS with the plugins that kubeadm's configuration names: the others are the clouds' libraries, most of its code.
coredns_plugins="cache errors forward health kubernetes loadbalance log loop metrics ready reload"
only_these_plugins() {
  local list=core/plugin/zplugin.go plugin
  {
    printf 'package plugin\n\nimport (\n\t_ "github.com/coredns/caddy/onevent"\n'
    for plugin in $coredns_plugins; do
      grep -q "coredns/plugin/$plugin\"" $list || die "CoreDNS $coredns has no plugin $plugin"
      printf '\t_ "github.com/coredns/coredns/plugin/%s"\n' "$plugin"
    done
    echo ')'
  } >$list.part
  mv $list.part $list
}

build_small() { local name; for name in runcwrap nxdns pack; do own "$name"; done; }
