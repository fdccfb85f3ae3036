# Plays minikube 1.38 as its sources have it (cmd/minikube/cmd, pkg/minikube): a profile is a folder of one-line files.
# What goes wrong is told by files beside the script: see fake_minikube in minikube.rs.
set -u
PROFILES="$HERE/profiles"
# One call a line, what a line end would cut as a blank.
printf '%s\n' "$*" | tr '\n' ' ' >>"$HERE/calls"; echo >>"$HERE/calls"
env | grep -E '^(KUBECONFIG|MINIKUBE_|KEDACTL_)' | sed "s/^/$1 /" >>"$HERE/env"

# event TYPE DATA
event() {
  printf '{"specversion":"1.0","id":"0","source":"https://minikube.sigs.k8s.io/","type":"io.k8s.sigs.minikube.%s","datacontenttype":"application/json","data":%s}\n' "$1" "$2"
}
step() { event step "{\"currentstep\":\"$1\",\"message\":\"$3\",\"name\":\"$2\",\"totalsteps\":\"19\"}"; }
# fail CODE ID MESSAGE ADVICE: in JSON on standard output where that was asked for, else as text on standard error.
fail() {
  if [ "$json" = yes ]; then
    event error "{\"advice\":\"$4\",\"exitcode\":\"$1\",\"issues\":\"\",\"message\":\"$3\",\"name\":\"$2\",\"url\":\"\"}"
  else
    printf '\nX Exiting due to %s: %s\n' "$2" "$3" | sed 's/\\"/"/g' >&2
    [ -z "$4" ] || printf '* Suggestion: %s\n' "$4" >&2
    printf '* \n╭──╮\n│  │\n│    * If the above advice does not help, please let us know:  │\n│      https://github.com/kubernetes/minikube/issues/new/choose  │\n│  │\n│    * Please run `minikube logs --file=logs.txt` and attach logs.txt to the GitHub issue.  │\n│  │\n╰──╯\n' >&2
  fi
  exit "$1"
}
get() { cat "$PROFILES/$profile/$1" 2>/dev/null; }
put() { printf '%s\n' "$2" >"$PROFILES/$profile/$1"; }
missing() {
  text="Profile \\\"$profile\\\" not found. Run \\\"minikube profile list\\\" to view all profiles."
  tip="To start a cluster, run: \\\"minikube start -p $profile\\\""
  if [ "$json" = yes ]; then
    event info "{\"message\":\"$text\"}"; event info "{\"message\":\"$tip\"}"
  else
    printf '* Profile "%s" not found. Run "minikube profile list" to view all profiles.\n  To start a cluster, run: "minikube start -p %s"\n' "$profile" "$profile"
  fi
  exit 85
}
there() { [ -d "$PROFILES/$profile" ] || missing; }
machine() { if [ "$1" = 1 ]; then echo "$profile"; else printf '%s-m%02d\n' "$profile" "$1"; fi; }

profile=minikube json=no node= file= driver= runtime=docker nodes=1 kubernetes=v1.35.0 cpus=2 memory=3072 interactive=true native=true rest=
verb="${1:-}"; [ $# -eq 0 ] || shift
sub=
case "$verb" in profile | image) sub="${1:-}"; [ $# -eq 0 ] || shift ;; esac
while [ $# -gt 0 ]; do
  case "$1" in
    -p) profile=$2; shift ;;
    -o) [ "$2" != json ] || json=yes; shift ;;
    -n) node=$2; shift ;;
    --file) file=$2; shift ;;
    --driver=*) driver=${1#*=} ;;
    --container-runtime=*) runtime=${1#*=} ;;
    --kubernetes-version=*) kubernetes=${1#*=} ;;
    --nodes=*) nodes=${1#*=} ;;
    --cpus=*) cpus=${1#*=} ;;
    --memory=*) memory=${1#*=}; memory=${memory%mb} ;;
    --interactive=*) interactive=${1#*=} ;;
    --native-ssh=*) native=${1#*=} ;;
    --) shift; break ;;
    --light | --embed-certs | --keep-context | --wait=* | --wait-timeout=* | --cleanup=*) ;;
    -*) echo "Error: unknown flag: $1" >&2; exit 14 ;;
    *) rest="$rest $1" ;;
  esac
  shift
done

