#!/bin/sh
# Readiness of the Sentinel: it says who the master is, which is what clients ask it.
set -eu
# shellcheck source=lib.sh
. "${0%/*}/lib.sh"
reply=$(sentinel "$own" "SENTINEL GET-MASTER-ADDR-BY-NAME $MASTER_SET") || { log "no answer"; exit 1; }
[ -n "$reply" ] || { log "no master is known"; exit 1; }
