# shellcheck shell=bash
# Makes this host a SLURM cluster of one node, with its GPUs as GRES. Safe to run twice, and again after it was stopped.
# From the environment: SLURM_HOST, SLURM_PARTITION, SLURM_GPU_COUNT, SLURM_GPU_DEVICES (paths, or empty for
# /dev/nvidia0...), SLURM_GPU_TYPE (may be empty), SLURM_ADOPT (true: replace a slurm.conf that is not ours).

MARK="# written by gpu-tenancy"
PACKAGES=(slurmctld slurmd slurm-client munge)

devices() {
    if [ -n "${SLURM_GPU_DEVICES:-}" ]; then
        tr ' ' '\n' <<<"$SLURM_GPU_DEVICES"
    else
        local index
        for ((index = 0; index < SLURM_GPU_COUNT; index++)); do echo "/dev/nvidia$index"; done
    fi
}

# everything that can be seen to be wrong, before anything is changed
check_host() {
    need_own
    need_root
    command -v apt-get >/dev/null || refuse "Debian or Ubuntu is needed, there is no apt-get on this host"
    local name
    name=$(hostname -s)
    [ "$name" = "$SLURM_HOST" ] || refuse "slurm.host is $SLURM_HOST, and this host is $name; write slurm.host: $name"
    local device count=0
    while read -r device; do
        [ -c "$device" ] || refuse "$device is no character device on this host, slurm.gpus says $SLURM_GPU_COUNT; run nvidia-smi -L and correct slurm.gpus, or load the driver"
        count=$((count + 1))
    done < <(devices)
    [ "$count" = "$SLURM_GPU_COUNT" ] || refuse "slurm.devices names $count devices, slurm.gpus says $SLURM_GPU_COUNT; make them equal"
    if compgen -G "/var/lib/kubelet/device-plugins/nvidia*.sock" >/dev/null; then
        refuse "Kubernetes gives this host's GPUs away, too (a device plugin's socket is in /var/lib/kubelet/device-plugins); a GPU has one owner: take this node out of its pool first"
    fi
    if [ -e "$CONF/slurm.conf" ] && ! grep -qF "$MARK" "$CONF/slurm.conf" && [ "${SLURM_ADOPT:-false}" != true ]; then
        refuse "$CONF/slurm.conf is somebody else's; write slurm.adopt: true to replace it (destroy puts it back)"
    fi
    # one that was built from source has its settings elsewhere, and its daemons would be ended below
    if [ ! -d "$STATE" ] && [ "${SLURM_ADOPT:-false}" != true ] && [ -n "$(daemon_pids slurmctld)$(daemon_pids slurmd)" ]; then
        refuse "a SLURM runs on this host already, and it is not ours; use another host, or write slurm.adopt: true to end it and take its place"
    fi
    local free
    free=$(df -Pm /var | awk 'NR == 2 {print $4}')
    [ "$free" -ge 500 ] || refuse "/var has $free MiB free, the packages and their logs need 500; free some"
}

