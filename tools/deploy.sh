#!/usr/bin/env bash
# Gives the servers of a cluster another image, asks them, and takes the image back when they do not answer as they should.
#
#     KUBECONFIG_TEXT=... SMOKE_HEADER="x-api-key: KEY" tools/deploy.sh IMAGE URL
set -euo pipefail
cd "$(dirname "$0")/.."
image=$1 url=$2
umask 077
KUBECONFIG=$(mktemp)
export KUBECONFIG
trap 'rm -f "$KUBECONFIG"' EXIT
printf '%s' "$KUBECONFIG_TEXT" > "$KUBECONFIG"
unset KUBECONFIG_TEXT
servers=deployment/fairlead-server
take_back() {
    echo "$image is taken back" >&2
    kubectl --namespace fairlead rollout undo "$servers"
    kubectl --namespace fairlead rollout status "$servers" --timeout=10m
    exit 1
}
kubectl --namespace fairlead set image "$servers" server="$image"
kubectl --namespace fairlead rollout status "$servers" --timeout=10m || take_back
python3 deploy/smoke.py "$url" || take_back
