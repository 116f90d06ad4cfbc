# shellcheck shell=bash
# Removes the k3s that k3s-install.sh installed; an adopted one stays. Safe to run twice.

BIN=$ROOT/usr/local/bin
CONFIG=$ROOT/etc/rancher/k3s/config.yaml

# k3s' own uninstaller removes the whole folder of its settings, and every link of these names beside k3s
put_theirs_aside() {
    [ ! -d "$STATE/theirs" ] || return 0
    rm -rf -- "$STATE/theirs.new"
    install -d "$STATE/theirs.new/bin" "$STATE/theirs.new/k3s"
    local name
    for name in kubectl crictl ctr; do
        if [ -L "$BIN/$name" ] && [ "$(readlink "$BIN/$name")" != k3s ]; then cp -a -- "$BIN/$name" "$STATE/theirs.new/bin/"; fi
    done
    [ ! -d "$(dirname "$CONFIG")" ] || cp -a -- "$(dirname "$CONFIG")/." "$STATE/theirs.new/k3s/"
    rm -f -- "$STATE/theirs.new/k3s"/{config.yaml,config.yaml.new,k3s.yaml}
    mv -- "$STATE/theirs.new" "$STATE/theirs"
}
begin_removal
need_as_left "$CONFIG"
if marked installed || marked installing; then
    for unit in "$ROOT"/etc/systemd/system/k3s?*.service; do
        case $unit in
        */k3s.service | *'?*.service') ;;
        *) refuse "$unit stands on the same k3s, and k3s' uninstaller would stop it; remove that first" ;;
        esac
    done
    if [ -e "$ROOT/etc/systemd/system/k3s.service" ] && [ ! -x "$BIN/k3s-uninstall.sh" ]; then
        refuse "there is no $BIN/k3s-uninstall.sh, which takes k3s' service away; run k3s' own install.sh, which writes it"
    fi
    put_theirs_aside
    if [ -x "$BIN/k3s-uninstall.sh" ]; then
        say "removing k3s"
        "$BIN/k3s-uninstall.sh" || refuse "k3s-uninstall.sh failed; see its own words"
    fi
    # stopped before k3s' own script had written its uninstaller
    for name in kubectl crictl ctr; do
        if [ "$(readlink "$BIN/$name" || true)" = k3s ]; then rm -f -- "$BIN/$name"; fi
    done
    rm -f -- "$BIN/k3s" "$BIN/k3s-killall.sh" "$CONFIG.new"
    # what k3s' uninstaller leaves
    rm -rf -- "$ROOT/var/lib/rancher/k3s" "$ROOT/etc/rancher/node"
    if marked pod-logs; then rm -rf -- "$ROOT/var/log/pods" "$ROOT/var/log/containers"; fi
    rmdir "$ROOT/var/lib/rancher" 2>/dev/null || true
    put_back "$CONFIG"
    bring_back "$STATE/theirs/bin" "$BIN"
    bring_back "$STATE/theirs/k3s" "$(dirname "$CONFIG")"
fi
# stopped while its version was asked for
if marked binary; then rm -f -- "$BIN/k3s.new"; fi
forget
say "removed"
