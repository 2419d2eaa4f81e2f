#!/usr/bin/env bash
# What the Python models import, as one archive that Triton unpacks for them, for a container that is not to be changed.
#
#   deploy/execution_environment.sh build/served
#
# writes a copy of the built model repository to build/served, with environment.tar.gz beside the models and
# EXECUTION_ENV_PATH in the configuration of each Python model. Needs conda and conda-pack.
set -euo pipefail
[ $# -eq 1 ] || { sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 2; }
for tool in conda conda-pack; do
    command -v "$tool" >/dev/null || { echo "$tool is not installed" >&2; exit 1; }
done
project="$(cd "$(dirname "$0")/.." && pwd)"
served="$1"
# The Python of the container's stub. With another one a stub must be built: see docs/deploy.md.
python=3.12
mkdir -p "$served"
cp -rL "$project/model_repository/." "$served"
environment="$(mktemp -d)"
trap 'rm -rf "$environment"' EXIT
conda create --yes --quiet --prefix "$environment/env" "python=$python"
"$environment/env/bin/pip" install --quiet --extra-index-url https://pypi.nvidia.com \
    "cudf-cu13==26.6.*" "cupy-cuda13x==14.*" "pycld2==0.42" "sentencex>=1.0.32,<2" "tokenizers>=0.21,<1" "tritonclient[grpc]>=2.51"
package="$environment/env/lib/python$python/site-packages/readability_triton"
mkdir "$package"
cp "$project/readability_triton/__init__.py" "$package"
cp -r "$project/stages" "$project/bls" "$project/ensemble" "$project/serving" "$package"
conda-pack --prefix "$environment/env" --output "$served/environment.tar.gz" --force
for model in preprocess postprocess bls_pipeline; do
    cat >>"$served/$model/config.pbtxt" <<'PARAMETER'
parameters: { key: "EXECUTION_ENV_PATH" value: { string_value: "$$TRITON_MODEL_DIRECTORY/../environment.tar.gz" } }
PARAMETER
done
echo "TORCH_CUDNN_SDPA_DEPRIORITIZED=1 tritonserver --model-repository=$served --cuda-memory-pool-byte-size=0:1073741824"
