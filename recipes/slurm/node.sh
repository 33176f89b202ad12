#!/usr/bin/env bash
# Ray on one node of a job, started by run.sbatch through srun; ends with the job step, and takes its files away.
set -euo pipefail

log=$RUN/ray-node$SLURM_NODEID.log
exec > "$log" 2>&1

# Per job, start and node: a machine can hold nodes of several jobs, of several users.
files=${RAY_TMPDIR:-/tmp}/ray-$SLURM_JOB_ID.${SLURM_RESTART_COUNT:-0}-$SLURM_NODEID

# SLURM sets both where a cluster has devices of both makers; verl's workers refuse them together.
[ -z "${CUDA_VISIBLE_DEVICES:-}" ] || unset ROCR_VISIBLE_DEVICES

gpus=${SLURM_GPUS_ON_NODE:-0} memory=()
if [ "$gpus" -eq 0 ]; then
    # verl schedules by GPUs: without any, logical ones. One more than the workers use, as in conf/device/cpu.yaml.
    gpus=$((LOGICAL_DEVICES + 1)) memory=(--object-store-memory=500000000)
fi
# Numbers to be scheduled, not cores: each device's workers ask for 3 CPUs, the other processes for some 10.
cpus=${SLURM_CPUS_ON_NODE:-1} wanted=$((3 * gpus + 10))
[ "$cpus" -ge "$wanted" ] || cpus=$wanted

options=(
    --num-cpus="$cpus" --num-gpus="$gpus" "${memory[@]}" --resources="{\"slurm-$SLURMD_NODENAME\": 1}"
    --temp-dir="$files" --dashboard-agent-listen-port=0 --disable-usage-stats --block
)
if [ "$SLURM_PROCID" -eq 0 ]; then
    options+=(--head --node-ip-address="$NODE_IP" --port="${RAY_ADDRESS##*:}" --ray-client-server-port="$CLIENT_PORT"
        --include-dashboard=false)
else
    [ -z "${INTERFACE:-}" ] || options+=(--node-ip-address="$(python recipes/slurm/cluster.py address | cut -d' ' -f1)")
    options+=(--address="$RAY_ADDRESS")
    until (exec 3<>"/dev/tcp/${RAY_ADDRESS%:*}/${RAY_ADDRESS##*:}") 2>/dev/null; do
        [ $SECONDS -lt "$JOIN_SECONDS" ] || { echo "$SLURMD_NODENAME does not reach the head at $RAY_ADDRESS"; exit 1; }
        sleep 1
    done
fi

stopped='' ray=''
trap 'stopped=yes; [ -z "$ray" ] || kill -TERM "$ray" 2>/dev/null || true' TERM
up() { grep -q 'Ray runtime started' "$log"; }

# On a busy machine Ray gives up on itself after 30 s: what has not come up is tried again.
for attempt in 1 2 3; do
    # The address is that of the cluster to be; `ray start` must not look for one there.
    env -u RAY_ADDRESS ray start "${options[@]}" &
    ray=$! status=0
    # No long wait: bash may run a trap only at its end. SLURM's signal is to all of the step, and ends a sleep too.
    while kill -0 $ray 2>/dev/null; do sleep 1 || true; done
    wait $ray || status=$?
    [ -z "$stopped" ] || break
    echo "$SLURMD_NODENAME: ray start (attempt $attempt) ended with status $status"
    if up || [ $SECONDS -ge "$JOIN_SECONDS" ]; then break; fi
done
rm -rf "$files"
[ -n "$stopped" ] || exit $((status ? status : 1))
