# shellcheck shell=bash
# What install.sh and remove.sh share. Both are run as one text, behind this one, by bash on the SLURM host.
# Everything that we change is written down below $STATE first, so that removal reverts it and nothing else.
set -euo pipefail

STATE=${SLURM_STATE:-/var/lib/gpu-tenancy/slurm}
CONF=${SLURM_CONF_DIR:-/etc/slurm}
MUNGE_KEY=/etc/munge/munge.key
LOCK_SECONDS=${SLURM_LOCK_SECONDS:-300}
export DEBIAN_FRONTEND=noninteractive LC_ALL=C

say() { printf 'slurm: %s\n' "$*"; }
refuse() { printf 'slurm: REFUSED: %s\n' "$*" >&2; exit 3; }
has_systemd() { [ -d /run/systemd/system ]; }
installed() { dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null | grep -qx installed; }

# one run at a time on a host, also when an earlier one was killed: the kernel drops the lock
lock() {
    install -d -m 0700 "$STATE"
    # daemons are started with 9>&-: one that inherits the lock would hold it for as long as it runs
    exec 9>"$STATE/lock"
    flock -w "$LOCK_SECONDS" 9 || refuse "another run holds $STATE/lock for $LOCK_SECONDS s; wait for it, or end it"
}

# keep FILE as it was before us: its copy, or the word that it was not there. Only the first time.
keep() {
    local kept
    kept="$STATE/before/$(basename "$1")"
    install -d -m 0700 "$STATE/before"
    [ -e "$kept" ] || [ -e "$kept.absent" ] && return 0
    if [ -e "$1" ]; then cp -a -- "$1" "$kept"; else : >"$kept.absent"; fi
}

# put FILE back as `keep` found it
put_back() {
    local kept
    kept="$STATE/before/$(basename "$1")"
    if [ -e "$kept.absent" ]; then
        rm -f -- "$1"
    elif [ -e "$kept" ]; then
        cp -a -- "$kept" "$1"
    fi
}

daemon_pids() { pgrep -x "$1" || true; }

stop_daemon() {
    if has_systemd; then
        systemctl disable --now "$1" >/dev/null 2>&1 || true
    fi
    local pid
    for pid in $(daemon_pids "$2"); do kill "$pid" 2>/dev/null || true; done
    for _ in $(seq 1 50); do
        [ -z "$(daemon_pids "$2")" ] && return 0
        sleep 0.2
    done
    for pid in $(daemon_pids "$2"); do kill -9 "$pid" 2>/dev/null || true; done
}
