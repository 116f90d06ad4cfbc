# shellcheck shell=bash
# Makes this host a k3s cluster of one node. Safe to run twice, and again after it was stopped at any step.
# From the environment: K3S_VERSION (v1.34.4+k3s1), K3S_ADDRESS (goes into the API server's certificate), K3S_GPUS,
# K3S_BINARY, K3S_IMAGES, K3S_SCRIPT (local files; all three empty: downloaded by k3s' own script), K3S_ADOPT,
# MIN_MEMORY_GIB, MIN_DISK_GIB.

BIN=$ROOT/usr/local/bin/k3s
CONTAINERD=$ROOT/var/lib/rancher/k3s/agent/etc/containerd/config.toml
CONFIG=$ROOT/etc/rancher/k3s/config.yaml
KUBELET=$ROOT/var/lib/kubelet
IMAGES=$ROOT/var/lib/rancher/k3s/agent/images

have_version() { "${1:-$BIN}" --version 2>/dev/null | awk 'NR == 1 {print $3}'; }

check_host() {
    need_own
    need_root
    need_architecture x86_64 aarch64
    need_memory "$MIN_MEMORY_GIB"
    need_disk "$ROOT/var" "$MIN_DISK_GIB"
    need_gpus "$K3S_GPUS"
    local file
    has_systemd || refuse "there is no systemd on this host, and it is what starts k3s; use a host with systemd"
    for file in "$K3S_BINARY" "$K3S_IMAGES" "$K3S_SCRIPT"; do
        [ -z "$file" ] || { [ -f "$file" ] && [ -r "$file" ]; } || refuse "$file can't be read on this host, or is no file; correct host.k3s.files"
    done
    if [ -e "$BIN" ] && ! ours && [ "$K3S_ADOPT" != true ]; then
        refuse "k3s is on this host already, and it is not ours; write host.k3s.adopt: true to use it (destroy then leaves it there)"
    fi
    if [ ! -e "$BIN" ] && [ -d "$ROOT/var/lib/rancher/k3s" ] && ! ours; then
        refuse "$ROOT/var/lib/rancher/k3s is left from an earlier install; remove it first (k3s-uninstall.sh)"
    fi
    # the kubelet of k3s uses it, and k3s' uninstaller removes it
    if [ ! -e "$BIN" ] && ! ours && [ -n "$(ls -A "$KUBELET" 2>/dev/null)" ]; then
        refuse "$KUBELET is of another Kubernetes on this host, and k3s would share it and take it away; remove that Kubernetes first, or move the folder away"
    fi
    if [ ! -e "$BIN" ] || ours; then need_as_left "$CONFIG"; fi
    if [ ! -e "$BIN" ]; then
        need_free_port 6443 10250
    elif ours; then
        need_no_way_back "$(have_version)" "$K3S_VERSION"
    fi
    if [ "$K3S_GPUS" -gt 0 ] && [ ! -e "$ROOT/usr/bin/nvidia-container-runtime" ] && [ ! -e "$ROOT/usr/local/nvidia/toolkit/nvidia-container-runtime" ]; then
        refuse "k3s looks for nvidia-container-runtime when it starts, and there is none on this host; install NVIDIA's container toolkit first"
    fi
}

ours() { marked installed || marked installing; }

write_config() {
    keep "$CONFIG"
    install -d -m 0755 "$(dirname "$CONFIG")"
    {
        echo "# written by gpu-tenancy"
        echo "write-kubeconfig-mode: \"0600\""
        [ -z "$K3S_ADDRESS" ] || printf 'tls-san: ["%s"]\n' "$K3S_ADDRESS"
    } >"$CONFIG.new"
    if [ "$(cat "$CONFIG.new")" = "$(cat "$CONFIG" 2>/dev/null)" ]; then
        rm -f -- "$CONFIG.new"
        return 0
    fi
    [ ! -e "$BIN" ] || mark restart
    left "$CONFIG" "$CONFIG.new"
    mv -f -- "$CONFIG.new" "$CONFIG"
}

