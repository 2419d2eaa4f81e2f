#!/usr/bin/env bash
# Two copies of the built model repository, in which one name, `readability`, is the one pipeline or the other.
#
#   deploy/kserve/repositories.sh build/kserve
#
# KServe splits traffic between deployments or revisions of a service, never between models, which clients name in their
# requests. So these differ in what is behind the name.
set -euo pipefail
[ $# -eq 1 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 2; }
project="$(cd "$(dirname "$0")/../.." && pwd)"
for pipeline in ensemble_all bls_pipeline; do
    mkdir -p "$1/$pipeline"
    cp -rL "$project/model_repository/." "$1/$pipeline"
    rm -rf "$1/$pipeline/readability"
    cp -r "$1/$pipeline/$pipeline" "$1/$pipeline/readability"
    sed -i "s/^name: \"$pipeline\"/name: \"readability\"/" "$1/$pipeline/readability/config.pbtxt"
done
# Twice the orchestrator would be two queues before one encoder; policies read the DAG of `ensemble_all`, which stays.
rm -r "$1/bls_pipeline/bls_pipeline" "$1/ensemble_all/bls_pipeline"
