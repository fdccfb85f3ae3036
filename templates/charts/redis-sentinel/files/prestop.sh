#!/bin/sh
# Before the server stops: a master hands over. Writes wait meanwhile, so that nothing is accepted that the next one does not have.
set -eu
# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

state=$(redis "$own" "INFO replication") || exit 0
[ "$(printf '%s\n' "$state" | info role)" = master ] || exit 0
[ "$(printf '%s\n' "$state" | info connected_slaves)" -gt 0 ] || exit 0

redis "$own" "CLIENT PAUSE 20000 WRITE" >/dev/null || true
asked='' alone=0 left=15
while [ "$left" -gt 0 ]; do
  survey
  if [ -n "$master" ] && [ "$master" != "$own" ]; then
    log "handed over to $master"
    redis "$own" "REPLICAOF $master $PORT" >/dev/null || true
    break
  fi
  # All pods go at once: no Sentinel is left to begin a fail-over, or to end one.
  if [ "$answers" -gt 0 ]; then alone=0; else alone=$((alone + 1)); fi
  if [ "$alone" -gt 1 ]; then
    log "no Sentinel answers any more"
    break
  fi
  if [ -z "$asked" ] && failover; then asked=1; fi
  sleep 1
  left=$((left - 1))
done
# Who waits with a write is answered now: by READONLY after a hand-over, else by this server.
redis "$own" "CLIENT UNPAUSE" >/dev/null || true
