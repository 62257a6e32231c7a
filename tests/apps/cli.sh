# shellcheck shell=bash
# cli.sh - what the tests of the program itself share. They are called as
#
#   cli_NAME.sh BINARY IMAGE_TOOL MODEL DEVICE FORMATS      FORMATS: "jpeg webp", what the build has
#
# SPDX-License-Identifier: Apache-2.0
set -u
binary=$1 tool=$2 model=$3 device=$4 formats=$5
failures=0 checks=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
unset IMAGEN_EDITOR_MODEL
export LC_ALL=C
"$tool" make . || exit 1
touch stdout stderr before
known() { ls -A >before; } # what is there now was not left behind by what comes next
known

wrong()
{
    failures=$((failures + 1))
    echo "FAILED: $*"
    sed 's/^/    stderr: /' stderr | head -5
}

# expect CODE WORDS ARGUMENTS...: the exit code; for a failure one line on stderr that has the
# words, and no new file.
expect()
{
    local code=$1 words=$2 got leftover
    shift 2
    checks=$((checks + 1))
    "$binary" "$@" >stdout 2>stderr </dev/null
    got=$?
    [ "$got" -eq "$code" ] || { wrong "exit code $got, not $code: $*"; return; }
    [ "$code" -eq 0 ] && return
    grep -qF -- "$words" stderr || wrong "no \"$words\": $*"
    [ "$(wc -l <stderr)" -eq 1 ] || wrong "not one line: $*"
    grep -q '^imagen-editor: ' stderr || wrong "whose error is it: $*"
    leftover=$(ls -A | grep -vxF -f before)
    [ -z "$leftover" ] || wrong "$leftover was left behind: $*"
}

# holds WHAT COMMAND...: the command succeeds.
holds()
{
    local what=$1
    shift
    checks=$((checks + 1))
    "$@" >/dev/null 2>>stderr || wrong "$what"
}
lacks() { ! "$@"; }
has() { [[ " $formats " == *" $1 "* ]]; }

# An edit that is as short as it can be. Later options win over nothing: none is given twice.
edit() { expect "$1" "$2" edit --model "$model" --device "$device" --prompt "a fish" "${@:3}"; }
short=(--steps 1,1,1 --guidance 1/1/1)
good=(--image rgb.png --mask mask.png --output out.png)

finish()
{
    echo "$checks checks, $failures failed"
    [ "$failures" -eq 0 ]
}
