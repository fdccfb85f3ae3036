#!/bin/sh
# Liveness of the server: it answers, be it that it loads, has no master or runs a long script; or it still waits for its role.
set -eu
# shellcheck source=lib.sh
. "${0%/*}/lib.sh"
[ ! -e "$RUN/deciding" ] || exit 0
reply=$(redis "$own" PING) || { log "no answer"; exit 1; }
case $reply in
  PONG | LOADING* | MASTERDOWN* | BUSY*) ;;
  *) log "the server said: $reply"; exit 1 ;;
esac
