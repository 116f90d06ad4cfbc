"""Which change the engine makes by a replacement."""

from __future__ import annotations

import pytest
from pydantic import JsonValue

from preview.replaces import TRIGGER, reasons

JOB = "kubernetes:batch/v1:Job"
RELEASE = "kubernetes:helm.sh/v3:Release"
CONFIG = "kubernetes:core/v1:ConfigMap"
CLASS = "kubernetes:scheduling.k8s.io/v1:PriorityClass"


@pytest.mark.parametrize(
    ("type_", "old", "new", "expected"),
    [
        (JOB, {"spec": {"template": {"a": 1}}}, {"spec": {"template": {"a": 2}}}, ("spec.template.a",)),
        (JOB, {"spec": {"backoffLimit": 1}}, {"spec": {"backoffLimit": 2}}, ()),
        (JOB, {"spec": {"template": {"c": [1]}}}, {"spec": {"template": {"c": [2]}}}, ("spec.template.c[0]",)),
        (CONFIG, {"data": {"a.py": "1"}}, {"data": {"a.py": "2"}}, ('data["a.py"]',)),
        (CONFIG, {"metadata": {"labels": {"a": "1"}}}, {"metadata": {"labels": {}}}, ()),
        (CONFIG, {"metadata": {"name": "a"}}, {"metadata": {"name": "b"}}, ("metadata.name",)),
        (CONFIG, {}, {"metadata": {"name": "b"}}, ("metadata",)),
        (RELEASE, {"name": "a", "version": "1"}, {"name": "a", "version": "2"}, ()),
        (RELEASE, {"namespace": "a"}, {"namespace": "b"}, ("namespace",)),
        ("gpu-tenancy:index:Team", {"metadata": {"name": "a"}}, {"metadata": {"name": "b"}}, ()),
        (CONFIG, {"data": {"a": "1"}}, {"data": {"a": "1"}}, ()),
    ],
)
def test_what_the_provider_never_updates_in_place(
    type_: str, old: JsonValue, new: JsonValue, expected: tuple[str, ...]
) -> None:
    assert reasons(type_, old, new) == expected


def test_what_the_program_says_is_not_to_be_updated() -> None:
    assert reasons(CLASS, {"value": 1}, {"value": 2}) == ()
    assert reasons(CLASS, {"value": 1}, {"value": 2}, on_changes=["value"]) == ("value",)


@pytest.mark.parametrize(
    ("trigger", "expected"),
    [(("a", "b"), (TRIGGER,)), (("a", "a"), ()), ((None, "b"), ()), (("a", None), ()), ((None, None), ())],
)
def test_a_trigger_on_one_side_alone_is_none(trigger: tuple[JsonValue, JsonValue], expected: tuple[str, ...]) -> None:
    assert reasons(RELEASE, {"version": "1"}, {"version": "2"}, trigger=trigger) == expected


# pulumi-kubernetes v4.32.0, provider/pkg/provider/diff.go
NEVER_IN_PLACE = {
    "kubernetes:core/v1:ConfigMap": ["data", "binaryData"],
    "kubernetes:core/v1:Secret": ["type", "data", "stringData"],
    "kubernetes:core/v1:Service": ["spec.clusterIP"],
    "kubernetes:core/v1:ResourceQuota": ["spec.scopes"],
    "kubernetes:core/v1:Pod": ["spec.nodeName"],
    "kubernetes:core/v1:PersistentVolumeClaim": [
        *("spec.accessModes", "spec.selector", "spec.storageClassName", "spec.volumeName"),
    ],
    "kubernetes:apps/v1:Deployment": ["spec.selector"],
    "kubernetes:apps/v1:DaemonSet": ["spec.selector"],
    "kubernetes:apps/v1:StatefulSet": [
        *("spec.podManagementPolicy", "spec.revisionHistoryLimit", "spec.selector", "spec.serviceName"),
        "spec.volumeClaimTemplates",
    ],
    "kubernetes:batch/v1:Job": ["spec.completions", "spec.parallelism", "spec.selector", "spec.template"],
    "kubernetes:rbac.authorization.k8s.io/v1:RoleBinding": ["roleRef"],
    "kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding": ["roleRef"],
    "kubernetes:storage.k8s.io/v1:StorageClass": ["parameters", "provisioner"],
    "kubernetes:helm.sh/v3:Release": ["name", "namespace"],
    CLASS: ["metadata.name", "metadata.namespace"],
}


@pytest.mark.parametrize(
    ("type_", "path"), [(type_, path) for type_, paths in NEVER_IN_PLACE.items() for path in paths]
)
def test_a_property_that_kubernetes_never_changes_is_a_reason(type_: str, path: str) -> None:
    def at(value: str) -> JsonValue:
        *above, last = path.split(".")
        found: JsonValue = {last: value, "other": value}
        for step in reversed(above):
            found = {step: found}
        return found

    other = path.rpartition(".")[0]
    in_spec = type_.endswith(":Pod")
    told = [*([f"{other}.other"] if in_spec else []), path]
    assert sorted(reasons(type_, at("a"), at("b"))) == sorted(told)


def test_the_engines_name_for_a_replacement_that_was_asked_for() -> None:
    assert reasons(RELEASE, {}, {}, trigger=("a", "b")) == ("replacementTrigger",)
