#!/bin/sh
# Liveness of the Sentinel: it answers.
set -eu
# shellcheck source=lib.sh
. "${0%/*}/lib.sh"
reply=$(sentinel "$own" PING) || { log "no answer"; exit 1; }
[ "$reply" = PONG ] || { log "the Sentinel said: $reply"; exit 1; }