install_packages() {
    local package missing=()
    for package in "${PACKAGES[@]}"; do installed "$package" || missing+=("$package"); done
    [ ${#missing[@]} -gt 0 ] || return 0
    # written down before they come: a run that is stopped here still knows what to remove
    printf '%s\n' "${missing[@]}" >>"$STATE/packages"
    say "installing ${missing[*]}"
    # a fresh host updates itself in its first minutes
    local apt=(apt-get -o "DPkg::Lock::Timeout=$LOCK_SECONDS")
    if ! "${apt[@]}" install -y -q --no-install-recommends "${missing[@]}" >"$STATE/apt.log" 2>&1; then
        "${apt[@]}" update -q >>"$STATE/apt.log" 2>&1
        "${apt[@]}" install -y -q --no-install-recommends "${missing[@]}" >>"$STATE/apt.log" 2>&1 ||
            refuse "the packages can't be installed: $(grep -m1 '^E:' "$STATE/apt.log" || tail -n 1 "$STATE/apt.log")"
    fi
}

start_munge() {
    install -d -o munge -g munge -m 0700 /etc/munge /var/lib/munge /var/log/munge
    install -d -o munge -g munge -m 0755 /run/munge
    if [ ! -s "$MUNGE_KEY" ]; then
        dd if=/dev/urandom of="$MUNGE_KEY" bs=1024 count=1 status=none
    fi
    chown munge:munge "$MUNGE_KEY"
    chmod 0400 "$MUNGE_KEY"
    if has_systemd; then
        systemctl enable --now munge >/dev/null 2>&1
    elif [ -z "$(daemon_pids munged)" ]; then
        runuser -u munge -- /usr/sbin/munged 9>&-
    fi
    munge -n | unmunge >/dev/null || refuse "munge does not answer; see /var/log/munge/munged.log"
}

version_at_least() {
    local have
    have=$(slurmd -V | awk '{print $2}')
    [ "$(printf '%s\n%s\n' "$1" "$have" | sort -V | head -n 1)" = "$1" ]
}

has_nvml() { compgen -G "/usr/lib/*/slurm*/gpu_nvml.so" >/dev/null && compgen -G "/usr/lib/*/libnvidia-ml.so.1" >/dev/null; }

write_file() {
    keep "$1"
    cat >"$1.new"
    chmod 0644 "$1.new"
    mv -f -- "$1.new" "$1"
}

write_config() {
    install -d -m 0755 "$CONF"
    install -d -o slurm -g slurm -m 0755 /var/lib/slurm /var/lib/slurm/slurmctld /var/log/slurm /run/slurm
    install -d -m 0755 /var/lib/slurm/slurmd
    local gres="gpu" proctrack="proctrack/linuxproc" task="task/none" cgroup="CgroupPlugin=cgroup/v1"
    [ -z "${SLURM_GPU_TYPE:-}" ] || gres="gpu:$SLURM_GPU_TYPE"
    if has_systemd; then
        # a job sees the GPUs that it was given and no other
        proctrack="proctrack/cgroup" task="task/cgroup"
        cgroup=$'CgroupPlugin=autodetect\nConstrainDevices=yes'
    elif version_at_least 24.05; then
        # without systemd slurmd can't make its cgroups; before 24.05 there is no word for that, and v1 touches nothing
        cgroup="CgroupPlugin=disabled"
    fi
    local memory
    memory=$(awk '/^MemTotal:/ {print int($2 / 1024 * 0.9)}' /proc/meminfo)
    write_file "$CONF/slurm.conf" <<EOF
$MARK: slurm of the stack file
ClusterName=gpu-tenancy
SlurmctldHost=$SLURM_HOST(127.0.0.1)
SlurmUser=slurm
AuthType=auth/munge
CredType=cred/munge
StateSaveLocation=/var/lib/slurm/slurmctld
SlurmdSpoolDir=/var/lib/slurm/slurmd
SlurmctldPidFile=/run/slurm/slurmctld.pid
SlurmdPidFile=/run/slurm/slurmd.pid
SlurmctldLogFile=/var/log/slurm/slurmctld.log
SlurmdLogFile=/var/log/slurm/slurmd.log
ProctrackType=$proctrack
TaskPlugin=$task
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
GresTypes=gpu
NodeName=$SLURM_HOST NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=$memory Gres=$gres:$SLURM_GPU_COUNT State=UNKNOWN
PartitionName=$SLURM_PARTITION Nodes=ALL Default=YES MaxTime=INFINITE State=UP
EOF
    {
        echo "$MARK"
        if has_nvml && [ -z "${SLURM_GPU_DEVICES:-}" ]; then
            echo "AutoDetect=nvml"
        else
            local device
            while read -r device; do
                echo "Name=gpu ${SLURM_GPU_TYPE:+Type=$SLURM_GPU_TYPE }File=$device"
            done < <(devices)
        fi
    } | write_file "$CONF/gres.conf"
    printf '%s\n%s\n' "$MARK" "$cgroup" | write_file "$CONF/cgroup.conf"
}

start_slurm() {
    # a changed node or GRES line is read at start alone
    stop_daemon slurmd slurmd
    stop_daemon slurmctld slurmctld
    if has_systemd; then
        systemctl enable --now slurmctld slurmd >/dev/null 2>&1
    else
        slurmctld 9>&-
        slurmd 9>&-
    fi
    local state=""
    for _ in $(seq 1 120); do
        state=$(sinfo -h -n "$SLURM_HOST" -o %T 2>/dev/null | head -n 1 || true)
        case $state in
        idle | mixed | allocated) return 0 ;;
        down* | drain*) scontrol update "nodename=$SLURM_HOST" state=resume 2>/dev/null || true ;;
        esac
        sleep 0.5
    done
    refuse "the node is '${state:-not known}' after 60 s; see /var/log/slurm/slurmd.log and slurmctld.log: $(tail -qn 1 /var/log/slurm/slurmd.log 2>/dev/null || true)"
}

check_host
lock
# of a removal that did not end: the next one puts aside what is there then
bring_back "$STATE/conf" "$CONF"
rm -rf -- "$STATE/conf"
keep "$MUNGE_KEY"
install_packages
write_config
start_munge
start_slurm
say "ready: $(sinfo -h -n "$SLURM_HOST" -o '%N %T %G %P' | head -n 1)"
