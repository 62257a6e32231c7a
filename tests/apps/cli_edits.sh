#!/usr/bin/env bash
# cli_edits.sh - edits with a tiny model, from file to file, and what interrupts them.
# SPDX-License-Identifier: Apache-2.0
# shellcheck source=tests/apps/cli.sh
source "$(dirname "${BASH_SOURCE[0]}")/cli.sh"

echo "edits (0)"
edit 0 '' "${good[@]}" "${short[@]}" --seed 5
holds "the rest of the image is untouched" "$tool" kept rgb.png out.png mask.png
"$tool" texts out.png >texts
for line in 'Prompt: a fish' 'Seed: 5' 'Steps: 1,1,1' 'Guidance: 1/1/1' \
    'Software: imagen-editor [0-9.]*' \
    'Model: .*' 'Model SHA-256: [0-9a-f]\{64\}' 'Precision: f32' "Device: $device.*" \
    "Sampler: model's default"; do
    holds "provenance has $line" grep -qx "$line" texts
done
mv out.png first.png
edit 0 '' "${good[@]}" "${short[@]}" --seed 5 --no-metadata --quiet --save-stages stages
holds "--quiet is silent" [ ! -s stdout ]
holds "--quiet is silent on stderr" [ ! -s stderr ]
holds "--no-metadata leaves no text" [ -z "$("$tool" texts out.png)" ]
holds "three stages are saved" [ "$(ls stages | wc -l)" -eq 3 ]
mv out.png again.png
edit 0 '' "${good[@]}" "${short[@]}" --seed 4 --count 2 --json --no-metadata
holds "the second of two is the seed's own" cmp out-2.png again.png
holds "another seed is another image" lacks cmp -s out-1.png out-2.png
holds "--json: a start" grep -q '^{"event": "start", .*}$' stdout
holds "--json: every step" [ "$(grep -c '^{"event": "progress", .*}$' stdout)" -eq 6 ]
results='^{"event": "result", "output": "out-[12].png", "seed": [45], .*}$'
holds "--json: two results" [ "$(grep -c "$results" stdout)" -eq 2 ]
holds "--json: the weights' loading" grep -q '^{"event": "loading", .*"work": "weights", .*}$' stdout
holds "--json: and their hash" \
    grep -q '^{"event": "loading", .*"work": "hash", "bytes": \([0-9]*\), "total": \1}$' stdout
holds "--json: nothing else" [ "$(grep -vc '"event": "loading"' stdout)" -eq 9 ]
edit 0 '' --image rgba16.png --mask rgba16.png --mask-edit transparent --output clear.png \
    "${short[@]}"
holds "16 bits and transparency come back" "$tool" kept rgba16.png clear.png mask.png
edit 0 '' --image rgb.png --mask black.png --mask-edit black --output black-said.png \
    "${short[@]}" --seed 5
holds "black is the edit" "$tool" kept rgb.png black-said.png mask.png
edit 0 '' --image rgb.png --mask grey.png --feather 3 --output soft.png "${short[@]}"
holds "a feathered edit keeps the rest" "$tool" kept rgb.png soft.png mask.png
long=$(printf 'a fish in a glass bowl on a table %.0s' 1 2 3 4 5 6 7 8)
expect 0 '' edit --model "$model" --device "$device" --prompt "$long" "${good[@]}" "${short[@]}"
holds "a cut prompt is announced" grep -q 'tokens and the model reads .* are ignored' stderr
if has jpeg; then
    edit 0 '' --image photo.jpg --mask mask.png --output from-jpeg.png "${short[@]}"
    holds "a JPEG keeps its decoded pixels" "$tool" kept photo.jpg from-jpeg.png mask.png
    edit 0 '' --image photo.jpg --mask mask.png --output out.jpg --quality 80 "${short[@]}"
fi
if has webp; then
    edit 0 '' --image rgb.webp --mask mask.png --output out.webp "${short[@]}"
    holds "WebP is written without loss" "$tool" kept rgb.webp out.webp mask.png
fi
expect 0 '' inspect --model "$model"
holds "inspect has a line for every stage" grep -q '^sr ' stdout
IMAGEN_EDITOR_MODEL=$model expect 0 '' inspect --json
holds "inspect --json is one object" [ "$(grep -c '^{"model": .*}$' stdout)" -eq 1 ]
expect 0 '' inspect --model "$model" --device cuda:h200
holds "inspect predicts for a described device" grep -q '^an edit .* alone on the device$' stdout
expect 0 '' inspect --model "$model" --device cuda:h200 --operations
holds "inspect predicts for operations" grep -q '^conv 3x3 .* \(matrix\|memory\|launch\) ' stdout
expect 0 '' inspect --model "$model" --device cuda:h200 --operations --json
holds "inspect --json has operations" grep -q '"operations": \[{"name": ' stdout

echo "interrupted (130)"
for signal in INT TERM; do
    rm -f out.png stdout # what the process before has printed is not its progress
    "$binary" edit --model "$model" --device "$device" --prompt "a fish" "${good[@]}" --steps \
        4096 --json >stdout 2>stderr &
    process=$!
    for _ in $(seq 600); do
        grep -qs '"event": "progress"' stdout && break
        sleep 0.1
    done
    kill "-$signal" "$process"
    wait "$process"
    got=$?
    [ $got -eq 130 ] || wrong "SIG$signal ends with $got"
    holds "SIG$signal: said" grep -q '^imagen-editor: interrupted: 0 of 1 results written' stderr
    holds "SIG$signal: no output" [ ! -e out.png ]
    holds "SIG$signal: nothing half-written" [ -z "$(find . -name '.imagen-editor-*')" ]
done

finish
