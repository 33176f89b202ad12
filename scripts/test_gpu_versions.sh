#!/usr/bin/env bash
# The tests with the versions that recipes/locks/gpu.txt has in place of those of cpu.txt, of what needs no GPU: before
# .venv's packages, in a folder of their own. Arguments go to pytest.
#   bash scripts/test_gpu_versions.sh [-m "not e2e and not long"]
#   TORCH=lock                 the lock's torch, too, with the CUDA libraries that it is linked with: 5 GB
#   FOLDER=DIR                 where they are put; by default ~/.cache/verl_dots/gpu_versions
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/install.sh
folder=${FOLDER:-${XDG_CACHE_HOME:-$HOME/.cache}/verl_dots/gpu_versions}
python=$(version_of python)
pins=$(python -m scripts.lock_difference cpu gpu --python "$python" --pins)
case ${TORCH:-} in
    '') torch='' ;;
    lock) torch=$(grep -oE '^(torch|triton|nvidia-[a-z0-9-]+|cuda-(bindings|pathfinder|toolkit))==[^ ;]+' \
        recipes/locks/gpu.txt) ;;
    *) echo "TORCH=$TORCH: give lock, or leave it out" >&2; exit 2 ;;
esac
wanted="$python $pins $torch"
if [ "$(cat "$folder/installed" 2>/dev/null)" != "$wanted" ]; then
    rm -rf "$folder"
    # shellcheck disable=SC2086
    python -m pip install --quiet --disable-pip-version-check --no-deps --target "$folder" $pins $torch
    echo "$wanted" > "$folder/installed"
fi
export PYTHONPATH="$folder${PYTHONPATH:+:$PYTHONPATH}"
for pin in $pins $torch; do
    python -c 'import sys; from importlib.metadata import version
name, wanted = sys.argv[1].split("=="); found = version(name)
sys.exit(found != wanted and f"{name} is {found}, not {wanted}")' "$pin"
done
echo "With $(tr '\n' ' ' <<< "$pins $(grep '^torch==' <<< "$torch" || true)")"
exec bash scripts/test.sh "$@"
