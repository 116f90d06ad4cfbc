# shellcheck shell=bash
# Takes back what microk8s-install.sh did, and what the GPU Operator left. Safe to run twice. Touches nothing foreign: an
# adopted microk8s stays, less the GPU Operator's own leftovers and the addons that we enabled.
# From the environment: MICROK8S_OPERATOR (true: the stack's own GPU Operator ran here).

OPERATOR_CRDS="clusterpolicies.nvidia.com nvidiadrivers.nvidia.com gpuclusters.nvidia.com
computedomains.resource.nvidia.com computedomaincliques.resource.nvidia.com"

begin_removal

# asked once: what snapd does not say must not pass for a snap that is not there
read_snaps() { SNAPS=$(snap list) || refuse "snapd does not answer; start it (systemctl start snapd)"; }
channel() { awk '$1 == "microk8s" {print $4}' <<<"$SNAPS"; }
kubectl() { microk8s kubectl --request-timeout=60s "$@"; }

# only where the operator was ours: an operator of somebody else keeps its objects
remove_operator_leftovers() {
    kubectl get namespace >/dev/null 2>&1 || {
        refuse "the API server does not answer, and the GPU Operator's objects are in it; start it (microk8s start), then run this again"
    }
    if kubectl get deployments -A -l app=gpu-operator --no-headers | found .; then
        say "a GPU Operator runs that is not ours; its objects stay"
        return 0
    fi
    local name
    for name in $OPERATOR_CRDS; do kubectl delete crd "$name" --ignore-not-found; done
    for name in clusterrole clusterrolebinding; do
        kubectl delete "$name" nvidia-device-plugin --ignore-not-found
        kubectl delete "$name" -l app.kubernetes.io/managed-by=gpu-operator --ignore-not-found
    done
    kubectl delete runtimeclass -l app.kubernetes.io/component=gpu-operator --ignore-not-found
    local node label
    for node in $(kubectl get nodes -o name); do
        # shellcheck disable=SC2016  # the dollars are the template's own
        for label in $(kubectl get "$node" -o go-template='{{range $k, $v := .metadata.labels}}{{$k}}{{"\n"}}{{end}}' | grep -E '^nvidia\.com/|^feature\.node\.kubernetes\.io/pci-10de'); do
            kubectl label "$node" "$label-" >/dev/null
        done
    done
}

SNAPS=""
# without snapd there is no snap
if command -v snap >/dev/null; then read_snaps; fi
changed_runtime=false
if [ -n "$(channel)" ]; then
    if [ -s "$STATE/addons" ]; then
        tac "$STATE/addons" | while read -r addon; do
            if [ "$addon" = nvidia ]; then microk8s disable nvidia || true; fi
        done
    fi
    if [ "$MICROK8S_OPERATOR" = true ] && ! marked installed && ! marked installing; then
        remove_operator_leftovers
    fi
fi
for file in 00-nvidia.toml 99-nvidia.toml; do
    path="$ROOT/etc/containerd/conf.d/$file"
    if there "$path" || there "$(kept_as "$path")"; then
        put_back "$path"
        changed_runtime=true
    fi
done
if [ -n "$(channel)" ]; then
    if marked installed || marked installing; then
        say "removing microk8s"
        snap remove microk8s --purge || refuse "the snap can't be removed; see snap changes"
    else
        # an adopted one: the addons that were not there before, last first, but never what somebody may stand on
        if [ -s "$STATE/addons" ]; then
            tac "$STATE/addons" | awk '!seen[$0]++' | while read -r addon; do
                [ "$addon" = nvidia ] || microk8s disable "$addon" || true
            done
        fi
        if [ "$changed_runtime" = true ]; then
            systemctl restart snap.microk8s.daemon-containerd.service
            microk8s stop
            microk8s start
            microk8s status --wait-ready --timeout 600 >/dev/null
        fi
    fi
fi
# the GPU Operator's copy of the container toolkit
if [ "$MICROK8S_OPERATOR" = true ] || marked installed || marked installing; then
    marked toolkit-was-there || rm -rf -- "$ROOT/usr/local/nvidia/toolkit"
fi
if [ -s "$STATE/joined" ] && getent group microk8s >/dev/null; then
    while read -r user; do gpasswd -d "$user" microk8s >/dev/null || true; done <"$STATE/joined"
fi
forget
say "removed"
