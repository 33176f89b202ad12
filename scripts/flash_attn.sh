#!/usr/bin/env bash
# flash-attn for the environment that is active and its torch: verl's own wheel, or a build for GPUs like A100 and H100.
#   bash scripts/flash_attn.sh
#   MAX_JOBS=N                     of a build; by default as the cores and the memory of this process's control group allow
#   FLASH_ATTN_CUDA_ARCHS="80;90"  the architectures of a build
#   WHEELHOUSE=URL                 where the wheel is looked for; by default verl's
#   CGROUPS=/sys/fs/cgroup         where control groups are mounted
# Without it the recipes train with FLASH_ATTN=no, but for a critic.
set -euo pipefail
VERSION=2.8.3
# verl's wheelhouse: built for CUDA 13, torch 2.11, CPython 3.12 on x86-64. Each torch has an index of its own, with the
# same names and versions; the index that names no torch is of verl's newest.
WHEELHOUSE=${WHEELHOUSE:-https://verl-project.github.io/verl-wheelhouse/cu130/torch2.11/simple/}
JOB_GB=18  # the most that a compiler takes which works on two architectures at once; some take 8

memory_limits() {  # bytes that are available here, and that each control group around this process may have
    local line path root name
    awk '/^MemAvailable:/ { printf "%.0f\n", $2 * 1024 }' /proc/meminfo
    while IFS= read -r line; do
        path=${line#*:*:}
        case $line in
            0::*) root=${CGROUPS:-/sys/fs/cgroup} name=memory.max ;;
            *:memory:*) root=${CGROUPS:-/sys/fs/cgroup}/memory name=memory.limit_in_bytes ;;
            *) continue ;;
        esac
        while :; do  # a container may see its own group as the root
            path=${path%/}
            cat "$root$path/$name" 2>/dev/null || true
            [ -n "$path" ] || break
            path=${path%/*}
        done
    done < /proc/self/cgroup
}

jobs() {  # compilers at once
    local cores gigabytes
    cores=$(env -u OMP_NUM_THREADS nproc)
    gigabytes=$(($(memory_limits | grep -E '^[0-9]+$' | sort -n | head -n 1) / 10 ** 9))
    [ $((gigabytes / JOB_GB)) -ge "$cores" ] || cores=$((gigabytes / JOB_GB))
    [ "$cores" -ge 1 ] || { cores=1; echo "  $gigabytes GB of memory may be too little: one compiler takes $JOB_GB" >&2; }
    echo "$cores"
}

installed() { python -c "import flash_attn, sys; sys.exit(flash_attn.__version__ != '$VERSION')"; }

wheel() {  # install it; else tell why there is none, with the last words of what failed
    local said unreached
    if said=$("${pip[@]}" --only-binary=:all: --index-url "$WHEELHOUSE" "flash-attn==$VERSION" 2>&1); then
        said=$(installed 2>&1) && return
        echo "  the wheel of $WHEELHOUSE does not work with this torch: ${said##*$'\n'}" >&2
        # A start would count on what is installed.
        python -m pip uninstall --disable-pip-version-check --quiet --yes flash-attn >&2 || true
        return 1
    fi
    # Of a place that it cannot reach pip says in the end, too, that no distribution matches.
    unreached=$(grep -E 'Retrying|Could not fetch|[Cc]onnection|[Tt]imed out|HTTP error' <<< "$said" | tail -n 1) || true
    if [ -n "$unreached" ]; then
        echo "  $WHEELHOUSE cannot be reached; a mirror of it may be given as WHEELHOUSE. pip: $unreached" >&2
    else
        echo "  no wheel of $WHEELHOUSE fits $(python --version) here. pip: ${said##*$'\n'}" >&2
    fi
    return 1
}

main() {
    local pip=(python -m pip install --disable-pip-version-check --quiet --no-deps)
    ! installed 2>/dev/null || return 0
    python -c 'import sys, torch; sys.exit(not (torch.version.cuda or "").startswith("13."))' 2>/dev/null || {
        echo "flash_attn.sh: $(command -v python || echo "no python") has no torch of CUDA 13; bash scripts/install_gpu.sh" \
            "makes an environment that has it" >&2
        exit 2
    }
    echo "flash-attn $VERSION:"
    ! wheel || { echo "  verl's wheel"; return; }
    command -v nvcc >/dev/null || [ -x "${CUDA_HOME:-/usr/local/cuda}/bin/nvcc" ] || {
        echo "  without a wheel it must be built, which needs the nvcc of CUDA 13: install the toolkit, load its module," \
            "or use the image of recipes/containers; or give" \
            "FLASH_ATTN=no to this command and to the recipes, which then train with torch's attention" >&2
        exit 1
    }
    export MAX_JOBS=${MAX_JOBS:-$(jobs)} NVCC_THREADS=2 FLASH_ATTN_CUDA_ARCHS=${FLASH_ATTN_CUDA_ARCHS:-80;90}
    echo "  building it for $FLASH_ATTN_CUDA_ARCHS with $MAX_JOBS compilers at once, an hour or so"
    "${pip[@]}" wheel packaging ninja psutil einops
    FLASH_ATTENTION_FORCE_BUILD=TRUE "${pip[@]}" --no-build-isolation --no-binary=flash-attn "flash-attn==$VERSION"
}

case ${1:-} in
    '') main ;;
    jobs) jobs ;;
    *) sed -n '2,8s/^# *//p' "$0" >&2; exit 2 ;;
esac
