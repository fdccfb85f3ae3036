#!/bin/sh
# Starts the Sentinel. Its file lives as long as the pod; what must outlive the pod is the master's name, see remember.sh.
set -eu
# shellcheck source=lib.sh
. "${0%/*}/lib.sh"
umask 077
conf=$RUN/sentinel.conf

# The newest master that anybody knows: the other Sentinels, else what this pod remembers, else the first pod.
find_master() {
  survey
  if [ -s "$memory" ] && read -r at seen <"$memory" && [ "$at" -gt "$epoch" ]; then
    epoch=$at master=$seen
  fi
  [ -n "$master" ] || { epoch=0; master=$(host 0); }
}

compose() {
  cat "$SCRIPTS/sentinel.conf" "$RUN/auth.sentinel"
  printf 'dir %s\n' "$RUN"
  printf 'sentinel myid %s%02x\n' "$ID" "$ordinal"
  printf 'sentinel announce-ip %s\nsentinel announce-port %s\n' "$own" "$SENTINEL_PORT"
  printf 'sentinel monitor %s %s %s %s\n' "$MASTER_SET" "$master" "$PORT" "$QUORUM"
  cat "$RUN/auth.master"
  printf 'sentinel down-after-milliseconds %s %s\n' "$MASTER_SET" "$STARTUP_DOWN_AFTER"
  printf 'sentinel failover-timeout %s %s\n' "$MASTER_SET" "$FAILOVER_TIMEOUT"
  printf 'sentinel parallel-syncs %s %s\n' "$MASTER_SET" "$PARALLEL_SYNCS"
  printf 'sentinel client-reconfig-script %s %s/remember.sh\n' "$MASTER_SET" "$SCRIPTS"
  printf 'sentinel config-epoch %s %s\n' "$MASTER_SET" "$epoch"
  node=0
  while [ "$node" -lt "$NODES" ]; do
    [ "$(host "$node")" = "$master" ] ||
      printf 'sentinel known-replica %s %s %s\n' "$MASTER_SET" "$(host "$node")" "$PORT"
    [ "$node" = "$ordinal" ] ||
      printf 'sentinel known-sentinel %s %s %s %s%02x\n' "$MASTER_SET" "$(host "$node")" "$SENTINEL_PORT" "$ID" "$node"
    node=$((node + 1))
  done
  printf 'sentinel current-epoch %s\n' "$epoch"
}

# The long patience of the start ends when the master was seen, or after as long as that patience lasts.
calm() {
  left=$((STARTUP_DOWN_AFTER / 1000 + 5))
  while [ "$left" -gt 0 ]; do
    flags=$(sentinel "$own" "SENTINEL MASTER $MASTER_SET" | field flags) || flags=
    [ "$flags" != master ] || break
    sleep 1
    left=$((left - 1))
  done
  until [ "$(sentinel "$own" "SENTINEL SET $MASTER_SET down-after-milliseconds $DOWN_AFTER")" = OK ]; do sleep 1; done
}

if [ ! -s "$conf" ]; then
  find_master
  log "monitoring $master, epoch $epoch"
  compose >"$conf.new"
  mv "$conf.new" "$conf"
  printf '%s %s\n' "$epoch" "$master" >"$memory.new"
  mv "$memory.new" "$memory"
fi
calm &
exec redis-server "$conf" --sentinel
