#!/usr/bin/env bash
# run.sh - batch jobs under a real Slurm: one machine that plays two nodes, on loopback, all state
# in a temporary folder.
#
#   tests/slurm/run.sh BINARY IMAGE_TOOL MODEL DEVICE
#
#   array     a job array of four shards makes what one undisturbed process makes
#   drain     USR1 before the time is over: what is in flight ends, exit code 143
#   requeue   scontrol requeue in the middle: the second run goes on
#   node      a node dies; its worker lives on as an orphan while another node takes over
#
# Needs root and the Debian packages slurm-wlm and munge; SKIP (77) otherwise.
# SPDX-License-Identifier: Apache-2.0
set -u
binary=$1 tool=$2 model=$3 device=$4
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
for command in slurmctld slurmd sbatch squeue scontrol munged; do
    PATH=$PATH:/usr/sbin command -v $command >/dev/null || { echo "SKIP: no $command"; exit 77; }
done
[ "$(id -u)" -eq 0 ] || { echo "SKIP: slurmd needs root"; exit 77; }
PATH=$PATH:/usr/sbin

state=$(mktemp -d)
chmod 755 "$state"
mkdir -p "$state"/{etc,run,log,state,spool/n1,spool/n2,tmp/n1,tmp/n2,work}
end() # PIDFILE: end the process it names, if it is there
{
    [ -s "$1" ] && kill "${2:--TERM}" "$(cat "$1")" 2>/dev/null
}
cleanup()
{
    scancel --quiet --state=PENDING,RUNNING --user=root 2>/dev/null
    for daemon in slurmd.n1 slurmd.n2 slurmctld munged; do end "$state/run/$daemon.pid"; done
    sleep 1
    rm -rf "$state"
}
trap cleanup EXIT
failures=0
fail() { failures=$((failures + 1)); echo "FAILED: $*"; }

# ---- two nodes ----------------------------------------------------------------------------------

