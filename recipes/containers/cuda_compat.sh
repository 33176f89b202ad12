#!/bin/sh
# At the start of a container: CUDA 13's compatibility libraries, where the machine's driver is older than 580.
# Docker's entry point, and sourced by Apptainer. A newer driver must not meet them: it has newer ones.
driver=$(sed -n 's/^NVRM version:.* \([0-9]\{1,\}\)\.[0-9.]* .*/\1/p' "${DRIVER_FILE:-/proc/driver/nvidia/version}" 2>/dev/null)
if [ -n "$driver" ] && [ "$driver" -lt 580 ]; then
    export LD_LIBRARY_PATH="/usr/local/cuda/compat${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
fi
[ $# -eq 0 ] || [ "${0##*/}" != cuda_compat.sh ] || exec "$@"
