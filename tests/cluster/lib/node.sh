# Sourced by ../lab: the node image, made of Debian packages, kind's own files and our programs, and kept as the data root
# of an engine that has loaded it ($node/docker), from which every cluster's engine starts by hard links. It must not need
# a registry of images.

suite=bookworm
node_packages="systemd conntrack iptables nftables iproute2 ethtool util-linux mount kmod procps jq \
ca-certificates bash curl socat containerd runc libseccomp2 pigz redis-server redis-tools"
node_image=localhost/kedactl/node:v$kubernetes
sample_image=localhost/kedactl/sample:1 # busybox and Redis, for the tests

root=$cache/build/root

# What the image is made from; another key is another image.
node_key() {
  {
    cat "$here/lib/node.sh" "$here/lib/images.sh" "$here/manifests/network.yaml"
    for name in nodebin runcwrap coredns local-path-provisioner kube-state-metrics pause; do cat "$programs/.$name"; done
    archived
  } | sha256sum | cut -c1-16
}

debian_base() {
  local base=$cache/build/base key part; key=$(echo "$suite $node_packages" | sha256sum | cut -c1-16)
  [ "$(cat "$base/.key" 2>/dev/null)" != "$key" ] || return 0
  step "Debian $suite: $node_packages"
  part=$cache/build/base.part
  rm -rf "$base" "$part"; mkdir -p "$cache/build"
  logged debian mmdebstrap --quiet --variant=apt --include="${node_packages// /,}" --dpkgopt=force-unsafe-io \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    "$suite" "$part" $(debian_sources)
  echo "$key" >"$part/.key"
  mv "$part" "$base"
}

# This machine's own mirrors, if they are of the same suite.
debian_sources() {
  grep -lE "(^deb .*|^Suites:.*) *$suite" /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null || true
}

