#!/usr/bin/env bash
# A real SLURM of two nodes on this machine, for tests: its own munge key, ports, folder. Needs root, slurm-wlm, munge.
#   bash scripts/slurm_cluster.sh start FOLDER     then: export SLURM_CONF=FOLDER/slurm.conf; sinfo
#   bash scripts/slurm_cluster.sh stop FOLDER      cancels its jobs and stops its daemons
set -euo pipefail

[ $# -eq 2 ] || { sed -n '2,4s/^# *//p' "$0" >&2; exit 2; }
command=$1
mkdir -p "$2"
folder=$(cd "$2" && pwd)
export SLURM_CONF=$folder/slurm.conf
PORT=${SLURM_TEST_PORT:-16817}

configure() {
    local host
    host=$(hostname -s)
    # A key of its own, so that neither a munge of the machine's nor its key is touched. A requeued job waits until the
    # credentials of its first start have run out: 15 s instead of two minutes.
    cat > "$SLURM_CONF" <<CONF
ClusterName=verl_dots_test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$PORT
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket,cred_expire=15
CryptoType=crypto/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_min_interval=500000,batch_sched_delay=1
ReturnToService=2
MinJobAge=3600
MailProg=/bin/true
StateSaveLocation=$folder/state
SlurmctldPidFile=$folder/slurmctld.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdSpoolDir=$folder/spool-%n
SlurmdPidFile=$folder/slurmd-%n.pid
SlurmdLogFile=$folder/slurmd-%n.log
SlurmdParameters=config_overrides
NodeName=n1 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((PORT + 1)) CPUs=3
NodeName=n2 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((PORT + 2)) CPUs=3
PartitionName=test Nodes=n1,n2 Default=YES MaxTime=60 OverSubscribe=NO
CONF
    mkdir -p "$folder"/{state,spool-n1,spool-n2}
}

start() {
    trap stop EXIT  # nothing stays behind of a cluster that does not come up
    configure
    chmod 755 "$folder"
    [ -f "$folder/munge.key" ] || (umask 077; head -c 128 /dev/urandom > "$folder/munge.key")
    munged --key-file="$folder/munge.key" --socket="$folder/munge.socket" --pid-file="$folder/munged.pid" \
        --log-file="$folder/munged.log" --seed-file="$folder/munged.seed" --force
    slurmctld -f "$SLURM_CONF"
    slurmd -f "$SLURM_CONF" -N n1
    slurmd -f "$SLURM_CONF" -N n2
    for _ in {1..60}; do
        if [ "$(sinfo -h -t idle -o %D 2>/dev/null)" = 2 ]; then
            trap - EXIT
            return
        fi
        sleep 0.5
    done
    echo "the nodes are not ready; see $folder/*.log" >&2
    tail -n 5 "$folder"/*.log >&2
    exit 1
}

stop() {
    local file pid
    if scontrol ping 2>/dev/null | grep -q 'is UP'; then
        scancel --user=root 2>/dev/null || true
        for _ in {1..60}; do [ -n "$(squeue -h 2>/dev/null)" ] || break; sleep 0.5; done
    fi
    for file in "$folder"/slurmd-n1.pid "$folder"/slurmd-n2.pid "$folder"/slurmctld.pid "$folder"/munged.pid; do
        pid=$(cat "$file" 2>/dev/null) || continue
        kill "$pid" 2>/dev/null || true
        for _ in {1..40}; do kill -0 "$pid" 2>/dev/null || break; sleep 0.25; done
        rm -f "$file"
    done
}

case $command in
    start | stop) $command ;;
    *) echo "'$command' must be start or stop" >&2; exit 2 ;;
esac
