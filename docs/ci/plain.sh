#!/bin/sh
# A stack, load on it, and your tests beside it, for any service that runs a script. kedactl must be installed (docs/ci.md);
# PROVIDER=local needs no cluster, PROVIDER=kind needs Docker, kind and helm.
set -eu
provider=${PROVIDER:-kind} stack=${STACK:-ci}

# What a killed run left would be in the way.
kedactl down --purge --stack "$stack"
exec kedactl ci --provider "$provider" --stack "$stack" -f fast --timeout 30m \
  --rps "${RPS:-100}" --duration "${DURATION:-20s}" --slo 'p99<2s,lost=0,errors<0.1%' --wait-zero 3m \
  -- sh -c 'curl -fsS "$KEDACTL_API_URL/readyz"'
