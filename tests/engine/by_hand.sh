#!/usr/bin/env bash
# what the program does, by helm and kubectl, one team after the other: the other side of `make bench`.
# usage: by_hand.sh FOLDER TEAM...   FOLDER/<team> holds host.yaml, inside.yaml, queues.yaml, check.yaml, vcluster.{chart,values}, kai.{chart,values}
# and FOLDER/kubeconfig is the host's. FOLDER/shared/<release>.{chart,values,namespace}: charts of the host, the device plugin.
set -euo pipefail
folder=$1; shift
here=$(dirname "$0")

retry() {  # until the virtual cluster has written it
    for _ in $(seq 60); do "$@" >/dev/null 2>&1 && return; sleep 3; done
    "$@"
}

kubectl --kubeconfig "$folder/kubeconfig" apply --server-side -f "$folder/shared.yaml" >/dev/null
for chart in "$folder"/shared/*.chart; do
    [ -e "$chart" ] || continue
    at=${chart%.chart}
    helm --kubeconfig "$folder/kubeconfig" install "${at##*/}" "$(cat "$chart")" -n "$(cat "$at.namespace")" -f "$at.values" --wait >/dev/null
done
for team in "$@"; do
    dir=$folder/$team
    export KUBECONFIG=$folder/kubeconfig
    kubectl apply --server-side -f "$dir/host.yaml" >/dev/null
    helm install "$team" "$(cat "$dir/vcluster.chart")" -n "team-$team" -f "$dir/vcluster.values" --wait --timeout 10m >/dev/null
    retry kubectl -n "team-$team" get secret "vc-$team"
    kubectl -n "team-$team" get secret "vc-$team" -o 'jsonpath={.data.config}' | base64 -d > "$dir/kubeconfig"
    export KUBECONFIG=$dir/kubeconfig
    kubectl apply --server-side -f "$dir/inside.yaml" >/dev/null
    "$here/by_hand_scheduler.sh" "$dir"
    echo "team $team: check passed"
done
