#!/usr/bin/env bash
# Makes .venv for GPUs: CUDA 13 with vLLM and all else as recipes/locks/gpu.txt has it, then flash-attn.
#   bash scripts/install_gpu.sh && source .venv/bin/activate
#   VENV=.venv-gpu     another folder, beside the .venv of scripts/quickstart.sh, whose packages are those of CPUs
#   PYTHON=python3.12  the interpreter (3.11 or 3.12; flash-attn has a wheel for 3.12 alone)
#   LOCK=sglang        SGLang in vLLM's place
#   FLASH_ATTN=no      leave flash-attn out: the recipes then train with torch's attention, and without a critic
#   DRIVER=any         do not ask for the driver: it is another machine's
set -euo pipefail
cd "$(dirname "$0")/.."
LEAST_DRIVER=580  # of CUDA 13
declare -A LEAST_GLIBC=([gpu]=2.31 [sglang]=2.34)  # of llguidance, which is built with Rust elsewhere, and of SGLang

check_driver() {
    local version  # where there is none, nvidia-smi says so in its place
    version=$(nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null | head -n 1) || true
    if [[ $version != [0-9]* ]]; then
        echo "nvidia-smi tells of no driver here${version:+ ($version)}; the machines that train need" \
            "$LEAST_DRIVER or newer, for CUDA 13."
    elif [ "${version%%.*}" -lt "$LEAST_DRIVER" ]; then
        echo "The driver is $version; CUDA 13 needs $LEAST_DRIVER or newer. Have it updated, or use the image of" \
            "recipes/containers, which brings what a data-centre GPU needs under an older one. For another machine:" \
            "DRIVER=any" >&2
        exit 2
    fi
}

check_glibc() {
    local version least=${LEAST_GLIBC[$LOCK]:-}
    [ -n "$least" ] || return 0  # an unknown lock, which is refused below
    version=$(getconf GNU_LIBC_VERSION 2>/dev/null) || return 0  # pip tells what does not fit
    version=${version#glibc }
    if [ "$(printf '%s\n' "$least" "$version" | sort -V | head -n 1)" != "$least" ]; then
        echo "This system has glibc $version; wheels of recipes/locks/$LOCK.txt need $least or newer, as RHEL 9 and" \
            "Ubuntu 22.04 have it. Use the image of recipes/containers" >&2
        exit 2
    fi
}

# There is a wheel of flash-attn for it, and none for 3.11.
[ -n "${PYTHON:-}" ] || [ -d "${VENV:-.venv}" ] || ! command -v python3.12 >/dev/null || PYTHON=python3.12
LOCK=${LOCK:-gpu}
[ "$LOCK" != cpu ] || { echo "LOCK=cpu is of scripts/quickstart.sh; give gpu or sglang" >&2; exit 2; }
case ${FLASH_ATTN:-} in '' | no) ;; *) echo "FLASH_ATTN=$FLASH_ATTN: give no, or leave it out" >&2; exit 2 ;; esac
[ "${DRIVER:-}" = any ] || check_driver
check_glibc
source scripts/install.sh
check_cuda_torch
[ "${FLASH_ATTN:-}" = no ] || bash scripts/flash_attn.sh
echo "Ready: source $VENV/bin/activate"
