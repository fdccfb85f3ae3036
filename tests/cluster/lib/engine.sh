# Sourced by ../lab: a private Docker engine in a network namespace that has no way out. All that it starts lives in one
# control group, so that it can be ended whole, also after a crash. It must not know what a cluster is.
#
# An engine NAME has: the namespace kedactl-NAME, the control group kedactl-NAME, $sockets/NAME (socket, logs' pipes, pid
# files) and a data root, by default $runs/NAME/docker.

engine_packages="docker.io containerd runc containernetworking-plugins iptables iproute2 busybox-static"

use_engine() {
  engine=$1 netns=kedactl-$1 socket=$sockets/$1/docker.sock data=${2:-$runs/$1/docker}
  export DOCKER_HOST=unix://$socket
}

inside() { nsenter --net="/var/run/netns/$netns" "$@"; } # `ip netns exec` would hide the control groups

engine_answers() { [ -S "$socket" ] && docker version >/dev/null 2>&1; }

# Folders of the engine's control group: one in cgroup v2, one a hierarchy that has it in v1.
control_groups() { find /sys/fs/cgroup -maxdepth 2 -type d -name "kedactl-$engine" 2>/dev/null || true; }

# The hierarchy by which processes are found.
main_group() {
  local root=/sys/fs/cgroup hierarchy
  if [ ! -e $root/cgroup.controllers ]; then
    for hierarchy in pids memory cpu; do [ ! -d "$root/$hierarchy" ] || { root=$root/$hierarchy; break; }; done
  fi
  echo "$root/kedactl-$engine"
}

engine_processes() { find "$(main_group)" -name cgroup.procs -exec cat {} + 2>/dev/null | sort -un || true; }

# One data root serves one engine: a second folder of state must not take the name of a running one.
own_the_name() {
  local owner=$sockets/$engine/owner
  if [ -e "$owner" ] && [ "$(cat "$owner")" != "$cache" ] && [ -n "$(engine_processes)" ]; then
    die "a cluster \`$engine\` runs already with its state in $(cat "$owner"): give this one another name"
  fi
  mkdir -p "$sockets/$engine"; echo "$cache" >"$owner"
}

engine_start() {
  needs_root
  ! engine_answers || return 0
  own_the_name
  engine_end
  mkdir -p "$data" "$cache/log" "$sockets/$engine" "$(main_group)/engine"
  [ ! -d /sys/fs/cgroup/cpu ] || mkdir -p "/sys/fs/cgroup/cpu/kedactl-$engine"
  echo "$cache" >"$sockets/$engine/owner"
  come_first
  ip netns add "$netns"
  inside ip link set lo up
  inside sysctl -qw net.ipv4.ip_forward=1
  cat >"$sockets/$engine/daemon.json" <<END
{"runtimes": {"runcwrap": {"path": "$programs/runcwrap"}}, "default-runtime": "runcwrap",
 "bip": "172.17.0.1/16", "dns": ["172.17.0.1"],
 "cgroup-parent": "/kedactl-$engine", "exec-opts": ["native.cgroupdriver=cgroupfs"]}
END
  daemon dockerd dockerd --config-file "$sockets/$engine/daemon.json" --data-root "$data" \
    --exec-root "$sockets/$engine/exec" -H "$DOCKER_HOST" -p "$sockets/$engine/dockerd.pid"
  until_true 30 engine_answers || { tail -20 "$cache/log/$engine-dockerd.log" >&2; die "the container engine does not start"; }
  # After the engine, whose bridge has this address: an answer from another address would be dropped.
  daemon nxdns "$programs/nxdns" 172.17.0.1:53
}

# Beside a busy compiler the group's whole share would be that of one process, and a control plane that gets no processor
# loses its leases and restarts.
come_first() {
  local group
  for group in $(control_groups); do
    if [ -e "$group/cpu.shares" ]; then echo 32768 >"$group/cpu.shares"
    elif [ -e "$group/cpu.weight" ]; then echo 10000 >"$group/cpu.weight"
    fi
  done
}

# daemon LOG COMMAND…: started inside the namespace and the control group, in a session of its own, without our lock.
daemon() {
  local log=$cache/log/$engine-$1.log; shift
  (
    echo "$BASHPID" >"$(main_group)/engine/cgroup.procs"
    exec setsid nsenter --net="/var/run/netns/$netns" "$@"
  ) >"$log" 2>&1 </dev/null 9>&- &
  disown
}

# Ends the engine and all that it started, in whatever state it is; the data root stays.
engine_end() {
  local pids group mount
  for _ in $(seq 100); do
    pids=$(engine_processes); [ -n "$pids" ] || break
    # shellcheck disable=SC2086
    kill -9 $pids 2>/dev/null || true
    sleep 0.05
  done
  [ -z "$pids" ] || die "these processes of the engine $engine do not end: $pids"
  for group in $(control_groups); do find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || true; done
  # Mounts of containers that were not unmounted by their engine, innermost first.
  awk -v a="$data" -v b="$sockets/$engine" 'index($5 "/", a "/") == 1 || index($5, b "/") == 1 {print $5}' /proc/self/mountinfo | tac |
    while read -r mount; do umount -l "$mount"; done
  [ ! -e "/var/run/netns/$netns" ] || ip netns del "$netns"
  rm -rf "${sockets:?}/$engine"
}

# Lets the engine write what it holds, as its data root is to be used again.
engine_stop() {
  local pid; pid=$(cat "$sockets/$engine/dockerd.pid" 2>/dev/null || true)
  [ -z "$pid" ] || { kill "$pid" && until_true 30 eval "! kill -0 $pid"; }
  engine_end
}
