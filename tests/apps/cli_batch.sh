#!/usr/bin/env bash
# cli_batch.sh - batch jobs with a tiny model: manifests, poison, resuming, shards, signals, deaths.
# SPDX-License-Identifier: Apache-2.0
# shellcheck source=tests/apps/cli.sh
source "$(dirname "${BASH_SOURCE[0]}")/cli.sh"
export OMP_WAIT_POLICY=passive

# ends CODE ARGUMENTS...: the exit code alone.
ends()
{
    local code=$1 got
    shift
    checks=$((checks + 1))
    "$binary" "$@" >stdout 2>stderr </dev/null
    got=$?
    [ "$got" -eq "$code" ] || wrong "exit code $got, not $code: $*"
}
quick=(--model "$model" --device "$device" --steps 1,1,1 --guidance 1/1/1)
batch() { ends "$1" batch "${@:2}" "${quick[@]}"; }
line() # ID IMAGE MASK PROMPT [MORE]
{
    echo "{\"id\": \"$1\", \"image\": \"$2\", \"mask\": \"$3\", \"prompt\": \"$4\"${5:+, $5}}"
}
lines() { local i; for ((i = $1; i < $2; i++)); do line "$i" rgb.png mask.png "fish $i"; done; }
pngs() { find "$1" -name '*.png' | wc -l; }
attempts() { find "$1/ledger" -type f | wc -l; }
same_files() { diff <(cd "$1" && sha256sum -- *.png) <(cd "$2" && sha256sum -- *.png) >>stderr; }

echo "command lines and manifests that are wrong (42)"
lines 0 3 >good.jsonl
line 1 rgb.png mask.png x >two.txt
known
expect 42 'batch needs a MANIFEST, or --images, --masks and --prompts' batch --output-dir o
expect 42 'batch needs --output-dir DIR' batch good.jsonl
expect 42 'exclude each other' batch good.jsonl --images . --output-dir o
expect 42 'exclude each other' batch good.jsonl --quiet --json --output-dir o
expect 42 'batch takes one MANIFEST, and "b" is a second' batch good.jsonl b --output-dir o
expect 42 'batch has no option --manifest' batch --manifest good.jsonl --output-dir o
expect 42 '--shard 2/2: there is no shard 2 of 2' batch good.jsonl --output-dir o --shard 2/2
expect 42 '--max-failures many: legal is a number' batch good.jsonl --output-dir o --max-failures many
expect 42 '--in-flight 0: legal is 1 to 256' batch good.jsonl --output-dir o --in-flight 0
expect 42 'cannot read none.jsonl: No such file' batch none.jsonl --output-dir o
expect 42 'names no kind of manifest: legal are .jsonl' batch two.txt --output-dir o
expect 42 'cannot open --input-root nowhere' batch good.jsonl --input-root nowhere --output-dir o
expect 42 'cannot make --output-dir none/o' batch good.jsonl --output-dir none/o
expect 2 'status needs DIR' status
expect 2 'has no ledger of a batch job' status .
{
    line ok rgb.png mask.png fish
    echo "nonsense"
    line ok rgb.png mask.png fish
    line out ../rgb.png mask.png fish
    line ok2 rgb.png mask.png fish '"colour": "red"'
} >bad.jsonl
batch 42 bad.jsonl --output-dir o
holds "no output folder" [ ! -e o ]
holds "all errors at once" [ "$(grep -c '^imagen-editor: bad.jsonl:[2345]: ' stderr)" -eq 4 ]
holds "and the sum" grep -q '^imagen-editor: bad.jsonl has 4 errors; nothing was done$' stderr
batch 42 bad.jsonl --check
batch 0 good.jsonl --check
line gone gone.png mask.png x >gone.jsonl
batch 3 gone.jsonl --check
holds "--check names the file" grep -q 'gone.jsonl:1: cannot read gone.png: No such file' stderr

echo "poison (3)"
head -c "$(($(wc -c <rgb.png) / 2))" rgb.png >truncated.png
ln -s rgb.png link.png
{
    lines 0 27
    line truncated truncated.png mask.png x
    line grey rgb.png grey.png x
    line empty rgb.png mask.png ''
    line link link.png mask.png x
    lines 27 40
} >poison.jsonl
batch 3 poison.jsonl --output-dir poison
holds "the others are done" [ "$(pngs poison)" -eq 40 ]
"$binary" status poison --failures >status
holds "status counts" grep -qE '^job +44 +40 +4 +0 +0$' status
for reason in 'line 28, truncated: truncated.png is not a sound PNG: the file is truncated (input)' \
    'line 29, grey: grey.png has grey values' 'line 30, empty: the prompt is empty' \
    'line 31, link: cannot read link.png: a symbolic link lies on the way (input)'; do
    holds "status: $reason" grep -qF "$reason" status