kubeconfig() {
  [ -n "${KUBECONFIG:-}" ] || { echo "the user's own kubeconfig would be written" >&2; exit 99; }
  if [ -e "$HERE/kubeconfig" ]; then sed "s/@PROFILE@/$profile/g" "$HERE/kubeconfig" >"$KUBECONFIG"; else
    printf 'apiVersion: v1\nkind: Config\ncurrent-context: %s\n' "$profile" >"$KUBECONFIG"
  fi
}

start() {
  step 0 "Initial Minikube Setup" "minikube v1.38.1 on Debian"
  event info "{\"message\":\"KUBECONFIG=${KUBECONFIG:-}\"}"
  if [ -d "$PROFILES/$profile" ]; then
    had=$(get driver)
    if [ -n "$driver" ] && [ "$driver" != "$had" ]; then
      # GUEST_DRVR_MISMATCH; every other difference is kept silent about.
      fail 85 GUEST_DRVR_MISMATCH "The existing \\\"$profile\\\" cluster was created using the \\\"$had\\\" driver, which is incompatible with requested \\\"$driver\\\" driver." "Delete the existing cluster"
    fi
  fi
  [ ! -e "$HERE/start-fails" ] || . "$HERE/start-fails"
  step 1 "Selecting Driver" "Using the docker driver based on user configuration"
  event warning '{"message":"docker is currently using the vfs storage driver, consider switching to overlay2"}'
  if [ ! -d "$PROFILES/$profile" ]; then
    mkdir -p "$PROFILES/$profile"
    put driver "$driver"; put runtime "$runtime"; put nodes "$nodes"; put kubernetes "$kubernetes"; put cpus "$cpus"; put memory "$memory"
    put state None
  fi
  step 3 "Starting Node" "Starting \\\"$profile\\\" primary control-plane node in \\\"$profile\\\" cluster"
  event download.progress '{"artifact":"preloaded-images.tar.lz4","currentstep":"3","progress":"0.5","totalsteps":"19"}'
  step 8 "Creating Container" "Creating docker container (CPUs=2, Memory=3072MB) ..."
  : >"$PROFILES/$profile/container"
  # Cut off here: a configuration and a container, and no Kubernetes.
  if [ -e "$HERE/slow-start" ]; then
    : >"$HERE/begun"
    trap 'exit 130' INT
    while [ -e "$HERE/slow-start" ]; do sleep 0.05; done
  fi
  [ ! -e "$HERE/late-start-fails" ] || . "$HERE/late-start-fails"
  step 11 "Preparing Kubernetes" "Preparing Kubernetes $kubernetes on $runtime ..."
  put state Running
  kubeconfig
  step 19 Done "Done! kubectl is now configured to use \\\"$profile\\\" cluster and \\\"default\\\" namespace by default"
}

node_status() {
  state=$(get state) name=$(machine "$1") worker=false api=$(get state) config=Configured kubelet=$(get state)
  case "$state" in
    Paused) host=Running kubelet=Stopped ;;
    Ill) host=Running kubelet=Running api=Stopped ;;
    Running) host=Running ;;
    *) host=$state config=$state ;;
  esac
  grep -qs "server" "${KUBECONFIG:-/nonexistent}" || [ "$host" != Running ] || config=Misconfigured
  [ "$1" = 1 ] || worker=true api=Irrelevant config=Irrelevant
  printf '{"Name":"%s","Host":"%s","Kubelet":"%s","APIServer":"%s","Kubeconfig":"%s","Worker":%s}' "$name" "$host" "$kubelet" "$api" "$config" "$worker"
}

status() {
  there
  state=$(get state) count=$(get nodes)
  # A machine that is gone ends the whole look: `null`, and all bits.
  [ "$state" != None ] || { echo null; exit 7; }
  text=$(i=1; while [ "$i" -le "$count" ]; do [ "$i" = 1 ] || printf ,; node_status "$i"; i=$((i + 1)); done)
  if [ "$count" = 1 ]; then echo "$text"; else echo "[$text]"; fi
  code=0
  case "$text" in *'"Host":"Stopped"'*) code=$((code | 1)) ;; esac
  case "$text" in *'"Kubelet":"Stopped"'* | *'"APIServer":"Stopped"'* | *'"APIServer":"Paused"'*) code=$((code | 2)) ;; esac
  case "$text" in *'"Kubeconfig":"Misconfigured"'* | *'"Kubeconfig":"Stopped"'*) code=$((code | 4)) ;; esac
  exit "$code"
}

