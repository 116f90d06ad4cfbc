# shellcheck shell=bash
# Makes a kind cluster on this host's Docker, with its GPUs or without. Safe to run twice, and after it was stopped.
# From the environment: KIND_NAME, KIND_IMAGE, KIND_WORKERS, KIND_GPUS (how many), KIND_GPU_NODES (none, all: every worker
# sees every GPU; each: one GPU a worker), KIND_CHANGE_DOCKER (true: make nvidia Docker's default runtime), KIND_TOOLKIT
# (copy: the host's toolkit into the nodes; baked: the node image has it), KIND_PORTS, KIND_ADDRESS, KIND_IMAGES (words),
# KIND_ADOPT, MIN_MEMORY_GIB, MIN_DISK_GIB.

DAEMON=$ROOT/etc/docker/daemon.json
TOOLKIT_CONFIG=$ROOT/etc/nvidia-container-runtime/config.toml
DEVICES=/var/run/nvidia-container-devices
TOOLKIT_FILES="/usr/bin/nvidia-ctk /usr/bin/nvidia-cdi-hook /usr/bin/nvidia-container-runtime /usr/bin/nvidia-container-runtime.cdi"

# kind lists a cluster from its first container on: one whose making was cut off is none yet
cluster_exists() { ! marked "making-$KIND_NAME" && kind get clusters 2>/dev/null | found -x -- "$KIND_NAME"; }
# what kind gives a cluster when it makes it, and never changes
never_changes() { printf 'image %s, workers %s, gpus %s\n' "$KIND_IMAGE" "$KIND_WORKERS" "$KIND_GPU_NODES"; }
docker_default_runtime() { docker info --format '{{.DefaultRuntime}}' 2>/dev/null; }

configure_docker() { nvidia-ctk runtime configure --runtime=docker --config="$DAEMON" --set-as-default --cdi.enabled "$@"; }
sees_devices_by_mounts() { grep -q '^accept-nvidia-visible-devices-as-volume-mounts *= *true' "$TOOLKIT_CONFIG" 2>/dev/null; }
needs_changed_docker() { [ "$KIND_GPU_NODES" != none ] && ! { [ "$(docker_default_runtime)" = nvidia ] && sees_devices_by_mounts; }; }

check_host() {
    need_own
    command -v docker >/dev/null || refuse "there is no docker on this host; install Docker Engine"
    docker info >/dev/null 2>&1 || refuse "docker does not answer; start it (systemctl start docker), or join the group docker"
    local endpoint
    endpoint=$(docker context inspect --format '{{.Endpoints.docker.Host}}' 2>/dev/null || true)
    case $endpoint in
    "" | unix://* | tcp://127.0.0.1:* | tcp://localhost:*) ;;
    *) refuse "docker speaks to $endpoint, and memory, ports and GPUs are looked at on this host; unset DOCKER_HOST and DOCKER_CONTEXT (docker context use default), and reach another host by connection.ssh" ;;
    esac
    command -v kind >/dev/null || refuse "there is no kind on this host; install it (https://kind.sigs.k8s.io)"
    need_architecture x86_64 aarch64
    need_memory "$MIN_MEMORY_GIB"
    need_disk "$ROOT/var" "$MIN_DISK_GIB"
    kind get clusters >/dev/null 2>&1 || refuse "kind does not say which clusters there are; see kind get clusters"
    if cluster_exists && ! marked "made-$KIND_NAME" && [ "$KIND_ADOPT" != true ]; then
        refuse "a kind cluster $KIND_NAME is there already, and it is not ours; write another host.name, or host.kind.adopt: true"
    fi
    if cluster_exists; then
        need_same_nodes
        need_published_ports
    else
        need_own_address "$KIND_ADDRESS"
        # what was cut off may hold them itself
        # shellcheck disable=SC2086
        marked "making-$KIND_NAME" || need_free_port $KIND_PORTS
    fi
    [ "$KIND_GPU_NODES" != none ] || return 0
    need_gpus "$KIND_GPUS"
    if [ "$KIND_GPU_NODES" = each ] && [ "$KIND_WORKERS" -gt "$KIND_GPUS" ]; then
        refuse "gpus: each gives each of $KIND_WORKERS workers one GPU, and the stack file says $KIND_GPUS; lower workers"
    fi
    command -v nvidia-ctk >/dev/null || refuse "there is no nvidia-ctk on this host; install NVIDIA's container toolkit"
    needs_changed_docker || return 0
    if [ "$KIND_CHANGE_DOCKER" != true ]; then
        [ "$(docker_default_runtime)" != nvidia ] || refuse "accept-nvidia-visible-devices-as-volume-mounts is not true in $TOOLKIT_CONFIG; write host.kind.changeDocker: true, or set it"
        refuse "Docker's default runtime is $(docker_default_runtime), and kind's nodes get GPUs by nvidia alone; write host.kind.changeDocker: true (restarts Docker with all its containers, destroy reverts it)"
    fi
    need_root
    need_as_left "$DAEMON"
    need_as_left "$TOOLKIT_CONFIG"
    # a snap, a rootless Docker, a host without systemd: found out after the files are changed, nothing brings it back
    case $endpoint in
    "" | unix:///var/run/docker.sock | unix:///run/docker.sock) systemctl is-active --quiet docker 2>/dev/null ;;
    *) false ;;
    esac || refuse "docker is no service that systemd runs on this host, so it can't be restarted from here; make nvidia its default runtime yourself"
    local said
    said=$(configure_docker --dry-run 2>&1) || refuse "nvidia-ctk can't change $DAEMON ($(tail -n 1 <<<"$said")); correct that file"
}

