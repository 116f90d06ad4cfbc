# shellcheck shell=bash
# Makes this host a microk8s cluster of one node. Safe to run twice, and again after it was stopped at any step.
# From the environment: MICROK8S_CHANNEL (1.34/stable), MICROK8S_ADDONS (words), MICROK8S_USER (joins the group; may be
# empty), MICROK8S_ADDRESS (of the kubeconfig; empty: as microk8s writes it), MICROK8S_GPUS (how many the stack
# file says), MICROK8S_NVIDIA_ADDON, MICROK8S_ADOPT (true or false), MIN_MEMORY_GIB, MIN_DISK_GIB.

# asked once: what snapd does not say must not pass for a snap that is not there
read_snaps() { SNAPS=$(snap list) || refuse "snapd does not answer; start it (systemctl start snapd)"; }
channel() { awk '$1 == "microk8s" {print $4}' <<<"$SNAPS"; }
enabled() { microk8s status --addon "$1" 2>/dev/null | found -x enabled; }

check_host() {
    need_own
    need_root
    need_ubuntu
    need_architecture x86_64 aarch64
    need_memory "$MIN_MEMORY_GIB"
    need_disk "$ROOT/var" "$MIN_DISK_GIB"
    need_gpus "$MICROK8S_GPUS"
    command -v snap >/dev/null || refuse "there is no snap on this host; install snapd (apt-get install snapd)"
    # sudo and a session over ssh have a PATH of their own, and its kubeconfig is asked for the same way
    case :$PATH: in
    *:/snap/bin:* | *:/var/lib/snapd/snap/bin:*) ;;
    *) refuse "/snap/bin is not in the PATH that commands get on this host ($PATH), and microk8s is there; add it (over ssh PATH in /etc/environment, with sudo secure_path in /etc/sudoers)" ;;
    esac
    read_snaps
    if [ "$MICROK8S_NVIDIA_ADDON" = true ] && [ "$(uname -m)" != x86_64 ]; then
        refuse "the nvidia addon is for x86_64, this host is $(uname -m); write nvidiaAddon: false and gpu.stack: gpuOperator"
    fi
    if [ -n "$MICROK8S_USER" ] && ! getent passwd "$MICROK8S_USER" >/dev/null; then
        refuse "there is no user $MICROK8S_USER on this host; correct host.microk8s.user"
    fi
    if [ -n "$(channel)" ] && ! marked installed && ! marked installing && [ "$MICROK8S_ADOPT" != true ]; then
        refuse "microk8s is on this host already, and it is not ours; write host.microk8s.adopt: true to use it (destroy then leaves it there)"
    fi
    if [ -n "$(channel)" ]; then
        local have
        have=$(channel)
        ! marked installed || need_no_way_back "${have%%/*}" "${MICROK8S_CHANNEL%%/*}"
        [ "$have" = "$MICROK8S_CHANNEL" ] || ! marked installed ||
            say "channel $have becomes $MICROK8S_CHANNEL: pods of this node restart"
    elif [ -d "$ROOT/var/snap/microk8s" ] && ! marked installing; then
        refuse "$ROOT/var/snap/microk8s is left from an earlier install; remove it first: snap remove microk8s --purge"
    elif ! marked installing; then
        need_free_port 10250 16443
        need_own_address "$MICROK8S_ADDRESS"
    fi
}

install_snap() {
    if [ -n "$(channel)" ]; then
        if marked installing || marked installed; then
            [ "$(channel)" = "$MICROK8S_CHANNEL" ] || snap refresh microk8s --classic --channel "$MICROK8S_CHANNEL"
        fi
        return 0
    fi
    # written down first: a run that is stopped inside the install still knows whose it is
    mark installing
    # of a snap that is gone
    rm -f -- "$STATE/installed"
    say "installing microk8s $MICROK8S_CHANNEL (minutes)"
    snap install microk8s --classic --channel "$MICROK8S_CHANNEL" || {
        # one that comes later is somebody else's
        read_snaps
        [ -n "$(channel)" ] || rm -f -- "$STATE/installing"
        refuse "the snap can't be installed from channel $MICROK8S_CHANNEL; see snap changes"
    }
    mark installed
}

join_group() {
    [ -n "$MICROK8S_USER" ] || return 0
    if ! id -nG "$MICROK8S_USER" | tr ' ' '\n' | found -x microk8s; then
        printf '%s\n' "$MICROK8S_USER" >>"$STATE/joined"
        usermod -a -G microk8s "$MICROK8S_USER"
    fi
}

enable_addons() {
    local addon
    for addon in $MICROK8S_ADDONS; do
        enabled "$addon" && continue
        printf '%s\n' "$addon" >>"$STATE/addons"
        say "enabling $addon"
        microk8s enable "$addon" || refuse "the addon $addon can't be enabled; see microk8s inspect"
    done
    if [ "$MICROK8S_NVIDIA_ADDON" = true ] && ! enabled nvidia; then
        printf 'nvidia\n' >>"$STATE/addons"
        say "enabling nvidia (the GPU Operator, some minutes)"
        microk8s enable nvidia --gpu-operator-driver auto || refuse "the addon nvidia can't be enabled; see microk8s inspect"
    fi
}

check_host
lock
[ ! -e "$ROOT/usr/local/nvidia/toolkit" ] || marked installing || marked installed || mark toolkit-was-there
# what the GPU Operator writes on the host, outside the snap
for file in 00-nvidia.toml 99-nvidia.toml; do keep "$ROOT/etc/containerd/conf.d/$file"; done
install_snap
marked installing && mark installed
microk8s status --wait-ready --timeout 600 >/dev/null || refuse "microk8s is not ready after 600 s; see microk8s inspect"
join_group
enable_addons
microk8s status --wait-ready --timeout 600 >/dev/null || refuse "microk8s is not ready after its addons; see microk8s inspect"
say "ready: $(microk8s kubectl get nodes --no-headers 2>/dev/null | head -n 1)"
