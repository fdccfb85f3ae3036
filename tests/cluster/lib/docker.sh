# Sourced by ../lab: the other way, where a Docker engine and a registry of images are there: kind's own node image on that
# engine. It must not start or stop an engine.

# Which way: what the cluster was started with, else $KEDACTL_CLUSTER_ENGINE (docker, private), else docker where it can
# have kind's node image, else private.
choose_engine() {
  local recorded; recorded=$(cat "$runs/$name/engine" 2>/dev/null || true)
  way=${recorded:-${KEDACTL_CLUSTER_ENGINE:-auto}}
  case $way in
    docker | private) ;;
    auto) if docker version >/dev/null 2>&1 && published_image; then way=docker; else way=private; fi ;;
    *) die "KEDACTL_CLUSTER_ENGINE is docker, private or auto, not \`$way\`" ;;
  esac
}

# The node image that this kind was published with, whose name and digest are a constant of its source; or another one.
published_image() {
  needs_go
  published=${KEDACTL_CLUSTER_NODE_IMAGE-}
  [ -n "$published" ] || published=$(sed -n 's/^const Image = "\(.*\)"/\1/p' "$(module "sigs.k8s.io/kind@$kind")/pkg/apis/config/defaults/image.go")
  [ -n "$published" ] || die "kind $kind does not name its node image where this script looks"
  docker image inspect "$published" >/dev/null 2>&1 || docker pull -q "$published" >/dev/null 2>&1
}

prepare_docker() {
  mkdir -p "$programs" "$cache/build"
  published_image || die "the Docker engine cannot pull $published; KEDACTL_CLUSTER_ENGINE=private needs no registry"
  unpack_archive
  while read -r program module_version package; do
    case $program in
      kind) of_module kind "$module_version" "$package" ;;
      helm) of_module helm "$module_version" "$package" "$(helm_flags)" ;;
    esac
  done < <(archived)
  [ -x "$kubectl" ] || { docker run --rm --entrypoint cat "$published" /usr/bin/kubectl >"$kubectl.part" && chmod 755 "$kubectl.part" && mv "$kubectl.part" "$kubectl"; }
  render_addons
}

# The tests' sample image: busybox and Redis, as Redis' own small image has them.
sample_on_docker() {
  docker image inspect "$sample_image" >/dev/null 2>&1 || { logged sample docker pull docker.io/library/redis:7-alpine && docker tag docker.io/library/redis:7-alpine "$sample_image"; }
  logged "$name-sample" "$programs/kind" load docker-image "$sample_image" --name "$kind_name"
}

# Capabilities by number: without these two no namespace, mount or bridge can be made.
lab_check() {
  local effective reason=
  name=main; choose_engine
  [ "$way" = private ] || return 0
  effective=$((16#$(sed -n 's/^CapEff:\t//p' /proc/self/status)))
  if [ "$(uname -sm)" != "Linux x86_64" ]; then reason="no private container engine on $(uname -sm)"
  elif [ "$(id -u)" != 0 ]; then reason="a private container engine needs root"
  elif ! ((effective >> 21 & 1)) || ! ((effective >> 12 & 1)); then reason="a private container engine needs CAP_SYS_ADMIN and CAP_NET_ADMIN"
  elif ! command -v apt-get >/dev/null; then reason="the node image is made of Debian packages, and there is no apt-get"
  fi
  [ -z "$reason" ] || { printf '%s\n' "$reason"; return 1; }
}
