# Sourced by ../lab: the container images inside the node image. It must not need a running engine.

# tree FOLDER: the files that every image has.
tree() {
  mkdir -p "$1"/{tmp,etc/ssl/certs,var/tmp,run,proc,sys,dev}; chmod 1777 "$1/tmp"
  printf 'root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/false\nnonroot:x:65532:65532::/tmp:/bin/false\n' >"$1/etc/passwd"
  printf 'root:x:0:\nnobody:x:65534:\nnonroot:x:65532:\n' >"$1/etc/group"
  printf 'hosts: files dns\n' >"$1/etc/nsswitch.conf"
  cp "$cache/build/base/etc/ssl/certs/ca-certificates.crt" "$1/etc/ssl/certs/"
}

# with_libraries FOLDER PROGRAM…: Debian's programs with the libraries that they load, under their own paths.
with_libraries() {
  local to=$1 base=$cache/build/base file; shift
  for file in "$@"; do
    mkdir -p "$to$(dirname "$file")"; cp -L "$base$file" "$to$file"
    chroot "$base" ldd "$file" 2>/dev/null | grep -o '/[^ ]*' || true
  done | sort -u | while read -r file; do mkdir -p "$to$(dirname "$file")"; cp -L "$base$file" "$to$file"; done
}

links() { local target=$1 folder=$2 name; shift 2; mkdir -p "$folder"; for name in "$@"; do ln -sf "$target" "$folder/$name"; done; }

# One layer a program; several images share the first and the second.
layers() {
  local at=$cache/build/layers name
  rm -rf "$at"
  tree "$at/kubernetes"; install -D -m755 "$programs/nodebin" "$at/kubernetes/usr/local/bin/nodebin"
  links nodebin "$at/kubernetes/usr/local/bin" kube-apiserver kube-controller-manager kube-scheduler kube-proxy etcd kindnet kubectl

  mkdir -p "$at/network/usr/sbin"
  (cd "$cache/build/base" && find usr/lib/x86_64-linux-gnu/xtables -name '*.so' -printf '/%p\n') >"$cache/build/extensions"
  # shellcheck disable=SC2046
  with_libraries "$at/network" /usr/sbin/xtables-nft-multi /usr/sbin/xtables-legacy-multi /usr/sbin/nft /usr/sbin/conntrack /bin/ip $(cat "$cache/build/extensions")
  for name in iptables ip6tables; do
    links xtables-nft-multi "$at/network/usr/sbin" $name{,-nft}{,-save,-restore}
    links xtables-legacy-multi "$at/network/usr/sbin" $name-legacy{,-save,-restore}
  done
  install -D -m755 /bin/busybox "$at/network/bin/busybox"
  links busybox "$at/network/bin" sh cat ls grep sleep

  tree "$at/sample"; install -D -m755 /bin/busybox "$at/sample/bin/busybox"
  links busybox "$at/sample/bin" sh cat ls mkdir rm chmod sleep wget nslookup nc httpd hostname date touch
  with_libraries "$at/sample" /usr/bin/redis-server /usr/bin/redis-cli
  mkdir -p "$at/sample/www"; echo ok >"$at/sample/www/index.html"

  tree "$at/coredns"; install -m755 "$programs/coredns" "$at/coredns/coredns"
  tree "$at/storage"; install -D -m755 "$programs/local-path-provisioner" "$at/storage/usr/local/bin/local-path-provisioner"
  mkdir -p "$at/pause"; install -m755 "$programs/pause" "$at/pause/pause"
  for name in keda keda-adapter keda-admission-webhooks metrics-server kube-state-metrics; do tree "$at/$name"; install -m755 "$programs/$name" "$at/$name/$name"; done
}

# The images by the names under which they are published, so that upstream's manifests need no change.
image_list() {
  local name
  {
  for name in kube-apiserver kube-controller-manager kube-scheduler; do image "registry.k8s.io/$name:v$kubernetes" kubernetes "/usr/local/bin/$name"; done
  image "registry.k8s.io/etcd:$etcd" kubernetes /usr/local/bin/etcd
  image "registry.k8s.io/kube-proxy:v$kubernetes" 'kubernetes network' /usr/local/bin/kube-proxy
  image localhost/kedactl/kindnet:1 'kubernetes network' /usr/local/bin/kindnet
  image "registry.k8s.io/coredns/coredns:$coredns" coredns /coredns
  image "registry.k8s.io/pause:$pause" pause /pause 65535:65535
  image localhost/kedactl/local-path-provisioner:1 storage /usr/local/bin/local-path-provisioner
  image "ghcr.io/kedacore/keda:$keda" keda /keda 1000:1000
  image "ghcr.io/kedacore/keda-metrics-apiserver:$keda" keda-adapter /keda-adapter 1000:1000
  image "ghcr.io/kedacore/keda-admission-webhooks:$keda" keda-admission-webhooks /keda-admission-webhooks 1000:1000
  image "registry.k8s.io/metrics-server/metrics-server:$metrics_server" metrics-server /metrics-server 1000:1000
  image "registry.k8s.io/kube-state-metrics/kube-state-metrics:$kube_state_metrics" kube-state-metrics /kube-state-metrics 65534:65534
  image "$sample_image" sample /bin/sh
  } | paste -sd, | sed 's/.*/[&]/'
}

# image NAME LAYERS ENTRYPOINT [USER]
image() { printf '{"name": "%s", "layers": ["%s"], "config": {"Entrypoint": ["%s"], "User": "%s", "WorkingDir": "/"}}\n' "$1" "${2// /\", \"}" "$3" "${4-}"; }

# Into the store of the node's containerd, by that containerd itself.
import_images() {
  image_list | TMPDIR=$cache/build "$programs/pack" "$cache/build/images.tar" "$cache/build/layers"
  mv "$cache/build/images.tar" "$root/images.tar"
  logged import unshare --mount --pid --fork --kill-child chroot "$root" /bin/bash -euc '
    mount -t proc proc /proc; mount -t tmpfs tmpfs /run; mount -t tmpfs tmpfs /tmp
    containerd >/tmp/log 2>&1 & containerd=$!
    for _ in $(seq 100); do ctr version >/dev/null 2>&1 && break; sleep 0.1; done
    ctr version >/dev/null || { cat /tmp/log; exit 1; }
    ctr -n k8s.io images import --all-platforms --no-unpack --digests /images.tar
    for image in $(kubeadm config images list --kubernetes-version v'"$kubernetes"' 2>/dev/null); do
      ctr -n k8s.io images list -q | grep -qxF "$image" || { echo "kubeadm wants $image, and it is not there"; exit 1; }
    done
    kill $containerd; wait $containerd || true'
  rm "$root/images.tar"
}
