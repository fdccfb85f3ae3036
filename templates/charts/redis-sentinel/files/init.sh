#!/bin/sh
# Once for each pod: what holds a password is written into memory, readable by this user alone.
set -eu
# shellcheck source=lib.sh
. "${0%/*}/lib.sh"
umask 077

keys=redis-password
[ "$SENTINELS" -eq 0 ] || keys="$keys sentinel-password"
for key in $keys; do
  [ -s "$SECRETS/$key" ] || { log "$SECRETS/$key is empty"; exit 1; }
  # A second line would be lost without a word; a line end after the first is nothing.
  if [ "$(sed -n '2,$p' "$SECRETS/$key" | wc -c)" -gt 0 ]; then
    log "$SECRETS/$key has more than one line"
    exit 1
  fi
done
servers=$(quoted "$SECRETS/redis-password")
printf 'requirepass %s\nmasterauth %s\n' "$servers" "$servers" >"$RUN/auth.redis"
if [ "$SENTINELS" -gt 0 ]; then
  sentinels=$(quoted "$SECRETS/sentinel-password")
  printf 'requirepass %s\nsentinel sentinel-pass %s\n' "$sentinels" "$sentinels" >"$RUN/auth.sentinel"
  printf 'sentinel auth-pass %s %s\n' "$MASTER_SET" "$servers" >"$RUN/auth.master"
fi
# The exporter reads a JSON object; a quoted word of redis.conf is a JSON string.
printf '{"redis://localhost:%s": %s}\n' "$PORT" "$servers" >"$RUN/exporter.json"
mkdir -p "$DATA/redis" "$DATA/sentinel"