list() {
  printf '{"invalid":[],"valid":['
  first=yes
  for folder in "$PROFILES"/*/; do
    [ -d "$folder" ] || continue
    profile=$(basename "$folder")
    [ "$first" = yes ] || printf ,
    first=no
    printf '{"Name":"%s","Status":"Skipped","Config":{"Name":"%s","Driver":"%s","CPUs":%s,"Memory":%s,"KubernetesConfig":{"KubernetesVersion":"%s","ContainerRuntime":"%s"},"Nodes":[' \
      "$profile" "$profile" "$(get driver)" "$(get cpus)" "$(get memory)" "$(get kubernetes)" "$(get runtime)"
    printf '{"Name":"","ControlPlane":true,"Worker":true}'
    i=2; while [ "$i" -le "$(get nodes)" ]; do printf ',{"Name":"m%02d","ControlPlane":false,"Worker":true}' "$i"; i=$((i + 1)); done
    printf ']},"Active":false,"ActiveKubeContext":false}'
  done
  printf ']}'
}

running() {
  there
  case "$(get state)" in
    Running | Ill | Paused) ;;
    None) echo "* The control-plane node $profile host does not exist"; exit 85 ;;
    *) echo "* The control-plane node $profile host is not running: state=Stopped"; exit 83 ;;
  esac
}

tunnel() {
  running
  [ "$(get state)" != Paused ] || { echo "* The control-plane node $profile apiserver is paused"; exit 103; }
  exec 9>"$PROFILES/$profile/.tunnel_lock"
  flock -n 9 || fail 111 SVC_TUNNEL_ALREADY_RUNNING "Another tunnel process is already running, terminate the existing instance to start a new one" ""
  # Go ends at SIGTERM with nothing taken back; SIGINT alone is listened to.
  trap 'rm -f "$HERE/route"; [ ! -e "$HERE/external" ] || : >"$HERE/external"; exit 0' INT
  [ ! -e "$HERE/tunnel-deaf" ] || trap '' INT
  while :; do
    if [ -e "$HERE/tunnel-router" ]; then router=$(cat "$HERE/tunnel-router"); else router="no errors"; : >"$HERE/route"; fi
    [ "$router" != "no errors" ] || cat "$HERE/address" 2>/dev/null >"$HERE/external"
    printf 'Status:\t\n\tmachine: %s\n\tpid: %s\n\troute: 10.96.0.0/12 -> 192.168.49.2\n\tminikube: Running\n\tservices: [api]\n    errors: \n\t\tminikube: no errors\n\t\trouter: %s\n\t\tloadbalancer emulator: no errors\n' "$profile" "$$" "$router"
    [ ! -e "$HERE/tunnel-ends" ] || { rm "$HERE/tunnel-ends"; exit 0; }
    i=0; while [ "$i" -lt 20 ]; do sleep 0.05; i=$((i + 1)); done
  done
}

case "$verb $sub" in
  "version ") echo "minikube version: v1.38.1" ;;
  "start ") json=yes; start ;;
  "status ") status ;;
  "profile list") list ;;
  "update-context ") running; kubeconfig ;;
  "unpause ") there; put state Running ;;
  "logs ") there; : >"$file" ;;
  "delete ")
    # An error event, and a good end.
    [ -d "$PROFILES/$profile" ] || [ "$json" = no ] || event error "{\"message\":\"\\\"$profile\\\" profile does not exist, trying anyways.\"}"
    [ ! -e "$HERE/delete-stays" ] || exit 0
    rm -rf "${PROFILES:?}/$profile" ;;
  "image load")
    [ -d "$PROFILES/$profile" ] || fail 14 MK_USAGE "loading profile: cluster \\\"$profile\\\" does not exist" ""
    # DoLoadImages keeps what failed to itself.
    [ ! -e "$HERE/image-load" ] || for archive in $rest; do "$HERE/image-load" "$archive" || true; done
    exit 0 ;;
  "ssh ")
    running
    # Its own client asks for a terminal, which echoes and turns line ends.
    PATH="$HERE/node:$PATH" NODE=$node
    export PATH NODE
    if [ "$native" = true ]; then sh -c "$*" 2>&1 | sed 's/$/\r/'; else sh -c "$*"; fi ;;
  "tunnel ") tunnel ;;
  *) echo "Error: unknown command \"$verb $sub\" for \"minikube\"" >&2; exit 64 ;;
esac