change_docker() {
    needs_changed_docker || return 0
    keep "$DAEMON"
    keep "$TOOLKIT_CONFIG"
    mark docker-changed
    local why="nvidia-ctk failed; see its own words"
    if configure_docker && nvidia-ctk config --config-file="$TOOLKIT_CONFIG" --set accept-nvidia-visible-devices-as-volume-mounts=true --in-place; then
        say "restarting Docker"
        systemctl restart docker || true
        if [ "$(docker_default_runtime)" = nvidia ]; then
            left "$DAEMON"
            left "$TOOLKIT_CONFIG"
            return 0
        fi
        why="Docker did not come back with nvidia as its default runtime; see journalctl -u docker"
    fi
    # a Docker that does not come back takes every container of the host with it
    put_back "$DAEMON"
    put_back "$TOOLKIT_CONFIG"
    systemctl restart docker || refuse "Docker does not start with its files as they were, either, and they are there again: $why"
    rm -rf -- "$STATE/before" "$STATE/docker-changed"
    refuse "Docker's files are as they were, and it runs: $why"
}

node_config() {
    local port worker
    echo "kind: Cluster"
    echo "apiVersion: kind.x-k8s.io/v1alpha4"
    [ -z "$KIND_ADDRESS" ] || printf 'networking: {apiServerAddress: "%s"}\n' "$KIND_ADDRESS"
    echo "nodes:"
    echo "  - role: control-plane"
    echo "    image: $KIND_IMAGE"
    if [ -n "$KIND_PORTS" ]; then
        echo "    extraPortMappings:"
        for port in $KIND_PORTS; do
            printf '      - {containerPort: %s, hostPort: %s, protocol: TCP}\n' "$port" "$port"
        done
    fi
    for ((worker = 0; worker < KIND_WORKERS; worker++)); do
        echo "  - role: worker"
        echo "    image: $KIND_IMAGE"
        case $KIND_GPU_NODES in
        all) printf '    extraMounts: [{hostPath: /dev/null, containerPath: %s/all}]\n' "$DEVICES" ;;
        each) printf '    extraMounts: [{hostPath: /dev/null, containerPath: %s/%s}]\n' "$DEVICES" "$worker" ;;
        esac
    done
}

make_cluster() {
    cluster_exists && return 0
    local forgotten=("$STATE/made-$KIND_NAME" "$STATE/making-$KIND_NAME")
    rm -f -- "$STATE"/loaded-*
    if marked "making-$KIND_NAME"; then
        wait_for_docker
        # also what comes later than that is ours
        forgotten=()
    fi
    mark "making-$KIND_NAME"
    never_changes >"$STATE/new-$KIND_NAME"
    mv -f -- "$STATE/new-$KIND_NAME" "$STATE/made-$KIND_NAME"
    say "creating kind cluster $KIND_NAME"
    # a run that was killed inside kind leaves containers without a cluster
    kind delete cluster --name "$KIND_NAME" >/dev/null 2>&1 || true
    # kind makes one network for all its clusters, and never takes it away
    docker network inspect kind >/dev/null 2>&1 || mark network-made
    # without a file of its own kind makes the new cluster the current one of whoever runs this
    if ! node_config | kind create cluster --name "$KIND_NAME" --config - --kubeconfig "$STATE/kubeconfig"; then
        # what comes under this name later is somebody else's
        kind delete cluster --name "$KIND_NAME" >/dev/null 2>&1 && rm -f -- "${forgotten[@]}"
        refuse "kind could not make the cluster; see its own words"
    fi
    rm -f -- "$STATE/kubeconfig" "$STATE/making-$KIND_NAME"
}

