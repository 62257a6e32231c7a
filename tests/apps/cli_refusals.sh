#!/usr/bin/env bash
# cli_refusals.sh - --help, and everything the program refuses: the exit code, one line that says
# why, nothing written.
# SPDX-License-Identifier: Apache-2.0
# shellcheck source=tests/apps/cli.sh
source "$(dirname "${BASH_SOURCE[0]}")/cli.sh"

echo "help and versions"
"$binary" >stdout 2>stderr
{ [ $? -eq 2 ] && [ ! -s stdout ] && grep -q '^usage: imagen-editor COMMAND' stderr; } || wrong \
    "no arguments"
for help in "--help" "-h" "help" "edit --help" "inspect --help" "mask --help" "batch --help" \
    "status --help" "edit --image --help"; do
    # shellcheck disable=SC2086  # words
    expect 0 '' $help
    holds "$help names the exit codes" grep -qE '^  (130|143) ' stdout
    holds "$help has examples" grep -q '^examples:' stdout
    holds "$help fits 100 columns" lacks grep -q '.\{101\}' stdout
    holds "$help is silent on stderr" [ ! -s stderr ]
done
for version in "--version" "edit --version" "mask --version" "inspect --version" "batch --version"; do
    # shellcheck disable=SC2086
    expect 0 '' $version
    holds "$version" grep -qx 'imagen-editor [0-9.]* (library [0-9.]*)' stdout
done
"$binary" --help >/dev/full 2>stderr
[ $? -eq 7 ] || wrong "--help on a full disk succeeds"

echo "the command line (2)"
expect 2 'there is no command edti; did you mean edit?' edti
expect 2 'there is no command frobnicate: legal are edit, batch, status, mask, inspect' frobnicate
expect 2 'there is no command --model' --model x
expect 2 'edit needs --image FILE' edit
expect 2 'edit has no option --stpes; did you mean --steps?' edit --stpes 3
edit 2 '--count 0: legal is 1 to 1000' "${good[@]}" --count 0
edit 2 '--seed x: legal is 0 to 18446744073709551615' "${good[@]}" --seed x
edit 2 '--steps 1,4097: legal is 1 to 4096' "${good[@]}" --steps 1,4097
edit 2 '--steps names 4 stages, but the model has 3' "${good[@]}" --steps 1,1,1,1
edit 2 '--guidance names 4 stages, but the model has 3' "${good[@]}" --guidance 1/1/1/1
edit 2 'weights 0 to 1000' "${good[@]}" --guidance 1001
edit 2 '' "${good[@]}" --guidance 3,2,1 # the first stage has 6 steps
edit 2 '--sampler euler: legal are ddpm, ddim' "${good[@]}" --sampler euler
edit 2 '--precision f16: legal are f32, bf16' "${good[@]}" --precision f16
edit 2 '--mask-edit grey: legal are white, black, transparent' "${good[@]}" --mask-edit grey
edit 2 '--feather 513: legal is 0 to 512' "${good[@]}" --feather 513
edit 2 '--threads -1: legal is 0 to 1024' "${good[@]}" --threads -1
edit 2 '--max-pixels 513: legal is 1 to 512' "${good[@]}" --max-pixels 513
edit 2 '--quality is for JPEG' "${good[@]}" --quality 90
edit 2 '--quiet and --json exclude each other' "${good[@]}" --quiet --json
edit 2 'the extension of out.gif names no format to write: legal are .png' --image rgb.png --mask \
    mask.png --output out.gif
expect 2 'plan computes no pixels' edit --model "$model" --device plan --prompt "a fish" \
    "${good[@]}"
expect 2 'cuda:h200 computes no pixels' edit --model "$model" --device cuda:h200 --prompt "a fish" \
    "${good[@]}"
expect 2 '' edit --model "$model" --device abacus --prompt "a fish" "${good[@]}"
expect 2 '--machine toaster: legal are h200' inspect --model "$model" --machine toaster
expect 2 '--operations needs a described device' inspect --model "$model" --operations
expect 2 'mask needs a shape' mask --size 9x9 --output m.png
expect 2 'mask needs the size' mask --box 1,1,2,2 --output m.png
expect 2 '--size 0x9: legal is WIDTHxHEIGHT' mask --size 0x9 --box 1,1,2,2 --output m.png
expect 2 '--box 1,1,0,2: legal is x,y,w,h' mask --size 9x9 --box 1,1,0,2 --output m.png
expect 2 '9,9,2,2 covers no pixel of an image of 9 x 9' mask --size 9x9 --box 9,9,2,2 --output m.png
expect 2 'the mask would be empty' mask --size 9x9 --box 0,0,9,9 --invert --output m.png
expect 2 'name the same file' mask --image rgb.png --box 1,1,2,2 --preview m.png --output m.png
expect 2 '--preview needs --image' mask --size 9x9 --box 1,1,2,2 --preview p.png --output m.png
if has jpeg; then
    edit 2 'cannot hold the image'"'"'s transparency: write .png' --image rgba.png --mask \
        mask.png --output out.jpg
    edit 2 '16 bits per sample: write .png' --image rgb16.png --mask mask.png --output out.jpg
    expect 2 'cannot hold a mask exactly: write .png' mask --size 9x9 --box 1,1,2,2 --output m.jpg
