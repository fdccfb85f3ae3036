# Sourced by ../lab: a cluster NAME is kind's cluster kedactl-NAME, with KEDA and metrics-server, on a private engine NAME or
# on the machine's Docker engine. It must not build anything.

kube() { "${enter[@]}" "$kubectl" --kubeconfig "$kubeconfig" "$@"; }
api_ready() { kube get --raw /readyz >/dev/null 2>&1; }

use_cluster() {
  choose_engine
  state=$runs/$name kubeconfig=$runs/$name/kubeconfig kind_name=kedactl-$name enter=()
  if [ $way = private ]; then
    use_engine "$name"
    enter=(nsenter "--net=/var/run/netns/$netns")
  fi
}

lab_up() {
  use_cluster
  if [ $way = private ]; then lab_prepare; else locked build prepare_docker; published_image; fi
  locked "$name" cluster_up
}

# What an `up` asked for, and what it was made from: the same again is nothing to do.
wish() { echo "engine=$way nodes=$nodes intervals=$intervals addons=$addons image=$([ $way = docker ] && echo "${published##*/}" || basename "$node")"; }

engine_is_there() { if [ $way = private ]; then engine_answers; else docker version >/dev/null 2>&1; fi; }

cluster_up() {
  local have; have=$(cat "$state/made" 2>/dev/null || true)
  if [ -n "$have" ] && engine_is_there && until_true 20 api_ready; then
    [ "$have" != "$(wish)" ] || { step "the cluster $name is up"; return 0; }
    die "the cluster $name is up with other options ($have); take it down first: tests/cluster/lab down $name"
  fi
  [ ! -e "$state" ] || step "removing what is left of an earlier cluster $name"
  cluster_remove
  mkdir -p "$state"; echo $way >"$state/engine"
  if [ $way = private ]; then
    step "engine"
    copy_data "$node/docker" "$data"
    engine_start
  fi
  step "kind create cluster: $nodes node(s)"
  kind_config >"$state/kind.yaml"
  logged "$name-kind" "${enter[@]}" "$programs/kind" create cluster --config "$state/kind.yaml" --image "$([ $way = docker ] && echo "$published" || echo "$node_image")" \
    --kubeconfig "$kubeconfig" --retain
  [ $way = private ] || sample_on_docker
  [ $addons = no ] || apply_addons
  step "waiting until everything is ready"
  wait_ready
  wish >"$state/made"
  step "the cluster $name is ready: eval \"\$(tests/cluster/lab env $name)\""
}

# The image's files by hard links, as nothing writes into a layer; what the engine writes is copied.
copy_data() {
  mkdir -p "$2"
  cp -a --link "$1/overlay2" "$2/overlay2"
  (cd "$1" && find . -mindepth 1 -maxdepth 1 ! -name overlay2 -exec cp -a {} "$2/" \;)
}

kind_config() {
  cat <<END
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
name: $kind_name
nodes:
- role: control-plane
$([ "$nodes" = 1 ] || echo "- role: worker")
kubeadmConfigPatches:
- |
  kind: ClusterConfiguration
  etcd:
    local:
      extraArgs:
        unsafe-no-fsync: "true"
  scheduler:
    extraArgs:
      leader-elect: "false"
  controllerManager:
    extraArgs:
      leader-elect: "false"
END
  [ $intervals = short ] || return 0
  # The HorizontalPodAutoscaler looks every second instead of 15, believes a new pod's CPU after 5 seconds instead of 30 and
  # starting pods after 10 instead of 300; the kubelet measures containers every 2 seconds instead of 10.
  cat <<END
      horizontal-pod-autoscaler-sync-period: 1s
      horizontal-pod-autoscaler-downscale-stabilization: 5s
      horizontal-pod-autoscaler-initial-readiness-delay: 5s
      horizontal-pod-autoscaler-cpu-initialization-period: 10s
- |
  kind: InitConfiguration
  nodeRegistration:
    kubeletExtraArgs:
      housekeeping-interval: 2s
- |
  kind: JoinConfiguration
  nodeRegistration:
    kubeletExtraArgs:
      housekeeping-interval: 2s
END
}

apply_addons() {
  local resolution=15s
  [ $intervals = real ] || resolution=10s
  step "KEDA $keda and metrics-server $metrics_server"
  # A CRD of KEDA is larger than what client-side apply may store beside the object.
  kube apply --server-side -f "$cache/manifests/keda.yaml" -f "$cache/manifests/metrics-server-$resolution.yaml" >"$cache/log/$name-addons.log"
}

wait_ready() {
  local namespaces="kube-system local-path-storage" apis="" namespace api
  [ $addons = no ] || { namespaces+=" keda-system"; apis="v1beta1.metrics.k8s.io v1beta1.external.metrics.k8s.io"; }
  kube wait --for=condition=Ready nodes --all --timeout=120s >/dev/null || not_ready
  for namespace in $namespaces; do kube -n "$namespace" wait --for=condition=Available deployments --all --timeout=180s >/dev/null || not_ready; done
  for api in $apis; do kube wait --for=condition=Available "apiservice/$api" --timeout=60s >/dev/null || not_ready; done
  until_true 30 kube -n default get serviceaccount default || not_ready
}

not_ready() {
  kube get nodes,pods -A -o wide >&2 || true
  kube get events -A --sort-by=.lastTimestamp 2>/dev/null | tail -20 >&2 || true
  die "the cluster $name did not get ready in time"
}

# Whatever is there of it, whole or half-made. A state that names no engine was made on none.
cluster_remove() {
  if [ $way = private ]; then
    needs_root
    engine_end
  elif [ -x "$programs/kind" ]; then
    logged "$name-delete" "$programs/kind" delete cluster --name "$kind_name" --kubeconfig "$kubeconfig"
  fi
  rm -rf "${state:?}"
}

lab_down() {
  use_cluster
  locked "$name" cluster_remove
  step "the cluster $name is down"
}

lab_env() {
  use_cluster
  [ -e "$state/made" ] || die "there is no cluster $name; start it: tests/cluster/lab up $name"
  [ $way = private ] || published_image
  cat <<END
export KUBECONFIG='$kubeconfig' KEDACTL_TEST_KUBECONFIG='$kubeconfig' KEDACTL_TEST_CLUSTER='$kind_name'
export KEDACTL_TEST_NODE_IMAGE='$([ $way = docker ] && echo "$published" || echo "$node_image")' KEDACTL_TEST_MANIFESTS='$cache/manifests'
export NS='${enter[*]}'$([ $way = docker ] || echo " DOCKER_HOST='$DOCKER_HOST'")
export PATH='$programs':"\$PATH"
END
}

lab_exec() {
  [ ${#command[@]} -gt 0 ] || usage
  eval "$(lab_env)"
  exec $NS "${command[@]}"
}

lab_status() {
  local made
  for made in "$runs"/*/made; do
    [ -e "$made" ] || { say "no cluster is up"; return; }
    name=$(basename "$(dirname "$made")"); use_cluster
    printf '%s\t%s\t%s\n' "$name" "$(engine_is_there && api_ready && echo up || echo broken)" "$(cat "$made")"
  done
}

lab_clean() {
  local made
  for made in "$runs"/*; do [ ! -d "$made" ] || { name=$(basename "$made"); lab_down; }; done
  rm -rf "$cache"
}
