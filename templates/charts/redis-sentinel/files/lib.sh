# shellcheck shell=sh disable=SC2034
# What the other scripts share. Passwords go through standard input only: arguments and environment can be read by others.

# host ORDINAL: the name by which the pods, the Sentinels and the clients know a pod.
host() { printf '%s-%s.%s' "$SET" "$1" "$DOMAIN"; }

# Settings last, so that they may replace what stands above.
# shellcheck source=/dev/null
. "${0%/*}/settings.sh"

ordinal=${POD_NAME##*-}
own=$(host "$ordinal")
majority=$((NODES / 2 + 1))
memory=$DATA/sentinel/master
cr=$(printf '\r')

log() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

# quoted FILE: the first line of a file as one word of redis.conf and of redis-cli's input.
quoted() { sed -e 's/[\\"]/\\&/g' -e 's/.*/"&"/' -e q "$1"; }

# ask HOST PORT PASSWORD-FILE COMMAND: the reply, one value a line; fails where nobody answers or lets us in.
ask() {
  { printf 'AUTH '; quoted "$3"; printf '\n%s\n' "$4"; } |
    timeout 2 redis-cli -h "$1" -p "$2" 2>/dev/null |
    { read -r greeting && [ "$greeting" = OK ] && cat; }
}
redis() { ask "$1" "$PORT" "$SECRETS/redis-password" "$2"; }
sentinel() { ask "$1" "$SENTINEL_PORT" "$SECRETS/sentinel-password" "$2"; }

# field NAME: its value in a reply of names and values by turns.
field() {
  while read -r name && read -r value; do
    [ "$name" != "$1" ] || { printf '%s\n' "$value"; return 0; }
  done
  return 1
}

# info NAME: its value in what INFO says.
info() {
  while IFS=: read -r name value; do
    [ "$name" != "$1" ] || { printf '%s\n' "${value%"$cr"}"; return 0; }
  done
  return 1
}

# view ORDINAL: "EPOCH MASTER" as the pod's Sentinel sees it; nothing where it does not answer.
view() {
  reply=$(sentinel "$(host "$1")" "SENTINEL MASTER $MASTER_SET") || return 0
  seen=$(printf '%s\n' "$reply" | field ip) || return 0
  at=$(printf '%s\n' "$reply" | field config-epoch) || return 0
  printf '%s %s\n' "$at" "$seen"
}

# survey: asks all Sentinels at once; sets `answers`, and `epoch` and `master` of the newest view.
survey() {
  node=0
  while [ "$node" -lt "$NODES" ]; do
    view "$node" >"$RUN/view.${0##*/}.$node" &
    node=$((node + 1))
  done
  wait
  answers=0 epoch=-1 master=
  node=0
  while [ "$node" -lt "$NODES" ]; do
    if read -r at seen <"$RUN/view.${0##*/}.$node"; then
      answers=$((answers + 1))
      [ "$at" -le "$epoch" ] || { epoch=$at; master=$seen; }
    fi
    node=$((node + 1))
  done
}

# failover: asks the Sentinels, the other pods' first, until one begins or has begun.
failover() {
  step=1
  while [ "$step" -le "$NODES" ]; do
    reply=$(sentinel "$(host $(((ordinal + step) % NODES)))" "SENTINEL FAILOVER $MASTER_SET") || reply=
    case $reply in
      OK | *INPROG*) return 0 ;;
      ?*) log "fail-over refused: $reply" ;;
    esac
    step=$((step + 1))
  done
  return 1
}