# kind's own --wait looks at the control plane alone, and a time-out of it is no failure
wait_for_nodes() {
    docker exec "$KIND_NAME-control-plane" kubectl --kubeconfig=/etc/kubernetes/admin.conf wait --for=condition=Ready node --all --timeout=300s ||
        refuse "the nodes did not become Ready, within 300 s; see docker exec $KIND_NAME-control-plane kubectl --kubeconfig=/etc/kubernetes/admin.conf describe nodes, then run this again, or destroy"
}

# kind publishes a port when it makes the cluster, and never later
need_published_ports() {
    local port published
    published=$(docker port "$KIND_NAME-control-plane" 2>/dev/null) || published=""
    # that of the API server at least, while it runs
    [ -n "$published" ] || refuse "the control plane of the cluster that is there does not run; see docker ps -a, and start it: docker start $KIND_NAME-control-plane"
    for port in $KIND_PORTS; do
        grep -q "^$port/tcp" <<<"$published" || refuse "port $port is not published by the cluster that is there, and kind can't add one; give the team a published port (access.port: one of $(sed -n 's#^\([0-9]*\)/tcp.*#\1#p' <<<"$published" | sort -nu | grep -vx 6443 | tr '\n' ' ')), list spare ones in host.kind.ports before the cluster is made, or destroy and up again"
    done
}

need_same_nodes() {
    local made
    made=$(cat "$STATE/made-$KIND_NAME" 2>/dev/null || true)
    [ -z "$made" ] || [ "$made" = "$(never_changes)" ] || refuse "the cluster was made with $made, the stack file says $(never_changes), and kind can't change that; write it as it was, or destroy and up again"
}

gpu_nodes() { grep -E -- "^$KIND_NAME-worker[0-9]*$" || true; }

prepare_gpu_nodes() {
    [ "$KIND_GPU_NODES" != none ] || return 0
    local node file nodes
    nodes=$(kind get nodes --name "$KIND_NAME") || refuse "kind does not say which nodes there are; see kind get nodes --name $KIND_NAME"
    for node in $(gpu_nodes <<<"$nodes"); do
        docker exec "$node" test -e /etc/gpu-tenancy-ready && continue
        if [ "$KIND_TOOLKIT" = copy ]; then
            for file in $TOOLKIT_FILES; do
                [ -e "$ROOT$file" ] && docker cp -L "$ROOT$file" "$node:$file"
            done
        fi
        docker exec "$node" which nvidia-ctk >/dev/null || refuse "node $node has no nvidia-ctk; write toolkit: copy, or bake it into image"
        # before 1.19 the toolkit's hook mounts a changed /proc/driver/nvidia/params that would hide devices
        docker exec "$node" sh -c 'grep -q "ModifyDeviceFiles: 0" /proc/driver/nvidia/params 2>/dev/null || umount -R /proc/driver/nvidia 2>/dev/null || true'
        docker exec "$node" nvidia-ctk runtime configure --runtime=containerd --config-source=command --cdi.enabled
        docker exec "$node" systemctl restart containerd
        docker exec "$node" touch /etc/gpu-tenancy-ready
    done
}

load_images() {
    local image loaded
    for image in $KIND_IMAGES; do
        # an image's name may be longer than a file's, and two may differ in / and _ alone
        loaded=loaded-$(sha256sum <<<"$image" | cut -d ' ' -f 1)
        docker image inspect "$image" >/dev/null 2>&1 || docker pull -q "$image" || refuse "image $image can't be pulled; correct host.kind.images, or docker load it"
        marked "$loaded" && continue
        kind load docker-image --name "$KIND_NAME" "$image"
        mark "$loaded"
    done
}

check_host
lock
change_docker
make_cluster
prepare_gpu_nodes
wait_for_nodes
load_images
say "ready: $(kind get nodes --name "$KIND_NAME" | wc -l) nodes"
