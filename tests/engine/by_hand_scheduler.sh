#!/usr/bin/env bash
# KAI, queues and the check into a team's virtual cluster by helm and kubectl; a KAI that is there goes first, as across lines it has to.
# usage: KUBECONFIG=the team's by_hand_scheduler.sh FOLDER   FOLDER holds queues.yaml, check.yaml, kai.{chart,values}
set -euo pipefail
dir=$1

retry() {  # until KAI's webhook answers
    for _ in $(seq 60); do "$@" >/dev/null 2>&1 && return; sleep 3; done
    "$@"
}

if helm status kai-scheduler -n kai-scheduler >/dev/null 2>&1; then
    kubectl -n gpu-check delete job --all --wait >/dev/null
    helm uninstall kai-scheduler -n kai-scheduler --wait >/dev/null
fi
helm install kai-scheduler "$(cat "$dir/kai.chart")" -n kai-scheduler -f "$dir/kai.values" --wait --timeout 10m >/dev/null
retry kubectl apply --server-side -f "$dir/queues.yaml"
kubectl apply --server-side --force-conflicts -f "$dir/check.yaml" >/dev/null
kubectl -n gpu-check wait --for=condition=Complete --timeout=300s job/gpu-check-verdict >/dev/null