# k3s takes archives of images from there at its start, and each new one while it runs
copy_images() {
    [ -n "$K3S_IMAGES" ] || return 0
    local target
    target=$IMAGES/$(basename "$K3S_IMAGES")
    cmp -s "$K3S_IMAGES" "$target" && return 0
    install -D -m 0644 "$K3S_IMAGES" "$target.new"
    mv -f -- "$target.new" "$target"
}

# FILE: k3s' own script. It keeps each variable K3S_* for the service, where ours are no settings of k3s. It starts k3s only
# where it sees a change, and none after a kill before the start, or where the binary is new already.
run_own_script() (
    unset "${!K3S_@}"
    INSTALL_K3S_EXEC=server INSTALL_K3S_FORCE_RESTART=true sh "$1"
)

install_k3s() {
    [ ! -e "$BIN" ] || ours || return 0
    if [ -e "$BIN" ] && marked installed && [ "$(have_version)" = "$K3S_VERSION" ]; then
        copy_images
        write_config
        # k3s reads its file when it starts
        if marked restart; then
            say "restarting k3s: $CONFIG changed"
            systemctl restart k3s
            rm -f -- "$STATE/restart"
        fi
        return 0
    fi
    local have
    if [ -n "$K3S_BINARY" ]; then
        mark binary
        install -D -m 0755 "$K3S_BINARY" "$BIN.new"
        have=$(have_version "$BIN.new") || true
        if [ "$have" != "$K3S_VERSION" ]; then
            rm -f -- "$BIN.new"
            refuse "$K3S_BINARY is ${have:-no program of this host}, the stack file says $K3S_VERSION; make them equal"
        fi
    fi
    ours || [ -e "$ROOT/var/log/pods" ] || mark pod-logs
    mark installing
    # from here to its end k3s' own script has work to do, in a next run, too
    rm -f -- "$STATE/installed"
    write_config
    if [ -n "$K3S_BINARY" ]; then
        mv -f -- "$BIN.new" "$BIN"
        copy_images
        say "installing k3s $K3S_VERSION from local files"
        INSTALL_K3S_SKIP_DOWNLOAD=true run_own_script "$K3S_SCRIPT" || refuse "k3s' own script failed; see its own words"
    else
        say "installing k3s $K3S_VERSION (downloads)"
        curl -fsSL --max-time 60 https://get.k3s.io -o "$STATE/install.sh" || refuse "k3s' own script can't be downloaded; write host.k3s.files for a host without internet"
        INSTALL_K3S_VERSION=$K3S_VERSION run_own_script "$STATE/install.sh" || refuse "k3s' own script failed; see its own words"
    fi
    rm -f -- "$STATE/restart"
    mark installed
}

wait_ready() {
    local _
    for _ in $(seq 1 120); do
        "$BIN" kubectl get nodes --no-headers 2>/dev/null | awk '$2 == "Ready" {found = 1} END {exit !found}' && return 0
        sleep "${WAIT_STEP:-2}"
    done
    refuse "the node is not Ready after 240 s; see journalctl -u k3s"
}

# k3s looks for the toolkit once, at its start
see_toolkit() {
    [ "$K3S_GPUS" -gt 0 ] || return 0
    grep -q nvidia "$CONTAINERD" 2>/dev/null && return 0
    if ! ours; then
        refuse "the adopted k3s does not know the nvidia runtime; restart it (systemctl restart k3s) and run this again"
    fi
    say "restarting k3s: the container toolkit came after its start"
    systemctl restart k3s
    wait_ready
    grep -q nvidia "$CONTAINERD" || refuse "k3s still does not know the nvidia runtime ($CONTAINERD); is nvidia-container-runtime below /usr/bin or /usr/local/nvidia/toolkit?"
}

check_host
lock
# of a removal that did not end: the next one puts aside what is there then
bring_back "$STATE/theirs/bin" "$(dirname "$BIN")"
bring_back "$STATE/theirs/k3s" "$(dirname "$CONFIG")"
rm -rf -- "$STATE/theirs"
install_k3s
wait_ready
see_toolkit
say "ready: $("$BIN" kubectl get nodes --no-headers | head -n 1)"
