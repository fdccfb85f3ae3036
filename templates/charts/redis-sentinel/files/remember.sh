#!/bin/sh
# Called by the Sentinel at every fail-over: NAME ROLE STATE FROM-HOST FROM-PORT TO-HOST TO-PORT.
# Keeps the master's name and the fail-over's number on the volume, so that all pods may restart at once. No password goes there.
set -eu
# shellcheck source=lib.sh
. "${0%/*}/lib.sh"
umask 077
[ "$1" = "$MASTER_SET" ] || exit 0
at=$(sed -n "s/^sentinel config-epoch $MASTER_SET //p" "$RUN/sentinel.conf")
monitored=$(sed -n "s/^sentinel monitor $MASTER_SET \([^ ]*\) .*/\1/p" "$RUN/sentinel.conf")
# 1: the Sentinel has not written its file yet, and calls again.
[ -n "$at" ] && [ "$monitored" = "$6" ] || exit 1
printf '%s %s\n' "$at" "$monitored" >"$memory.$$"
mv "$memory.$$" "$memory"
