#!/bin/sh
# Stands in for the engine. Keeps what it was called with, and a state of one file a stack; STUB_SAYS and STUB_CODE
# shape what runs the program, STUB_INTERRUPTED is the exit code after an interrupt. A shell, because most tests here call it more than once, and Python takes ten times as
# long to start.
for word; do
    shift
    [ "$word" = --non-interactive ] || set -- "$@" "$word"
done
{
    printf '\036'
    printf '%s\037' "$@"
    printf '\035'
    export -p
} >"$STUB_HOME/call.$$"
cat "$STUB_HOME/call.$$" >>"$STUB_HOME/calls" # in one piece: two may be called at once
rm "$STUB_HOME/call.$$"
stacks=$STUB_HOME/stacks
known=
[ ! -e "$stacks" ] || while read -r name; do known="$known $name"; done <"$stacks"
backend=${PULUMI_BACKEND_URL-}
says=${STUB_SAYS-}
code=${STUB_CODE-0}

fails() { # number, words
    printf '%s\n' "$2" >&2
    exit "$1"
}
interrupted() {
    printf x >>"$STUB_HOME/interrupts"
    kill "$!" 2>/dev/null # there is none yet where it comes at once
    sleep 0.3 # a second one would come now
    echo "error: update canceled"
    exit "${STUB_INTERRUPTED-1}"
}
shows_or_writes() { # what `up`, `preview` and `refresh` do with --json
    [ "$1" != preview ] || printf '%s\n' "${STUB_DIGEST-"{\"steps\": [], \"changeSummary\": {}}"}"
    fails "$code" "$says"
}

if [ "$1" != version ]; then
    case $backend in
        file://*) place=${backend#file://}; [ -d "${place%%\?*}" ] || fails 255 "error: unable to open state directory '$backend'" ;;
    esac
fi
case "$1 ${2-}" in
    version\ *) echo "${STUB_VERSION-v3.259.0}" ;;
    "stack ls")
        printf '['
        between=
        for name in $known; do
            printf '%s{"name": "%s"}' "$between" "$name"
            between=', '
        done
        echo ']'
        ;;
    "stack init") echo "$3" >>"$stacks" ;;
    "stack output" | "stack export")
        [ -n "$known" ] || fails 6 "error: no stack named 'one' found"
        case "$2 $*" in
            export*) cat "$STUB_HOME/export" ;;
            *--show-secrets*) cat "$STUB_HOME/outputs" ;;
            *) cat "$STUB_HOME/outputs-shown" ;;
        esac
        ;;
    "stack import")
        [ -z "${STUB_LOCKED-}" ] || fails 255 "$STUB_LOCKED"
        cat >"$STUB_HOME/imported"
        ;;
    refresh\ *) shows_or_writes "$1" ;;
    up\ * | preview\ * | destroy\ *)
        case "$* " in *" --json "*) shows_or_writes "$1" ;; esac
        trap interrupted INT
        echo "Updating (one):"
        sleep "${STUB_WAIT-0}" &
        wait "$!"
        printf '%s\n' "$says"
        exit "$code"
        ;;
esac