export SLURM_CONF=$state/etc/slurm.conf
cat >"$SLURM_CONF" <<CONF
ClusterName=test
SlurmctldHost=$(hostname)(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$state/run/munge.socket,cred_expire=5
SlurmctldPort=16817
StateSaveLocation=$state/state
SlurmdSpoolDir=$state/spool/%n
TmpFS=$state/tmp/%n
SlurmctldPidFile=$state/run/slurmctld.pid
SlurmdPidFile=$state/run/slurmd.%n.pid
SlurmctldLogFile=$state/log/slurmctld.log
SlurmdLogFile=$state/log/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
ReturnToService=2
SlurmdTimeout=10
KillWait=5
JobRequeue=1
SchedulerParameters=sched_interval=2,bf_interval=2
NodeName=n1 NodeHostname=$(hostname) NodeAddr=127.0.0.1 Port=17001 CPUs=2 RealMemory=500
NodeName=n2 NodeHostname=$(hostname) NodeAddr=127.0.0.1 Port=17002 CPUs=2 RealMemory=500
PartitionName=debug Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
CONF
head -c 1024 /dev/urandom >"$state/etc/munge.key"
chmod 400 "$state/etc/munge.key"
munged --force --key-file="$state/etc/munge.key" --socket="$state/run/munge.socket" \
    --pid-file="$state/run/munged.pid" --log-file="$state/log/munged.log" \
    --seed-file="$state/state/munge.seed" || exit 1
slurmctld -c || exit 1
slurmd -N n1 || exit 1
slurmd -N n2 || exit 1

wait_for() # SECONDS WHAT COMMAND...
{
    local seconds=$1 what=$2
    shift 2
    for ((i = 0; i < 4 * seconds; i++)); do
        "$@" && return 0
        sleep 0.25
    done
    fail "not within $seconds s: $what"
    return 1
}
both_idle() { [ "$(sinfo -h -N -t idle -o %N 2>/dev/null | wc -l)" -eq 2 ]; }
wait_for 60 "two nodes" both_idle || { tail -5 "$state"/log/*; exit 1; }

# ---- jobs ---------------------------------------------------------------------------------------

items=10 # slow ones: what happens in the midst of a job must find some of them left
cd "$state/work" || exit 1
"$tool" make . || exit 1
for ((i = 0; i < items; i++)); do
    echo "{\"id\": \"$i\", \"image\": \"rgb.png\", \"mask\": \"mask.png\", \"prompt\": \"fish $i\"}"
done >jobs.jsonl
export IMAGEN_EDITOR=$binary OMP_WAIT_POLICY=passive
script=$here/../../examples/slurm/batch.sbatch
slow=(--model "$model" --device "$device" --guidance 3/2/1 --steps 500,100,50 --in-flight 2)
"$binary" batch jobs.jsonl --output-dir calm "${slow[@]}" --quiet || exit 1
(cd calm && sha256sum -- *.png) >hashes

# submit OPTIONS... -- OUT OPTIONS...: prints the job's number
submit()
{
    local options=()
    while [ "$1" != -- ]; do options+=("$1"); shift; done
    shift
    local out=$1
    shift
    sbatch --parsable --chdir="$PWD" --output="$out.%a.log" --cpus-per-task=1 "${options[@]}" \
        "$script" jobs.jsonl "$out" "${slow[@]}" "$@"
}
ended() { [ -z "$(squeue -h -j "$1" 2>/dev/null)" ]; }
pngs() { find "$1" -name '*.png' 2>/dev/null | wc -l; }
at_least() { [ "$(pngs "$1")" -ge "$2" ]; }
same() { (cd "$1" && sha256sum --quiet -c ../hashes) || fail "$1: other outputs than undisturbed"; }
state_of() { scontrol show job "$1" 2>/dev/null | grep -o 'JobState=[A-Z_]*' | head -1; }

echo "array"
job=$(submit --array=0-3 -- array)
wait_for 180 "the array ends" ended "$job"
same array
[ "$(find array/ledger -name 'shard-*-of-00004.*' | wc -l)" -eq 4 ] || fail "array: not four shards"

echo "drain"
job=$(submit --array=0 -- drain --shard 0/1)
wait_for 120 "drain: three items" at_least drain 3
scancel --batch --signal=USR1 "$job"
wait_for 90 "drain: work stops" grep -q '"event": "end"' drain/ledger/*00001.jsonl
[ "$(pngs drain)" -lt $items ] || fail "drain: nothing was left"
grep -q '"event": "end".*"status": 130' drain/ledger/*00001.jsonl || fail "drain: not told to end"
wait_for 240 "drain: requeued by itself and done" at_least drain $items
wait_for 30 "drain: ended" ended "$job"
same drain

echo "requeue"
job=$(submit --array=0 -- requeue --shard 0/1)
wait_for 120 "requeue: three items" at_least requeue 3
scontrol requeue "$job"
wait_for 240 "requeue: all items" at_least requeue $items
wait_for 30 "requeue: ended" ended "$job"
same requeue
[ "$(find requeue/ledger -type f | wc -l)" -ge 2 ] || fail "requeue: one attempt only"

echo "node"
job=$(submit --array=0 --nodelist=n2 -- node --shard 0/1)
wait_for 120 "node: three items" at_least node 3
mapfile -t orphans < <(pgrep -f "batch jobs.jsonl --output-dir node ")
mapfile -t stepds < <(pgrep -f "slurmstepd: \\[$job")
end "$state/run/slurmd.n2.pid" -KILL
kill -KILL "${stepds[@]}"
for pid in "${stepds[@]}"; do
    # A process stopped while its group loses its parent would get a SIGHUP from the kernel.
    while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
done
# The orphans sleep until the job runs on the other node, then go on beside it.
kill -STOP "${orphans[@]}" || fail "node: no orphan"
[ "$(pngs node)" -lt $items ] || fail "node: nothing was left"
begun_again()
{
    # It was asked for the node that is dead, and is told to take another once it waits again.
    [ "$(squeue -h -j "$job" -o %t)" = PD ] && scontrol update jobid="$job" reqnodelist= 2>/dev/null
    grep -qs '"event": "begin"' node/ledger/*00002.jsonl
}
if wait_for 240 "node: begun on the other node" begun_again; then
    kill -CONT "${orphans[@]}" || fail "node: the orphans are gone"
    echo "  two writers: ${#orphans[@]} orphans, and $(grep -ho '"process": [0-9]*' node/ledger/*00002.jsonl)"
fi
wait_for 240 "node: all items" at_least node $items
gone() { ! kill -0 "${orphans[@]}" 2>/dev/null; }
wait_for 60 "node: the orphans end" gone
wait_for 60 "node: ended" ended "$job"
same node
scontrol update nodename=n2 state=down reason=dead

[ $failures -eq 0 ] || tail -n 3 ./*.log "$state/log/slurmctld.log"
echo "$failures failed"
[ $failures -eq 0 ]
