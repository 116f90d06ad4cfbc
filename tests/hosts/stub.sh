#!/usr/bin/env bash
# Stands for docker, kind, snap, microk8s, k3s and others: writes each call down and keeps a little state, as they do.
# A command is there for having a line here. It stands in STUB_HOME/bin; beside that are `calls`, `state/`, and `told` with what follows. STUB_KILL_AT=N: end the caller with SIGKILL in call N, after its effect.
# STUB_CUT_OFF=yes: the same in the middle of `kind create cluster`.
# STUB_DEFAULT_RUNTIME: what Docker says of itself, whatever its file says.
# STUB_FAIL="name words": that call fails with exit code 1 and does nothing.
# It starts no program that bash can do without: the tests call it thousands of times.
name=${0##*/}
STUB_HOME=${0%/*}/..
. "$STUB_HOME/told"
state=$STUB_HOME/state
[ -d "$state" ] || mkdir -p "$state"
input=""
if [ "$name" = kind ] && [[ " $* " == *" --config - "* ]]; then input=$(cat); fi
printf '%s\n' "$name $*" >>"$STUB_HOME/calls"
if [ -n "${STUB_FAIL:-}" ] && [[ "$name $*" == "$STUB_FAIL"* ]]; then
    echo "stub: told to fail" >&2
    exit 1
fi
ask() { [ -e "$state/$1" ]; }
code=0
case "$name $*" in
"docker info --format"*) if [ -n "${STUB_DEFAULT_RUNTIME:-}" ]; then echo "$STUB_DEFAULT_RUNTIME"; else cat "$state/default-runtime" 2>/dev/null || echo runc; fi ;;
"docker context inspect"*) echo "${STUB_DOCKER:-unix:///var/run/docker.sock}" ;;
"docker port"*) [ ! -e "$state/kind-config" ] || echo "6443/tcp -> 127.0.0.1:40001"; [ ! -e "$state/kind-config" ] || sed -n 's/.*hostPort: \([0-9]*\),.*/\1\/tcp -> 0.0.0.0:\1/p' "$state/kind-config" ;;
"docker exec "*" test -e /etc/gpu-tenancy-ready") ask "ready-$2" || code=1 ;;
"docker exec "*" touch /etc/gpu-tenancy-ready") touch "$state/ready-$2" ;;
"docker exec "*" which nvidia-ctk") ask "toolkit-$2" || code=1 ;;
# as Docker before 23 does
"docker cp -q"*) echo "unknown shorthand flag" >&2; code=125 ;;
"docker network inspect kind") ask network || code=1 ;;
"docker network rm kind") rm "$state/network" 2>/dev/null || code=1 ;;
"docker cp"*) node=${*: -1}; touch "$state/toolkit-${node%%:*}" ;;
"docker image inspect"*) code=1 ;;
"kind get clusters") [ ! -e "$state/cluster" ] || cat "$state/cluster"; [ -z "${STUB_MANY:-}" ] || seq 1 40000 || code=$? ;;
"kind create cluster"*)
    printf '%s\n' "$4" >"$state/cluster"
    # kind lists a cluster from its first container on, long before there is one
    [ -z "${STUB_CUT_OFF:-}" ] || kill -9 -- "-$(ps -o pgid= $$ | tr -d ' ')"
    printf '%s\n' "$input" >"$state/kind-config"
    touch "$state/network"
    config=$*; config=${config##*--kubeconfig }; [ "$config" != "$*" ] || config=$HOST_ROOT/root/.kube/config
    mkdir -p "${config%/*}"
    echo "current-context: kind-$4" >"$config"
    ;;
"kind delete cluster"*) rm -f "$state/cluster" "$state/kind-config" "$state"/ready-* "$state"/toolkit-* ;;
"kind get nodes"*) printf '%s-control-plane\n' "$4"; grep -c 'role: worker' "$state/kind-config" | { read -r n; for ((i = 1; i <= n; i++)); do printf '%s-worker%s\n' "$4" "$([ $i = 1 ] || echo $i)"; done; } ;;
"nvidia-ctk runtime configure "*" --dry-run") ;;
"nvidia-ctk runtime configure --runtime=docker"*) config=$*; config=${config##*--config=}; config=${config%% --set-as*}; mkdir -p "${config%/*}"; echo '{"default-runtime": "nvidia"}' >"$config" || code=1 ;;
"nvidia-ctk config "*--config-file=*) config=$*; config=${config##*--config-file=}; config=${config%% --set *}; mkdir -p "${config%/*}"; echo 'accept-nvidia-visible-devices-as-volume-mounts = true' >"$config" || code=1 ;;
"nvidia-smi -L") for ((i = 0; i < ${STUB_GPUS:-0}; i++)); do echo "GPU $i: NVIDIA H100 (UUID: GPU-$i)"; done ;;
"systemctl restart docker") if grep -q nvidia "$HOST_ROOT/etc/docker/daemon.json" 2>/dev/null; then echo nvidia >"$state/default-runtime"; else rm -f "$state/default-runtime"; fi ;;
"systemctl restart k3s") touch "$state/k3s"; [ ! -e "$STUB_HOME/nvidia.toml" ] || cp "$STUB_HOME/nvidia.toml" "$HOST_ROOT/var/lib/rancher/k3s/agent/etc/containerd/config.toml" ;;
"systemctl stop k3s") rm -f "$state/k3s" ;;
"snap list") ! ask snap || printf 'Name Version Rev Tracking\nmicrok8s v1 1 %s\n' "$(cat "$state/snap")" ;;
"ip -o addr"*) printf '1: lo    inet 127.0.0.1/8 scope host lo\n2: eth0    inet 10.0.0.9/24 scope global eth0\n' ;;
"snap install microk8s"*) printf '%s\n' "${*: -1}" >"$state/snap"; mkdir -p "$HOST_ROOT/var/snap/microk8s" ;;
"snap refresh microk8s"*) printf '%s\n' "${*: -1}" >"$state/snap" ;;
"snap remove microk8s --purge") rm -rf "$state/snap" "$state"/addon-* "$HOST_ROOT/var/snap/microk8s" ;;
"microk8s status --addon "*) if ask "addon-$3"; then echo enabled; else echo disabled; fi ;;
"microk8s enable "*) touch "$state/addon-$2" ;;
"microk8s disable "*) rm -f "$state/addon-$2" ;;
"microk8s kubectl get nodes --no-headers"*) echo "unit Ready <none> 1m v1.34.4" ;;
"microk8s kubectl"*"get deployments"*) [ ! -e "$state/foreign-operator" ] || echo "gpu-operator gpu-operator 1/1"; [ -z "${STUB_MANY:-}" ] || seq 1 40000 || code=$? ;;
"microk8s kubectl"*"get nodes -o name") echo node/unit ;;
"microk8s kubectl"*"get node/unit"*) printf 'nvidia.com/gpu.count\nkubernetes.io/hostname\nfeature.node.kubernetes.io/pci-10de.present\nmine.example/nvidia.com\n' ;;
"id -nG"*) cat "$state/groups" 2>/dev/null || echo users ;;
"usermod -a -G microk8s"*) echo "users microk8s" >"$state/groups" ;;
"gpasswd -d"*) rm -f "$state/groups" ;;
"getent group microk8s") ;;
"getent passwd "*) [ "$2" != nobody-here ] || code=2 ;;
"ss -Hltn "*) [ "${STUB_BUSY_PORT:-}" = "" ] || [[ "$*" != *":$STUB_BUSY_PORT" ]] || echo "LISTEN 0 4096 0.0.0.0:$STUB_BUSY_PORT" ;;
"ss -Hltnp "*) echo 'LISTEN users:(("nginx",pid=7,fd=3))' ;;
"uname -m") echo "${STUB_ARCH:-x86_64}" ;;
"df -Pk"*) printf 'Filesystem 1024-blocks Used Available Capacity Mounted\n/dev/x 9 9 %s 9%% /\n' "$((${STUB_DISK_GIB:-100} * 1048576))" ;;
"id -u") echo "${STUB_UID:-0}" ;;
"id -un") echo somebody ;;
"k3s --version") cat "$STUB_HOME/k3s-version" 2>/dev/null || echo "k3s version v1.34.4+k3s1 (abc)" ;;
"k3s kubectl get nodes --no-headers") ! ask k3s || echo "unit Ready control-plane 1m v1.34.4+k3s1" ;;
esac
if [ -n "${STUB_KILL_AT:-}" ]; then
    mapfile -t calls <"$STUB_HOME/calls"
    if [ "${#calls[@]}" = "$STUB_KILL_AT" ]; then
        kill -9 -- "-$(ps -o pgid= $$ | tr -d ' ')"
    fi
fi
exit "$code"