# The root file system: as kind's Dockerfile makes its own, with Debian's containerd and runc.
root_files() {
  local files program unit
  rm -rf "$root" && cp -a "$cache/build/base" "$root" && rm "$root/.key"
  files=$(module "sigs.k8s.io/kind@$kind")/images/base/files
  cp -r --no-preserve=mode,ownership "$files/." "$root/"; rm -rf "$root/LICENSES"
  chmod 755 "$root"/usr/local/bin/* "$root/kind/bin" "$root"/kind/bin/*
  for program in containerd ctr containerd-shim-runc-v2; do ln -s "/usr/bin/$program" "$root/usr/local/bin/$program"; done
  install -D -m755 "$programs/runcwrap" "$root/usr/local/sbin/runc" # before runc in PATH
  install -m755 "$programs/nodebin" "$root/usr/bin/nodebin"
  for program in kubelet kubeadm kubectl crictl; do ln -s nodebin "$root/usr/bin/$program"; done
  mkdir -p "$root/opt/cni/bin"
  for program in host-local loopback ptp portmap bridge; do install -m755 "/usr/lib/cni/$program" "$root/opt/cni/bin/"; done
  rm -rf "$root"/etc/cni/net.d/*
  # The pause image that kubeadm asks for; and no lowering of OOM scores, which some machines do not let root do.
  sed -i -E -e "s#(/pause:)[0-9.]+\"#\1$pause\"#" -e 's/(restrict_oom_score_adj = )false/\1true/' "$root/etc/containerd/config.toml"
  chroot "$root" sh -c 'ctr oci spec | jq "del(.process.rlimits) |
    .hooks.createContainer = (.hooks.createContainer // []) + [{path: \"/kind/bin/mount-product-files.sh\"}]"' >"$root/etc/containerd/cri-base.json"
  mkdir -p "$root/etc/kubernetes/manifests" "$root/kind/manifests"
  printf 'v%s' "$kubernetes" >"$root/kind/version"
  cp "$here/manifests/network.yaml" "$root/kind/manifests/default-cni.yaml"
  storage_manifest >"$root/kind/manifests/default-storage.yaml"
  root_services
}

root_services() {
  local units=$root/lib/systemd/system
  find "$units/sysinit.target.wants" -name systemd-tmpfiles-setup.service -delete
  rm -f "$units"/multi-user.target.wants/* "$root"/etc/systemd/system/*.wants/* "$units"/local-fs.target.wants/* \
    "$units"/sockets.target.wants/*{udev,initctl}* "$units"/basic.target.wants/*
  echo ReadKMsg=no >>"$root/etc/systemd/journald.conf"
  ln -sf /lib/systemd/systemd "$root/sbin/init"
  chroot "$root" systemctl -q enable kubelet.service containerd.service undo-mount-hacks.service
  chroot "$root" systemctl -q mask systemd-binfmt.service
  rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/usr/share/{doc,man,info,locale,lintian} \
    "$root"/usr/lib/udev/hwdb.* "$root"/etc/udev/hwdb.bin "$root"/etc/{resolv.conf,hostname}
  : >"$root/etc/machine-id"
}

# kind's storage manifest is a constant of its source.
storage_manifest() {
  local text
  text=$(sed -n '/^const defaultStorageManifest = `/,/^`/p' "$(module "sigs.k8s.io/kind@$kind")/pkg/build/nodeimage/const_storage.go" |
    sed -e '1d;$d' -e 's#` + storageProvisionerImage + `#localhost/kedactl/local-path-provisioner:1#' \
      -e 's#` + storageHelperImage + `#'"$sample_image"'#')
  grep -qF "$sample_image" <<<"$text" || die "kind $kind has another storage manifest than this script knows"
  printf '%s\n' "$text"
}

# The image is one layer, loaded into an engine whose data root is then kept.
node_image() {
  node=$cache/node/$(node_key)
  [ ! -e "$node/docker" ] || return 0
  rm -rf "$cache/node"; mkdir -p "$node"
  step "node image: files"
  root_files
  step "node image: the images inside"
  layers
  import_images
  rm -f "$root"/usr/bin/redis-*
  step "node image: loading it into an engine"
  mkdir -p "$cache/build/node"
  tar --sort=name --numeric-owner --xattrs -C "$root" -cf "$cache/build/node/root.tar" .
  printf '[{"name": "%s", "layers": ["root.tar"], "config": {"Entrypoint": ["/usr/local/bin/entrypoint", "/sbin/init"], "Env": ["container=docker", "%s"], "StopSignal": "SIGRTMIN+3"}}]' \
    "$node_image" "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" |
    TMPDIR=$cache/build "$programs/pack" "$cache/build/node/node.tar" "$cache/build/node"
  (
    use_engine build "$node/docker.part"
    trap engine_end EXIT
    engine_start
    logged load docker load -i "$cache/build/node/node.tar"
    docker image inspect "$node_image" >/dev/null
    engine_stop
  )
  mv "$node/docker.part" "$node/docker"
  rm -rf "$root" "$cache/build/node" "$cache/build/layers"
}

lab_prepare() {
  locked build prepare
  node=$cache/node/$(node_key)
}

# Compiling keeps both cores busy, so that what waits for the network runs beside it.
prepare() {
  local base small
  mkdir -p "$programs" "$cache/build"
  needs_root
  needs_packages
  needs_go
  debian_base & base=$!
  trap 'kill $base 2>/dev/null || true' EXIT
  build_small
  unpack_archive
  build_nodebin
  of_module coredns "github.com/coredns/coredns@$coredns" . "" only_these_plugins
  of_module local-path-provisioner "github.com/rancher/local-path-provisioner@$local_path" .
  of_module kube-state-metrics "k8s.io/kube-state-metrics/v2@$kube_state_metrics" .
  build_archived
  build_pause
  render_addons
  wait "$base" || die "Debian's files for the node could not be had"
  trap - EXIT
  node_image
}

needs_packages() {
  wanted=
  local package
  for package in $engine_packages mmdebstrap zstd gcc libc6-dev; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || wanted="$wanted $package"
  done
  [ -n "$wanted" ] || return 0
  say "installing:$wanted"
  # shellcheck disable=SC2086
  quietly_install $wanted
}
