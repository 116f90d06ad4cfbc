# shellcheck shell=bash
# Removes the k3s that k3s-install.sh installed; an adopted one stays. Safe to run twice.

CONFIG=$ROOT/etc/rancher/k3s/config.yaml

if [ ! -d "$STATE" ] || of_another_stack; then
    say "nothing of ours on this host"
    exit 0
fi
need_root
lock
need_as_left "$CONFIG"
if marked installed || marked installing; then
    if [ -x "$ROOT/usr/local/bin/k3s-uninstall.sh" ]; then
        say "removing k3s"
        "$ROOT/usr/local/bin/k3s-uninstall.sh" || refuse "k3s-uninstall.sh failed; see its own words"
    fi
    # stopped before k3s' own script had written its uninstaller
    rm -f -- "$ROOT/usr/local/bin/k3s"
    rm -rf -- "$ROOT/var/lib/rancher/k3s"
    put_back "$CONFIG"
fi
forget
say "removed"