done
holds "the rest of an image is untouched" "$tool" kept rgb.png poison/7.png mask.png
batch 3 poison.jsonl --output-dir poison
holds "nothing is done again" [ "$(attempts poison)" -eq 1 ]
batch 42 poison.jsonl --output-dir limited --max-failures 2 --in-flight 1
holds "too many failures: said" grep -q '3 of 44 items have failed: more than --max-failures' stderr

echo "what it makes is what edit makes"
batch 0 good.jsonl --output-dir plain --no-metadata
seed=$(grep -h '"event": "done".*"id": "2"' plain/ledger/* | sed 's/.*"seed": \([0-9]*\).*/\1/')
ends 0 edit --image rgb.png --mask mask.png --prompt "fish 2" --output 2.png --seed "$seed" \
    --no-metadata "${quick[@]}"
holds "the same bytes" cmp 2.png plain/2.png
batch 0 good.jsonl --output-dir one --no-metadata --in-flight 1 --threads 1
holds "alone or together" same_files plain one

echo "resuming"
lines 0 6 >six.jsonl
batch 0 six.jsonl --output-dir six
rm six/3.png
batch 0 six.jsonl --output-dir six
holds "a lost output is made again" [ "$(pngs six)" -eq 6 ]
holds "by another attempt" [ "$(attempts six)" -eq 2 ]
printf x >>six/4.png
batch 3 six.jsonl --output-dir six
holds "an altered one is said" grep -q 'line 5, 4: an output is not what the ledger says' stderr
truncate -s -1 six/4.png
batch 0 six.jsonl --output-dir six --verify
printf y | dd of=six/4.png bs=1 seek=100 conv=notrunc 2>/dev/null
batch 0 six.jsonl --output-dir six
batch 3 six.jsonl --output-dir six --verify
rm six/4.png
batch 0 six.jsonl --output-dir six --verify
sed 's/fish 2/cat 2/' six.jsonl >other.jsonl
batch 42 other.jsonl --output-dir six
holds "another edit needs another id" grep -q 'first: 2, line 3' stderr
batch 42 six.jsonl --output-dir six --feather 3
sed 's/truncated.png/rgb.png/' poison.jsonl >mended.jsonl
batch 3 mended.jsonl --output-dir poison
holds "a mended line is tried again" [ -e poison/truncated.png ]
batch 3 mended.jsonl --output-dir poison --retry-failed
holds "--retry-failed" [ "$(attempts poison)" -eq 3 ]
holds "tries what had failed" [ "$(cat poison/ledger/*03.jsonl | grep -c '"event": "failed"')" -eq 3 ]
printf 'not ours' >taken.png && mkdir taken && mv taken.png taken/0.png
batch 3 six.jsonl --output-dir taken
holds "nothing is replaced" grep -q '^not ours$' taken/0.png

echo "shards"
for i in 0 1 2; do batch 0 six.jsonl --output-dir parts --shard $i/3; done
holds "three parts are the whole" [ "$(pngs parts)" -eq 6 ]
batch 0 six.jsonl --output-dir parts
holds "nothing is left for the whole" [ "$(find parts/ledger -name 'shard-00000-of-00001*' | wc -l)" -eq 0 ]
for i in 1 2; do
    SLURM_ARRAY_TASK_ID=$i SLURM_ARRAY_TASK_MIN=1 SLURM_ARRAY_TASK_COUNT=2 \
        batch 0 six.jsonl --output-dir slurm --shard auto
done
for i in 0 1; do JOB_COMPLETION_INDEX=$i batch 0 six.jsonl --output-dir kube --shard auto/2; done
batch 0 six.jsonl --output-dir calm
for folder in parts slurm kube; do holds "$folder: the same hashes" same_files calm $folder; done
"$binary" status parts >status
holds "status has a row a shard" [ "$(grep -cE '^[012]/3 +2 +2 +0 +0 +0 +1 ' status)" -eq 3 ]

echo "two processes on the same shard"
"$binary" batch six.jsonl --output-dir both "${quick[@]}" --quiet 2>stderr &
first=$!
"$binary" batch six.jsonl --output-dir both "${quick[@]}" --quiet 2>>stderr || wrong "the second: $?"
wait $first || wrong "the first: $?"
holds "the same hashes" same_files calm both

echo "the other forms"
printf 'id,image,mask,prompt\n0,rgb.png,mask.png,fish 0\n' >jobs.csv
batch 0 jobs.csv --output-dir csv
holds "CSV: the same edit" cmp csv/0.png calm/0.png
mkdir in masks && cp rgb.png in/0.png && cp mask.png masks/0.png
printf 'id,prompt\n0,fish 0\n' >prompts.csv
batch 0 --images in --masks masks --prompts prompts.csv --output-dir folders
holds "folders: the same edit" cmp folders/0.png calm/0.png
echo "{\"custom_id\": \"0\", \"method\": \"POST\", \"url\": \"/v1/images/edits\", \"body\": {
\"images\": [{\"image_url\": \"data:image/png;base64,$(base64 -w0 rgb.png)\"}], \"mask_mode\":
\"white\", \"mask\": {\"image_url\": \"data:image/png;base64,$(base64 -w0 mask.png)\"},
\"prompt\": \"fish 0\"}}" | tr -d '\n' >openai.jsonl
batch 0 openai.jsonl --output-dir openai
holds "OpenAI's form: the same edit" cmp openai/0.png calm/0.png

echo "reports"
{ line a rgb.png mask.png '<script>alert(1)</script>'; line b zero.png mask.png x; } >html.jsonl
batch 3 html.jsonl --output-dir html --report report.html --contact-sheet sheet.png
holds "prompts are no markup" lacks grep -q '<script' report.html
holds "the reason is in it" grep -q 'zero.png is empty' report.html
holds "nothing is loaded" lacks grep -qE '(src|href)="(http|//|[a-z./])' <(sed 's/src="data:image/DATA/g' report.html)
holds "three pictures" [ "$(grep -o 'data:image/png;base64' report.html | wc -l)" -eq 3 ]
holds "the sheet is an image" "$tool" texts sheet.png

echo "signals (143)"
slow=(--model "$model" --device "$device" --guidance 1/1/1 --json)
begun() # FOLDER COUNT: wait until so many items have begun
{
    for _ in $(seq 1200); do
        [ "$(cat "$1"/ledger/* 2>/dev/null | grep -c '"event": "begin"')" -ge "$2" ] && return
        sleep 0.05
    done
    wrong "$1: $2 items never began"
}
lines 0 30 >thirty.jsonl
for signal in TERM INT USR1; do
    "$binary" batch thirty.jsonl --output-dir "on$signal" "${slow[@]}" --steps 60,1,1 --in-flight 2 >stdout 2>stderr &
    process=$!
    begun "on$signal" 3
    kill "-$signal" "$process"
    wait "$process"
    got=$?
    checks=$((checks + 1))
    [ $got -eq 143 ] || wrong "SIG$signal ends with $got"
    holds "SIG$signal: what was begun is done" \
        [ "$(cat "on$signal"/ledger/* | grep -c '"event": "begin"')" -eq "$(pngs "on$signal")" ]
    holds "SIG$signal: and not everything" [ "$(pngs "on$signal")" -lt 30 ]
done
"$binary" batch thirty.jsonl --output-dir twice "${slow[@]}" --steps 4096,1,1 --in-flight 2 >stdout 2>stderr &
process=$!
begun twice 2
kill -TERM "$process"
sleep 0.3
kill -INT "$process"
wait "$process"
got=$?
checks=$((checks + 1))
[ $got -eq 143 ] || wrong "a second signal ends with $got"
holds "a second signal aborts" [ "$(pngs twice)" -eq 0 ]
holds "and blames nobody" [ "$(cat twice/ledger/* | grep -c '"event": "stopped"')" -eq 2 ]

echo "an item that kills its process"
{ lines 0 3; line killer rgb.png mask.png x '"steps": "4096"'; lines 3 6; } >killer.jsonl
"$binary" batch killer.jsonl --output-dir killer "${slow[@]}" --in-flight 1 >stdout 2>stderr &
process=$!
for strike in 1 2; do
    for _ in $(seq 1200); do
        [ "$(cat killer/ledger/* 2>/dev/null | grep '"event": "begin"' | grep -c '"id": "killer"')" -eq $strike ] && break
        sleep 0.05
    done
    read -r worker _ <"/proc/$process/task/$process/children"
    kill -KILL "$worker"
done
wait "$process"
got=$?
checks=$((checks + 1))
[ $got -eq 3 ] || wrong "a killer ends with $got"
holds "the others are done" [ "$(pngs killer)" -eq 6 ]
holds "it is quarantined" grep -q '"id": "killer".*"class": "quarantined"' <(cat killer/ledger/*)
ends 3 batch killer.jsonl --output-dir killer "${slow[@]}"
holds "and left alone" [ "$(attempts killer)" -eq 3 ]

echo "a machine on which nothing gets done (75)"
lines 0 4 >four.jsonl
"$binary" batch four.jsonl --output-dir broken "${slow[@]}" --steps 4096,1,1 --in-flight 2 >stdout 2>stderr &
process=$!
for k in 1 2 3; do
    for _ in $(seq 1200); do
        grep -qs '"event": "begin"' "broken/ledger/shard-00000-of-00001.attempt-0000$k.jsonl" && break
        sleep 0.05
    done
    read -r worker _ <"/proc/$process/task/$process/children"
    kill -KILL "$worker"
done
wait "$process"
got=$?
checks=$((checks + 1))
[ $got -eq 75 ] || wrong "a broken machine ends with $got"
holds "it is said" grep -q 'the process died 3 times (Killed) and no item was done' stderr
holds "nothing is held against the items" [ "$(cat broken/ledger/* | grep -c '"event": "cleared"')" -eq 4 ]
holds "nor quarantined" lacks grep -q quarantined <(cat broken/ledger/*)

finish
