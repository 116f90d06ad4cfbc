# shellcheck shell=bash
# What all install and remove scripts share. Each is run as one text, behind this one, by bash on the host.
# PART names what is made, OWNER the stack that makes it. HOST_ROOT goes before every path (tests use a folder of their own).
# Everything that is changed is written down below $STATE first, so that removal reverts it and nothing else.
set -Eeuo pipefail

ROOT=${HOST_ROOT:-}
STATE=$ROOT/var/lib/gpu-tenancy/$PART
LOCK_SECONDS=${LOCK_SECONDS:-300}
# kubectl keeps what it learned of a server below the home folder of whoever runs it, unless told where
export DEBIAN_FRONTEND=noninteractive LC_ALL=C KUBECACHEDIR=$STATE/kubectl

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

# what is here is one stack's: another one neither uses nor removes it. OWNER is in no file of runs before 2026-11-26
owner() { cat "$STATE/owner" 2>/dev/null || true; }
of_another_stack() { [ -s "$STATE/owner" ] && [ "$(owner)" != "$OWNER" ]; }
need_own() {
    if of_another_stack; then
        refuse "stack $(owner) made $PART on this host, and this is stack $OWNER; use another host, or that cluster with provider: existing (where that stack is gone for good: rm $STATE/owner)"
    fi
}

# one run at a time on a host, also when an earlier one was killed: the kernel drops the lock
lock() {
    # a removal that held it took the folder away, lock and all: then once more
    until take_lock; do :; done
    # another stack may have come while this one waited
    need_own
    printf '%s\n' "$OWNER" >"$STATE/owner"
}
take_lock() {
    { install -d -m 0700 "$STATE" && exec 9>"$STATE/lock"; } || refuse "$STATE can't be made, and what is changed on this host is written down there; connect as root, or write connection.sudo: true"
    # daemons are started with 9>&-: one that inherits the lock would hold it for as long as it runs
    flock -w "$LOCK_SECONDS" 9 || refuse "another run holds $STATE/lock for $LOCK_SECONDS s; wait for it, or end it"
    [ "$STATE/lock" -ef /dev/fd/9 ]
}
# what each removal begins with
begin_removal() {
    if [ -d "$STATE" ] && ! of_another_stack; then
        lock
        # no record of any change: the same removal, cut off from who asked for it, went on here and was first
        [ -z "$(find "$STATE" -mindepth 1 ! -name lock ! -name owner -print -quit)" ] || return 0
        forget
    fi
    say "nothing of ours on this host"
    exit 0
}

# a step that was done, kept over runs
mark() { : >"$STATE/$1"; }
marked() { [ -e "$STATE/$1" ]; }

# text on standard input, read to its end: grep -q ends early, and who still writes then dies of it and says no
found() { grep "$@" >/dev/null; }

there() { [ -e "$1" ] || [ -L "$1" ]; }
kept_as() { printf '%s/before/%s' "$STATE" "$(tr / _ <<<"$1")"; }
checksum() { sha256sum <"$1"; }

# only a file is kept and put back, and what a link leads to, in the end
need_file() {
    if [ -d "$1" ]; then refuse "$1 is a folder, and a file belongs there; move it away"; fi
    if [ -L "$(readlink -m -- "$1")" ]; then refuse "$1 is a link that leads in a circle; remove it"; fi
}

# keep FILE as it was before us: its copy, or the word that it was not there, and which folders were not. Of a link also
# what stands behind it. Only the first time.
keep() {
    local kept folder
    need_file "$1"
    kept=$(kept_as "$1")
    install -d -m 0700 "$STATE/before"
    if [ -L "$1" ]; then keep "$(readlink -m -- "$1")"; fi
    there "$kept" || [ -e "$kept.absent" ] && return 0
    if there "$1"; then
        # whole or not at all: a copy that was cut off by a kill must not pass for the file
        cp -a -- "$1" "$kept.new" && mv -- "$kept.new" "$kept"
    else
        folder=$(dirname "$1")
        while [ ! -d "$folder" ]; do
            printf '%s\n' "$folder" >>"$kept.folders"
            folder=$(dirname "$folder")
        done
        : >"$kept.absent"
    fi
}

# FILE is as we want it, or is going to be (TEXT, in a file): whoever changes it later is told before his change is lost.
# What we left before stays in the list: a kill may come before the new text is in its place
left() { checksum "${2:-$1}" >>"$(kept_as "$1").after"; }
need_as_left() {
    local kept
    need_file "$1"
    kept=$(kept_as "$1")
    [ -s "$kept.after" ] && [ -e "$1" ] || return 0
    found -xF -- "$(checksum "$1")" <"$kept.after" && return 0
    [ -e "$kept" ] && [ "$(checksum "$1")" = "$(checksum "$kept")" ] && return 0
    refuse "$1 was changed after us, and putting it back would lose that; take what is ours out of it yourself and run rm $kept*, or, to lose the change, rm $kept.after; then run this again"
}

# put FILE back as `keep` found it
put_back() {
    local kept folder
    kept=$(kept_as "$1")
    if [ -e "$kept.absent" ]; then
        rm -f -- "$1"
        while read -r folder; do rmdir -- "$folder" 2>/dev/null || true; done < <(cat "$kept.folders" 2>/dev/null)
    elif there "$kept"; then
        install -d -m 0755 "$(dirname "$1")"
        # never through a link that was not there
        if [ -L "$1" ] || [ -L "$kept" ]; then rm -f -- "$1"; fi
        cp -a -- "$kept" "$1"
        if [ -L "$1" ]; then
            need_file "$1"
            put_back "$(readlink -m -- "$1")"
        fi
    fi
}

# what a removal put aside in FOLDER is in TARGET again; what is newer there stays
bring_back() {
    [ -z "$(ls -A "$1" 2>/dev/null)" ] || { install -d "$2" && cp -au -- "$1/." "$2/"; }
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
    local port listens
    [ $# = 0 ] || command -v ss >/dev/null || refuse "there is no ss on this host, so nobody can tell which ports are in use; install iproute2"
    for port in "$@"; do
        listens=$(ss -Hltn "sport = :$port") || refuse "ss does not say who listens on port $port; see ss -ltn"
        if [ -n "$listens" ]; then
            refuse "port $port is in use on this host ($(ss -Hltnp "sport = :$port" 2>/dev/null | grep -o -m 1 'users:.*')); end that, or choose another port"
        fi
    done
}
# ADDRESS, or empty: kind listens there, and microk8s' certificate names the addresses of its host and nothing else
need_own_address() {
    [ -n "$1" ] || return 0
    local own
    own=$(ip -o addr | awk '{sub("/.*", "", $4); print $4}')
    found -ixF -- "$1" <<<"$own" || refuse "the API server that $PART makes answers under the IP addresses of its host, and host.address $1 is none of them; write one of them ($(tr '\n' ' ' <<<"$own"))"
}

# HAVE WANTED: Kubernetes reads no data of a newer version
need_no_way_back() {
    [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | tail -n 1)" = "$2" ] ||
        refuse "$PART is version $1 here and the stack file says $2, and Kubernetes does not go back; write $1 or newer, or destroy and up again"
}

# Docker goes on with what a killed kind asked of it: containers that it makes then are in no list yet
wait_for_docker() {
    say "the making of the cluster was cut off: waiting for what Docker still does of it"
    sleep "${WAIT_STEP:-15}"
}
