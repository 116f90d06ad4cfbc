"""A tenant's kubeconfig without admin rights: whole specs."""

from __future__ import annotations

from tests.components.specs import made, of_team
from tests.conftest import Declare

LABELS = of_team("ml")
USER = [{"kind": "ServiceAccount", "name": "team-user", "namespace": "default"}]
RBAC = "rbac.authorization.k8s.io"
SEE = ["get", "list", "watch"]


def test_the_user_may_edit_one_namespace_and_see_queues_and_no_more(declare: Declare) -> None:
    found = made(declare("lab"), "ml-access")
    assert {name: each.spec for name, each in found.items()} == {
        "account": {"metadata": {"name": "team-user", "namespace": "default", "labels": LABELS}},
        "token": {
            "metadata": {
                "name": "team-user-token",
                "namespace": "default",
                "labels": LABELS,
                "annotations": {"kubernetes.io/service-account.name": "team-user"},
            },
            "type": "kubernetes.io/service-account-token",
        },
        "edit": {
            "metadata": {"name": "team-user-edit", "namespace": "default", "labels": LABELS},
            "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "edit"},
            "subjects": USER,
        },
        "see-queues": {
            "metadata": {"name": "team-user-see-queues", "labels": LABELS},
            "rules": [
                {"apiGroups": ["scheduling.run.ai"], "resources": ["queues", "podgroups"], "verbs": SEE},
                {"apiGroups": [""], "resources": ["nodes", "namespaces"], "verbs": SEE},
            ],
        },
        "see-queues-binding": {
            "metadata": {"name": "team-user-see-queues", "labels": LABELS},
            "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "team-user-see-queues"},
            "subjects": USER,
        },
    }
    for each in found.values():
        assert (each.provider, each.goes_with) == ("ml-virtual-cluster-inner", "ml-virtual-cluster-vcluster")
    assert "ml-access-account" in found["token"].needs


def test_a_team_that_asks_for_none_gets_none(declare: Declare) -> None:
    assert not [each for each in declare("lab").resources if each.name.startswith("research-access")]
