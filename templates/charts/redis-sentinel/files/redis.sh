#!/bin/sh
# Starts the server in the role that the Sentinels give it. It never starts as master while a replica may hold more.
set -eu
# shellcheck source=lib.sh
. "${0%/*}/lib.sh"
umask 077
trap 'exit 143' TERM INT
conf=$RUN/redis.conf

empty() { [ ! -e "$DATA/redis/appendonlydir" ] && [ ! -e "$DATA/redis/dump.rdb" ]; }

# ahead ORDINAL: whether that server lived on while this one did not, or has keys where this one has no files.
ahead() {
  state=$(redis "$(host "$1")" "INFO replication") || return 1
  heard=$((heard + 1))
  [ "$(printf '%s\n' "$state" | info role)" = slave ] || return 0
  # Only a replica that had no link to its master since it started says -1.
  [ "$(printf '%s\n' "$state" | info master_link_down_since_seconds)" = -1 ] || return 0
  empty && [ -n "$(redis "$(host "$1")" "INFO keyspace" | info db0)" ]
}

# anyone_ahead: asks the other servers; `heard` tells how many answered.
anyone_ahead() {
  peer=0 heard=0
  while [ "$peer" -lt "$NODES" ]; do
    if [ "$peer" != "$ordinal" ] && ahead "$peer"; then return 0; fi
    peer=$((peer + 1))
  done
  return 1
}

# decide: sets `master` as soon as a majority of the Sentinels answers and this server may follow or lead.
decide() {
  waited=0
  while :; do
    survey
    if [ "$answers" -lt "$majority" ]; then
      reason="$answers of $NODES Sentinels answer, $majority are needed"
    elif [ "$master" != "$own" ]; then
      return 0
    elif ! anyone_ahead; then
      # Without data of its own it must hear from everybody first: at a first start, and when its volume was lost.
      if ! empty || [ "$heard" -eq $((NODES - 1)) ] || [ "$waited" -ge "$PATIENCE" ]; then return 0; fi
      reason="this server has no data, and only $heard others can be asked whether they have"
    elif [ "$waited" -lt "$((DOWN_AFTER / 1000 + 3))" ]; then
      # A fail-over may be on its way; a second one beside it would move the master twice.
      reason="the Sentinels may promote another server"
    elif failover; then
      reason="another server takes over"
    elif [ "$waited" -ge "$PATIENCE" ] && ! empty; then
      log "no replica could be promoted in $PATIENCE s: going on with the data of this volume"
      return 0
    else
      reason="this server was master, another may hold more, and the Sentinels cannot promote it yet"
    fi
    [ $((waited % 10)) -ne 0 ] || log "waiting: $reason"
    sleep 1
    waited=$((waited + 1))
  done
}

if [ "$SENTINELS" -eq 0 ]; then
  master=$own epoch=0
else
  : >"$RUN/deciding"
  decide
fi
{
  cat "$SCRIPTS/redis.conf" "$RUN/auth.redis"
  printf 'dir %s/redis\nreplica-announce-ip %s\nreplica-announce-port %s\n' "$DATA" "$own" "$PORT"
  [ "$master" = "$own" ] || printf 'replicaof %s %s\n' "$master" "$PORT"
} >"$conf"
log "master is $master, epoch $epoch"
rm -f "$RUN/deciding"
exec redis-server "$conf"
