"""What the pack knows, written a second time on purpose: one object of each kind, each right, each name of others."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

import names
import tokens
from policies.bundle import ROOT
from policies.facts import is_host_check
from policies.kinds import FIELDS, METADATA, SECRET_TYPES
from policies.paths import strangers
from policies.rights import READABLE, WRITABLE
from tests.policies.judged import messages
from tests.policies.world import healthy, resource

WHOLE: Final = Path(__file__).with_name("whole.yaml")


@cache
def objects() -> Mapping[str, Mapping[str, Any]]:
    found: Mapping[str, Mapping[str, Any]] = yaml.safe_load(WHOLE.read_text(encoding="utf-8"))
    return found


def test_each_known_kind_may_have_every_field_that_is_known_and_there_is_none_that_none_has() -> None:
    assert set(objects()) == set(FIELDS)
    missed = set(METADATA)
    for token, whole in objects().items():
        one, known = resource(token, "one", whole), (*METADATA, *FIELDS[token])
        assert messages("known-kinds", [one]) + messages("known-fields", [one]) == []
        idle = {field for field in known if not list(strangers(whole, [other for other in known if other != field]))}
        assert idle <= set(METADATA), token
        missed &= idle
    assert missed == set()


@pytest.mark.parametrize(
    "type_",
    [
        *("Opaque", "kubernetes.io/basic-auth", "kubernetes.io/dockerconfigjson", "kubernetes.io/ssh-auth"),
        *("kubernetes.io/tls", "kubernetes.io/service-account-token"),
    ],
)
def test_a_secret_may_be_data_and_the_token_of_an_account(type_: str) -> None:
    assert messages("known-kinds", [resource(tokens.SECRET, "s", {"metadata": {"name": "s"}, "type": type_})]) == []
    assert len(SECRET_TYPES) == 6


READ: Final = {
    "": "configmaps endpoints events limitranges namespaces nodes persistentvolumeclaims pods pods/log pods/status "
    "replicationcontrollers resourcequotas services",
    "apps": "daemonsets deployments replicasets statefulsets",
    "batch": "cronjobs jobs",
    "events.k8s.io": "events",
    "kai.scheduler": "configs schedulingshards topologies",
    "metrics.k8s.io": "nodes pods",
    "node.k8s.io": "runtimeclasses",
    "scheduling.k8s.io": "priorityclasses",
    "scheduling.run.ai": "bindrequests podgroups queues",
}
VERBS: Final = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


def given(group: str, name: str) -> list[str]:
    """The verbs that a role may give on a resource."""
    rules = [(verb, {"apiGroups": [group], "resources": [name], "verbs": [verb]}) for verb in VERBS]
    return [
        verb for verb, rule in rules if not messages("plain-rights", [resource(tokens.ROLE, "r", {"rules": [rule]})])
    ]


def test_a_role_may_give_these_rights_and_no_other() -> None:
    assert {group: " ".join(known) for group, known in READABLE.items()} == READ
    assert set(WRITABLE) == {("", "configmaps"), ("", "pods")}
    for group, known in READ.items():
        for name in known.split():
            more = {"configmaps": ["create", "patch", "update"], "pods": ["create", "delete"]} if not group else {}
            assert given(group, name) == sorted(["get", "list", "watch", *more.get(name, [])])
    assert given("", "secrets") == given("apps", "pods") == []


def test_names_of_others_are_spelled_as_they_spell_them() -> None:
    assert yaml.safe_load((ROOT / "Pulumi.yaml").read_text(encoding="utf-8"))["name"] == tokens.PROJECT
    # https://kubernetes.io/docs/reference/labels-annotations-taints, https://kubernetes.io/docs/reference/access-authn-authz/rbac
    assert tokens.POD_SECURITY_LABEL == "pod-security.kubernetes.io/enforce"
    assert names.HOST_NAME == "kubernetes.io/hostname"
    assert tokens.AGGREGATION_LABEL == "rbac.authorization.k8s.io/aggregate-to-"
    # KAI docs/gpu-sharing, docs/priority
    fraction = (names.GPU_FRACTION, names.GPU_FRACTION_DEVICES, names.GPU_MEMORY_ASKED)
    assert fraction == ("gpu-fraction", "gpu-fraction-num-devices", "gpu-memory")
    assert tokens.KAI_PRIORITY_CLASSES == ("train", "build-preemptible", "build", "inference")
    # https://github.com/NVIDIA/k8s-device-plugin
    assert tokens.GPU_PREFIXES == ("nvidia.com/gpu", "nvidia.com/mig-")


def test_what_is_ours_is_known_by_its_token_and_the_hosts_own_check_by_its_word() -> None:
    ours = {found.type for found in healthy() if not found.type.startswith("kubernetes:")}
    kinds = ("NodePool", "GpuSoftware", "Team", "Admission", "VirtualCluster", "KaiScheduler", "GpuCheck")
    assert ours == {f"gpu-tenancy:index:{kind}" for kind in kinds}
    assert is_host_check(resource(tokens.GPU_CHECK, "gpu-0", {"team": "host"}))
    assert not is_host_check(resource(tokens.GPU_CHECK, "ml", {"team": "ml"}))
