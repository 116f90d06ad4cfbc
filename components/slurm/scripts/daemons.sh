# shellcheck shell=bash
# SLURM's files and daemons, as install.sh and remove.sh see them.

CONF=${SLURM_CONF_DIR:-$ROOT/etc/slurm}
MUNGE_KEY=/etc/munge/munge.key

installed() { dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null | found -x installed; }
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
