"""An autoscaler of nodes is known by what it leaves in the cluster."""

from __future__ import annotations

import pytest

from cli.cluster import connected, target_of
from cli.scaling import brings_nodes
from tests.cli.fake_api import FakeApi, kubeconfig, named, running

STATUS = "/api/v1/namespaces/kube-system/configmaps/cluster-autoscaler-status"
KARPENTER = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/nodepools.karpenter.sh"
SPEC = {
    "group": "karpenter.sh",
    "names": {"kind": "NodePool", "plural": "nodepools"},
    "scope": "Cluster",
    "versions": [{"name": "v1", "served": True, "storage": True}],
}
THERE = {
    STATUS: named("ConfigMap", "v1", "cluster-autoscaler-status"),
    KARPENTER: named("CustomResourceDefinition", "apiextensions.k8s.io/v1", "nodepools.karpenter.sh", spec=SPEC),
}


@pytest.mark.parametrize(
    ("there", "refused", "found"),
    [
        ([], [], False),
        ([STATUS], [], True),
        ([KARPENTER], [], True),
        # what may not be read may be there
        ([], [STATUS], None),
        ([], [KARPENTER], None),
        ([KARPENTER], [STATUS], True),
        ([STATUS], [KARPENTER], True),
    ],
)
def test_who_brings_nodes_is_known_by_what_it_left(there: list[str], refused: list[str], found: bool | None) -> None:
    api = FakeApi(named={path: THERE[path] for path in there}, refused=dict.fromkeys(refused, 403))
    with running(api), connected(target_of(kubeconfig(api.url), "a test")) as client:
        assert brings_nodes(client) is found
