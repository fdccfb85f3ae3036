#!/bin/sh
# Readiness of the server: a master, or a replica that has what its master has. A rolling update waits for it.
set -eu
# shellcheck source=lib.sh
. "${0%/*}/lib.sh"
[ ! -e "$RUN/deciding" ] || { log "waiting for a role"; exit 1; }
state=$(redis "$own" "INFO replication") || { log "no answer"; exit 1; }
[ "$(printf '%s\n' "$state" | info role)" != master ] || exit 0
link=$(printf '%s\n' "$state" | info master_link_status)
[ "$link" = up ] || { log "the link to the master is $link"; exit 1; }
