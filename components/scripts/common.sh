# shellcheck shell=bash
# What all install and remove scripts share. Each is run as one text, behind this one, by bash on the host.
# PART names whose run it is. HOST_ROOT goes before every path (tests use a folder of their own).
# Everything that is changed is written down below $STATE first, so that removal reverts it and nothing else.
set -Eeuo pipefail

ROOT=${HOST_ROOT:-}
STATE=$ROOT/var/lib/gpu-tenancy/$PART
LOCK_SECONDS=${LOCK_SECONDS:-300}
export DEBIAN_FRONTEND=noninteractive LC_ALL=C

say() { printf '%s: %s\n' "$PART" "$*"; }
refuse() {
    printf '%s: REFUSED: %s\n' "$PART" "$*" >&2
    exit 3
}
# a command that fails where no step looks: which one, and that nothing is lost. Its text holds names of variables only.
failed() {
    [ "$BASH_SUBSHELL" = 0 ] || return 0
    printf '%s: FAILED with exit code %s: %s; its own words stand above. What was done is written down: run it again, or destroy takes it back\n' "$PART" "$1" "${2%%$'\n'*}" >&2
}
trap 'failed $? "$BASH_COMMAND"' ERR
has_systemd() { [ -d "$ROOT/run/systemd/system" ]; }
need_root() { [ "$(id -u)" = 0 ] || refuse "root is needed, this is user $(id -un); connect as root, or write connection.sudo: true"; }

# one run at a time on a host, also when an earlier one was killed: the kernel drops the lock
lock() {
    install -d -m 0700 "$STATE"
    # daemons are started with 9>&-: one that inherits the lock would hold it for as long as it runs
    exec 9>"$STATE/lock"
    flock -w "$LOCK_SECONDS" 9 || refuse "another run holds $STATE/lock for $LOCK_SECONDS s; wait for it, or end it"
}

# a step that was done, kept over runs
mark() { : >"$STATE/$1"; }
marked() { [ -e "$STATE/$1" ]; }

# keep FILE as it was before us: its copy, or the word that it was not there. Only the first time.
keep() {
    local kept
    kept="$STATE/before/$(tr / _ <<<"$1")"
    install -d -m 0700 "$STATE/before"
    [ -e "$kept" ] || [ -e "$kept.absent" ] && return 0
    if [ -e "$1" ]; then
        # whole or not at all: a copy that was cut off by a kill must not pass for the file
        cp -a -- "$1" "$kept.new" && mv -- "$kept.new" "$kept"
    else
        : >"$kept.absent"
    fi
}

# put FILE back as `keep` found it
put_back() {
    local kept
    kept="$STATE/before/$(tr / _ <<<"$1")"
    if [ -e "$kept.absent" ]; then
        rm -f -- "$1"
    elif [ -e "$kept" ]; then
        cp -a -- "$kept" "$1"
    fi
}

forget() {
    rm -rf -- "$STATE"
    rmdir "$(dirname "$STATE")" 2>/dev/null || true
}

# NAME WANTED_GIB: what source and vendors ask of a GPU host
need_memory() {
    local have
    have=$(awk '/^MemTotal:/ {print int($2 / 1048576 + 0.5)}' "$ROOT/proc/meminfo")
    [ "$have" -ge "$1" ] || refuse "this host has $have GiB of memory, $PART with the GPU software needs $1; use a larger host"
}
need_disk() {
    local have
    have=$(df -Pk "$1" | awk 'NR == 2 {print int($4 / 1048576)}')
    [ "$have" -ge "$2" ] || refuse "$1 has $have GiB free, images and volumes need $2; free some, or set minDiskGib lower"
}
need_architecture() {
    local have
    have=$(uname -m)
    case " $* " in
    *" $have "*) ;;
    *) refuse "this host is $have, $PART is for $*; use another provider" ;;
    esac
}
need_ubuntu() {
    local id="" version_id="0"
    # shellcheck source=/dev/null
    eval "$(grep -E '^(ID|VERSION_ID)=' "$ROOT/etc/os-release" | sed 's/^ID=/id=/; s/^VERSION_ID=/version_id=/')"
    [ "$id" = ubuntu ] || return 0
    [ "${version_id%%.*}" -ge 20 ] || refuse "this is Ubuntu $version_id, 20.04 or newer is needed; upgrade it"
}
# COUNT: the stack file's GPUs are really there
need_gpus() {
    [ "$1" -gt 0 ] || return 0
    command -v nvidia-smi >/dev/null || refuse "the stack file says $1 GPUs, and there is no nvidia-smi on this host; install NVIDIA's driver, or write gpusPerNode: 0"
    local have
    have=$(nvidia-smi -L 2>/dev/null | grep -c '^GPU ' || true)
    [ "$have" -ge "$1" ] || refuse "the stack file says $1 GPUs, nvidia-smi -L shows $have; correct gpusPerNode, or look at the driver (dmesg | grep NVRM)"
}
need_free_port() {
    local port
    for port in "$@"; do
        if ss -Hltn "sport = :$port" 2>/dev/null | grep -q .; then
            refuse "port $port is in use on this host ($(ss -Hltnp "sport = :$port" 2>/dev/null | grep -o 'users:.*' | head -n 1)); end that, or choose another port"
        fi
    done
}
