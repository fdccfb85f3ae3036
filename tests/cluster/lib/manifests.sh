# Sourced by ../lab: the manifests of KEDA and metrics-server, rendered from their own modules into $cache/manifests.
# It must not speak to a cluster.

# render_addons: KEDA goes to keda-system, as the namespace `keda` is the application's.
render_addons() {
  local out=$cache/manifests key resolution
  key=$(cat "$here"/manifests/*/kustomization.yaml "$here/lib/manifests.sh" | sha256sum | cut -c1-16)-$keda-$metrics_server
  [ "$(cat "$out/.key" 2>/dev/null)" != "$key" ] || return 0
  rm -rf "$out"; mkdir -p "$out"
  overlay keda "github.com/kedacore/keda/v2@v$keda" config "s/VERSION/$keda/" >"$out/keda.yaml"
  sed -i -E -e 's/^( +namespace: )keda$/\1keda-system/' -e 's/^(  name: )keda$/\1keda-system/' "$out/keda.yaml"
  for resolution in 10s 15s; do
    overlay metrics-server "sigs.k8s.io/metrics-server@$metrics_server" manifests "s/RESOLUTION/$resolution/" >"$out/metrics-server-$resolution.yaml"
  done
  echo "$key" >"$out/.key"
}

# overlay NAME MODULE@VERSION FOLDER SCRIPT: our kustomization NAME on top of the module's folder.
overlay() {
  local work=$cache/build/manifests source
  source=$(module "$2"); [ -n "$source" ] || die "the module $2 could not be downloaded"
  rm -rf "$work"; mkdir -p "$work"
  cp -r --no-preserve=mode "$source/$3" "$work/upstream"
  sed "$4" "$here/manifests/$1/kustomization.yaml" >"$work/kustomization.yaml"
  "$kubectl" kustomize "$work" 2> >(grep -v "^# Warning: .commonLabels" >&2 || true)
  rm -rf "$work"
}