fi

echo "images, masks, prompts (3)"
for bad in "none.png:cannot read none.png: No such file" "zero.png:zero.png is empty" \
    "text.png:text.png is not an image" \
    "cut.png:cut.png is not a sound PNG: the file is truncated" \
    "large.png:large.png is not a sound PNG" \
    "bomb.png:60000 x 60000 pixels, over the budget of 256 megapixels" ".:. is a folder"; do
    edit 3 "${bad#*:}" --image "${bad%%:*}" --mask mask.png --output out.png
    edit 3 "${bad#*:}" --image rgb.png --mask "${bad%%:*}" --output out.png
done
if [ "$(id -u)" -ne 0 ]; then
    cp rgb.png secret.png && chmod 0 secret.png && known
    edit 3 'cannot read secret.png: Permission denied' --image secret.png --mask mask.png \
        --output out.png
fi
head -c "$(($(wc -c <rgb.png) / 2))" rgb.png >truncated.png && known
edit 3 'truncated.png is not a sound PNG: the file is truncated' --image truncated.png --mask \
    mask.png --output out.png
"$binary" mask --size 91x70 --box 1,1,5,5 --output wide.png >/dev/null && known
edit 3 'wide.png is 91 x 70 pixels, but rgb.png is 90 x 70' --image rgb.png --mask wide.png \
    --output out.png
edit 3 'nothing.png selects nothing: no pixel of it is white' --image rgb.png --mask nothing.png \
    --output out.png
edit 3 'grey.png has grey values (90 at 0,0)' --image rgb.png --mask grey.png --output out.png
edit 3 'rgb.png has colours' --image rgb.png --mask rgb.png --output out.png
edit 3 'mask.png has no transparency, which --mask-edit transparent needs' "${good[@]}" \
    --mask-edit transparent
edit 3 'rgba.png has transparent pixels (at 30,20): say --mask-edit transparent' --image rgb.png \
    --mask rgba.png --output out.png
expect 3 'the prompt is empty' edit --model "$model" --prompt "" "${good[@]}"
expect 3 'the prompt is not UTF-8' edit --model "$model" --prompt $'caf\xe9' "${good[@]}"

echo "models (4)"
expect 4 '' edit --model nowhere --device "$device" --prompt "a fish" "${good[@]}"
IMAGEN_EDITOR_MODEL=elsewhere expect 4 'elsewhere' inspect
expect 4 '' inspect --model .
cp -r "$model" broken && known
chmod -R u+w broken
echo '{}' >broken/cascade.json
expect 4 'cascade.json' inspect --model broken
cp "$model/cascade.json" broken/
first=$(basename "$(dirname "$(find broken -name model.safetensors -path '*base*' | head -1)")")
head -c 1000 "$model/$first/model.safetensors" >"broken/$first/model.safetensors"
expect 4 'model.safetensors' edit --model broken --device "$device" --prompt "a fish" "${good[@]}"
rm "broken/$first/model.safetensors"
expect 4 "$first" edit --model broken --device "$device" --prompt "a fish" "${good[@]}"

echo "memory (5), devices (6), outputs (7)"
# 675 MB of pixels are asked for: refused by the address space's limit, or by the sanitizer's
# where there is one.
(
    if nm "$binary" 2>/dev/null | grep -q __asan_init; then
        export ASAN_OPTIONS=allocator_may_return_null=1:max_allocation_size_mb=300
    else
        ulimit -v 600000
    fi
    exec "$binary" edit --model "$model" --prompt "a fish" --image large.png --mask mask.png \
        --output out.png
) >stdout 2>stderr
{ [ $? -eq 5 ] && grep -q '^imagen-editor: no memory for an image of 15000 x 15000 pixels' \
    stderr; } || wrong "out of memory"
expect 6 '' edit --model "$model" --device cuda:99 --prompt "a fish" "${good[@]}"
edit 7 'cannot write none/out.png: No such file' --image rgb.png --mask mask.png --output \
    none/out.png
mkdir folder.png && known
edit 7 'cannot write folder.png: it is a folder' --image rgb.png --mask mask.png --output folder.png
edit 7 'cannot write /proc/null.png' --image rgb.png --mask mask.png --output /proc/null.png
edit 7 'cannot make the folder none/stages' "${good[@]}" --save-stages none/stages
expect 7 'cannot write none/m.png' mask --size 9x9 --box 1,1,2,2 --output none/m.png
if [ "$(id -u)" -ne 0 ]; then
    mkdir -m 500 locked && known
    edit 7 'cannot write locked/out.png: Permission denied' --image rgb.png --mask mask.png \
        --output locked/out.png
fi

finish
