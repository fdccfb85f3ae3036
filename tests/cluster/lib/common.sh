# Sourced by ../lab: places, locks, and the words on the screen. It must not start anything.

cache=${KEDACTL_CLUSTER_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/kedactl/cluster}
[[ $cache = /* ]] || die "KEDACTL_CLUSTER_DIR must be an absolute path, not \`$cache\`"
programs=$cache/bin
runs=$cache/run
kubectl=$programs/kubectl
# Sockets and pid files: short paths, gone after a reboot. One place for the machine, as network namespaces are.
sockets=/run/kedactl-cluster

kubernetes=1.34.1 kind=v0.30.0 etcd=3.6.4-0 coredns=v1.12.1 pause=3.10.1 local_path=v0.0.30
keda=2.20.2 metrics_server=v0.9.0 helm=v3.19.0 kube_state_metrics=v2.15.0

SECONDS=0
step() { printf '[%3ds] %s\n' "$SECONDS" "$*" >&2; }

# logged NAME COMMAND…: its output goes to a log; the end of the log is shown where the command fails.
logged() {
  local log=$cache/log/$1.log; shift
  mkdir -p "$cache/log"
  "$@" >"$log" 2>&1 </dev/null || { say "--- the end of $log:"; tail -25 "$log" >&2; die "this failed: $*"; }
}

# until_true SECONDS COMMAND…: polls until the command succeeds.
until_true() {
  local deadline=$((SECONDS + $1)); shift
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $deadline ] || return 1
    sleep 0.2
  done
}

# locked LOCK COMMAND…: one at a time. Daemons are started with the lock's descriptor closed (9>&-).
locked() {
  local lock=$cache/lock/$1; shift
  mkdir -p "$cache/lock"
  (
    exec 9>"$lock"
    flock -n 9 || { step "waiting for another run of lab, which holds $lock"; flock 9; }
    "$@"
  )
}

needs_root() { [ "$(id -u)" = 0 ] || die "a private container engine needs root: run this as root"; }
