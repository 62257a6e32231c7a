#!/usr/bin/env bash
# batch_kills.sh - kill -9 a batch job again and again at random moments, resume it each time, and
# compare with a run that nobody disturbed.
#
#   batch_kills.sh BINARY IMAGE_TOOL MODEL DEVICE [ITEMS [KILLS [SEED]]]
#
# In turn the process is killed alone (its worker must die with it) and together with its group.
# SPDX-License-Identifier: Apache-2.0
set -u
binary=$1 tool=$2 model=$3 device=$4 items=${5:-12} kills=${6:-12} RANDOM=${7:-$$}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
export OMP_WAIT_POLICY=passive
"$tool" make . || exit 1
for ((i = 0; i < items; i++)); do
    echo "{\"id\": \"shelf/$i\", \"image\": \"rgb.png\", \"mask\": \"mask.png\", \"prompt\": \"fish $i\"}"
done >jobs.jsonl
batch=("$binary" batch jobs.jsonl --model "$model" --device "$device"
    --quiet --steps 90,40,20 --guidance 3/2/1 --output-dir)
fail() { echo "FAILED: $*"; exit 1; }

"${batch[@]}" calm || fail "the undisturbed run ends with $?"
(cd calm && sha256sum -- *.png) >hashes
[ "$(wc -l <hashes)" -eq "$items" ] || fail "the undisturbed run has $(wc -l <hashes) outputs"

busy=0 most=400 # milliseconds until a kill: fewer while the job runs ahead of the kills
start=$(date +%s)
for ((k = 0; k < kills; k++)); do
    finished=$(find rough -name '*.png' 2>/dev/null | wc -l)
    if ((finished * kills > k * items)); then most=$((most * 2 / 3 + 4)); else most=$((most * 4 / 3)); fi
    ((most > 4000)) && most=4000
    setsid "${batch[@]}" rough &
    process=$!
    delay=$((RANDOM % most))
    sleep "$(printf '%d.%03d' $((delay / 1000)) $((delay % 1000)))"
    ((finished < items)) && busy=$((busy + 1))
    # It may not have a group of its own yet.
    if ((k % 2)) || ! kill -9 -- "-$process"; then kill -9 "$process"; fi 2>/dev/null
    wait "$process" 2>/dev/null
done
"${batch[@]}" rough || fail "the last run ends with $?"
(cd rough && sha256sum --quiet -c ../hashes) || fail "outputs differ from the undisturbed run's"
[ "$(find rough -name '*.png' | wc -l)" -eq "$items" ] || fail "there are other outputs"
leftover=$(find rough -type f ! -name '*.png' ! -path 'rough/ledger/*')
[ -z "$leftover" ] || fail "left behind: $leftover"
"$binary" status rough --json >status || fail "status ends with $?"
grep -q "^{\"event\": \"job\", \"items\": $items, \"done\": $items, \"failed\": 0, \"begun\": 0}$" \
    status || fail "status: $(tail -1 status)"
grep -h '"event": "done"' rough/ledger/* | sed 's/.*"id": "\([^"]*\)".*/\1/' | sort | uniq -c |
    awk '{ if ($1 > 1) twice++ } END { print NR, twice + 0 }' >counts
read -r ids twice <counts
[ "$ids" -eq "$items" ] || fail "$ids of $items ids are done in the ledgers"
echo "$items items, $kills kills ($busy with work left) in $(($(date +%s) - start)) s," \
    "$(find rough/ledger -type f | wc -l) attempts: every id once, all hashes equal;" \
    "$twice ids were finished by two attempts"
