#!/usr/bin/env bash
# A Slurm cluster of one node on the loopback address, for tests: munged, slurmctld and slurmd, no systemd, no accounting.
# usage: local-slurm.sh start FOLDER    state and logs go into FOLDER; prints the path for SLURM_CONF
#        local-slurm.sh stop FOLDER     ends jobs and daemons
# LOCAL_SLURM_CPUS: the processors that the node pretends to have (default 16: test jobs mostly sleep).
# LOCAL_SLURM_MAX_ARRAY: MaxArraySize (default 1001, Slurm's own).
set -euo pipefail
[ $# = 2 ] || { sed -n 2,5p "$0" >&2; exit 2; }
mkdir -p "$2"
folder=$(cd "$2" && pwd)
host=$(hostname -s)
conf=$folder/slurm.conf

# Daemons live in /usr/sbin, which is not in everybody's PATH.
PATH=$PATH:/usr/sbin:/sbin

alive() { [ -s "$1" ] && kill -0 "$(cat "$1")" 2>/dev/null; }

stop() {
    if [ -f "$conf" ]; then
        SLURM_CONF=$conf timeout 20 scancel --user="$(id -un)" 2>/dev/null || true
        for _ in $(seq 20); do
            [ -n "$(SLURM_CONF=$conf timeout 5 squeue -h 2>/dev/null)" ] || break
            sleep 0.5
        done
    fi
    for daemon in slurmd slurmctld munged; do
        pid=$folder/$daemon.pid
        if alive "$pid"; then
            number=$(cat "$pid")
            kill "$number" 2>/dev/null || true
            for _ in $(seq 50); do
                kill -0 "$number" 2>/dev/null || break
                sleep 0.1
            done
            kill -9 "$number" 2>/dev/null || true
        fi
    done
}

free_port() {
    python3 - <<'P' 2>/dev/null || echo $((20000 + RANDOM))
import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])
P
}

start() {
    memory=$(awk '/MemTotal/ {print int($2 / 1024 * 0.9)}' /proc/meminfo)
    user=$(id -un)
    mkdir -p "$folder/spool" "$folder/state" "$folder/munge"
    chmod 700 "$folder/munge"
    if [ ! -f "$folder/munge/key" ]; then
        (umask 077 && head -c 1024 /dev/urandom >"$folder/munge/key")
    fi
    controller_port=$(free_port)
    node_port=$(free_port)
    cat >"$conf" <<C
ClusterName=local
SlurmctldHost=$host(127.0.0.1)
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/munge
AuthInfo=socket=$folder/munge/socket
CredType=cred/munge
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
SlurmctldPort=$controller_port
SlurmdPort=$node_port
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
ReturnToService=2
SwitchType=switch/none
MpiDefault=none
JobCompType=jobcomp/none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
SchedulerParameters=sched_interval=2,bf_interval=2,sched_min_interval=100000,defer_batch=no,batch_sched_delay=1,default_queue_depth=1000
SlurmdTimeout=5
SlurmctldTimeout=5
KillWait=20
PreemptType=preempt/partition_prio
PreemptMode=CANCEL
InactiveLimit=0
MinJobAge=600
MaxArraySize=${LOCAL_SLURM_MAX_ARRAY:-1001}
NodeName=$host NodeAddr=127.0.0.1 CPUs=${LOCAL_SLURM_CPUS:-16} RealMemory=$memory State=UNKNOWN
PartitionName=main Nodes=$host Default=YES MaxTime=INFINITE DefMemPerCPU=100 PriorityTier=1 State=UP
PartitionName=urgent Nodes=$host MaxTime=INFINITE DefMemPerCPU=100 PriorityTier=10 PreemptMode=OFF State=UP
C
    munged --force --key-file="$folder/munge/key" --socket="$folder/munge/socket" --pid-file="$folder/munged.pid" \
        --log-file="$folder/munged.log" --seed-file="$folder/munge/seed" >/dev/null 2>&1
    slurmctld -f "$conf" -c
    slurmd -f "$conf" -c
    for _ in $(seq 60); do
        if SLURM_CONF=$conf sinfo -h -o %T 2>/dev/null | grep -q idle; then
            echo "$conf"
            return
        fi
        sleep 0.5
    done
    echo "Slurm did not start; its last words:" >&2
    tail -n 5 "$folder"/*.log >&2
    stop
    exit 1
}

case $1 in
    start) start ;;
    stop) stop ;;
    *) sed -n 2,5p "$0" >&2; exit 2 ;;
esac
