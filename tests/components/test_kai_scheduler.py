"""One KAI: whole specs, and that nothing of it outlives its namespace."""

from __future__ import annotations

from typing import Any

import pytest

import kube
import releases
from components.team import kai_scheduler
from tests.components.program import lab
from tests.components.specs import OURS, made, of_team
from tests.conftest import Declare
from tests.recording import answered
from tests.settings.build import raw

OPERATOR = {"requests": {"cpu": "5m", "memory": "48Mi"}, "limits": {"memory": "512Mi"}}
SMALL = {"requests": {"cpu": "5m", "memory": "48Mi"}, "limits": {"memory": "256Mi"}}
SCHEDULER = {"requests": {"cpu": "10m", "memory": "96Mi"}, "limits": {"memory": "1024Mi"}}
RESERVATION = {"requests": {"cpu": "1m", "memory": "10Mi"}, "limits": {"memory": "128Mi"}}
ANSWERS = "ml-virtual-cluster-answers"
KINDS = (
    "configs.kai.scheduler",
    "schedulingshards.kai.scheduler",
    "topologies.kai.scheduler",
    "bindrequests.scheduling.run.ai",
    "podgroups.scheduling.run.ai",
    "queues.scheduling.run.ai",
)


def owned(team: str | None, *crds: str) -> dict[str, Any]:
    labels = of_team(team) if team else OURS
    return {
        "metadata": {"name": "gpu-tenancy-owned-kinds", "namespace": "kai-scheduler", "labels": labels},
        "data": {"crds": " ".join(crds)},
    }


def release(version: str, chart: str, values: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": "kai-scheduler",
        "namespace": "kai-scheduler",
        "chart": chart,
        "version": version,
        "values": values,
        "atomic": True,
        "cleanupOnFail": True,
        "maxHistory": 5,
        "timeout": 600,
    }


def test_a_teams_kai_of_the_line_that_needs_most_is_installed_as_recorded(declare: Declare) -> None:
    found = made(declare("lab"), "ml-scheduler")
    assert {name: each.spec for name, each in found.items()} == {
        "kai-scheduler": {"metadata": {"name": "kai-scheduler", "labels": of_team("ml")}},
        "kai-resource-reservation": {"metadata": {"name": "kai-resource-reservation", "labels": of_team("ml")}},
        "cluster-policy": {
            "metadata": {"name": "clusterpolicies.nvidia.com", "labels": of_team("ml")},
            "spec": {
                "group": "nvidia.com",
                "scope": "Cluster",
                "names": {
                    "kind": "ClusterPolicy",
                    "listKind": "ClusterPolicyList",
                    "plural": "clusterpolicies",
                    "singular": "clusterpolicy",
                },
                "versions": [
                    {
                        "name": "v1",
                        "served": True,
                        "storage": True,
                        "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
                    }
                ],
            },
        },
        "release": release(
            "v0.9.3",
            "oci://ghcr.io/nvidia/kai-scheduler/kai-scheduler",
            {
                "global": {"gpuSharing": True},
                "operator": {"resources": OPERATOR},
                "scheduler": {"resources": SCHEDULER},
            },
        ),
        "owned-kinds": owned("ml", *(crd for crd in KINDS if crd != "topologies.kai.scheduler")),
    }
    for each in found.values():
        assert (each.provider, each.goes_with) == ("ml-virtual-cluster-inner", "ml-virtual-cluster-vcluster")
        assert not each.protected, "it must be replaceable"
    needs = {"ml-scheduler-kai-scheduler", "ml-scheduler-kai-resource-reservation", "ml-scheduler-cluster-policy"}
    assert needs <= found["release"].needs


def test_the_hosts_kai_is_installed_as_recorded(declare: Declare) -> None:
    data = lab("ml", host={"provider": "lab", "scheduler": {"version": "v0.16.8"}}, gpu={"stack": "devicePlugin"})
    found = made(declare(data), "host-scheduler")
    assert found["release"].spec == release(
        "v0.16.8",
        "oci://ghcr.io/kai-scheduler/kai-scheduler/kai-scheduler",
        {
            "global": {"gpuSharing": True, "namespaceLabelSelector": {"gpu-tenancy/scheduler": "host"}},
            "admission": {"gpuFractionRuntimeClassName": "nvidia", "resources": OPERATOR},
            "binder": {
                "runtimeClassName": "nvidia",
                "resourceReservationPodResources": RESERVATION,
                "resources": SMALL,
            },
            "defaultQueue": {"createDefaultQueue": False},
            "operator": {"resources": OPERATOR},
            "scheduler": {"resources": SCHEDULER},
            "podgrouper": {"resources": SMALL},
            "podgroupcontroller": {"resources": SMALL},
            "queuecontroller": {"resources": SMALL},
        },
    )
    assert found["kai-scheduler"].spec == {"metadata": {"name": "kai-scheduler", "labels": OURS}}
    assert found["owned-kinds"].spec == owned(None, *KINDS)
    for each in found.values():
        assert (each.provider, each.goes_with) == ("host-provider", "")


def test_only_a_new_team_gets_the_value_that_shortens_an_install(declare: Declare) -> None:
    # on the host there may be Topologies of Kueue's to copy; and a KAI that runs is not upgraded for it
    data = lab("ml", host={"provider": "lab", "scheduler": {"version": "v0.16.8"}}, gpu={"stack": "devicePlugin"})
    data["teams"]["ml"]["scheduler"] = {"mode": "virtual", "version": "v0.16.8"}
    recorder = declare(data)
    team, host = made(recorder, "ml-scheduler")["release"], made(recorder, "host-scheduler")["release"]
    assert team.spec["values"]["topologyMigration"] == {"enabled": False}
    assert team.ignored == ("values.topologyMigration",), "an empty table is a change, too"
    assert "topologyMigration" not in host.spec["values"]


def test_kais_kinds_get_their_owner_before_it_is_written_down(
    declare: Declare, monkeypatch: pytest.MonkeyPatch
) -> None:
    # what is written down is not done again: an update that could not do it must leave nothing written
    asked: list[tuple[str, tuple[str, ...]]] = []
    monkeypatch.setattr(kube, "own_kinds", lambda _, namespace, crds: asked.append((namespace, tuple(crds))))
    recorder = declare("lab")
    found = made(recorder, "ml-scheduler")["owned-kinds"]
    assert found.before_create == found.before_update == (ANSWERS, "ml-scheduler-own-kinds")
    assert "ml-scheduler-release" in found.needs, "the chart brings the CRDs"
    arguments: Any = None
    answered(recorder.hooks.by_name["ml-scheduler-own-kinds"].callback(arguments))
    assert asked == [("kai-scheduler", tuple(crd for crd in KINDS if crd != "topologies.kai.scheduler"))]


def test_nothing_of_a_kai_is_a_patch_whose_whole_object_the_state_would_hold(declare: Declare) -> None:
    assert [each.name for each in declare("lab").resources if "CustomResourceDefinitionPatch" in each.type] == []


def test_every_kai_says_which_kinds_are_its_own() -> None:
    for version, release in releases.KAI.items():
        crds = {kind.crd for kind in release.kinds}
        assert "queues.scheduling.run.ai" in crds, version
        assert ("configs.kai.scheduler" in crds) is release.operator, "the kind that its webhooks hang on"


def test_before_an_install_all_that_was_left_goes_and_before_an_upgrade_what_hooks_left(declare: Declare) -> None:
    found = made(declare("lab"), "ml-scheduler")["release"]
    assert found.before_create == (ANSWERS, "ml-scheduler-sweep")
    assert found.before_update == (ANSWERS, "ml-scheduler-clear")
    assert not {left.kind for left in kai_scheduler.hook_objects()} & {"Config", "SchedulingShard"}
    assert {left.kind for left in kai_scheduler.leftovers()} >= {"Job", "Config", "SchedulingShard"}


@pytest.mark.parametrize("version", ["v0.9.3", "v0.14.7"])
def test_a_kai_that_cannot_run_restricted_says_so(version: str) -> None:
    with pytest.raises(ValueError, match=f"KAI {version} can't run under the Pod Security level restricted"):
        releases.kai_values(releases.KAI[version], gpu_sharing=False, restricted=True)


def test_a_restricted_teams_kai_runs_as_the_level_wants(declare: Declare) -> None:
    data = lab(
        "ml",
        teams__ml__isolation="restricted",
        teams__ml__scheduler={"mode": "virtual", "version": "v0.16.8"},
        teams__ml__check={},
    )
    assert made(declare(data), "ml-scheduler")["release"].spec["values"]["global"]["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def test_a_mirror_is_where_chart_and_images_come_from(declare: Declare) -> None:
    artifacts = {
        "charts": {"kai-scheduler@v0.9.3": "oci://registry.example.com/charts/kai-scheduler"},
        "imageRegistry": "registry.example.com",
    }
    spec = made(declare(lab("ml", artifacts=artifacts)), "ml-scheduler")["release"].spec
    assert spec["chart"] == "oci://registry.example.com/charts/kai-scheduler"
    assert spec["values"]["global"]["registry"] == "registry.example.com/nvidia/kai-scheduler"


def test_a_mirror_that_is_a_repository_of_charts_is_named_beside_the_chart(declare: Declare) -> None:
    artifacts = {"charts": {"kai-scheduler@v0.9.3": "https://charts.example.com/kai"}}
    spec = made(declare(lab("ml", artifacts=artifacts)), "ml-scheduler")["release"].spec
    assert (spec["chart"], spec["version"]) == ("kai-scheduler", "v0.9.3")
    assert spec["repositoryOpts"] == {"repo": "https://charts.example.com/kai"}


def test_the_release_is_told_whether_a_fraction_is_a_limit(declare: Declare) -> None:
    shares = {"mode": "virtual", "version": "v0.16.8", "gpuSharing": {"enforce": "memory"}}
    limited: dict[str, object] = {"teams.ml.scheduler": shares, "teams.ml.isolation": "privileged"}
    spec = made(declare(raw({**limited, "teams.research": None})), "ml-scheduler")["release"].spec
    assert spec["values"]["binder"]["plugins"] == {"hamicore": {"enabled": True}}


@pytest.mark.parametrize("stack", ["fake", "devicePlugin"])
def test_a_kai_that_looks_at_devices_is_told_where_there_are_none(declare: Declare, stack: str) -> None:
    told = {"additionalArgs": ["--fake-gpu-nodes=true"]} if stack == "fake" else {}
    own = lab("research", gpu={"stack": stack}, host__scheduler={"version": "v0.9.8"})
    recorder = declare(own)
    for kai in ("research-scheduler", "host-scheduler"):
        values = made(recorder, kai)["release"].spec["values"]
        assert {key: value for key, value in values["binder"].items() if key == "additionalArgs"} == told


@pytest.mark.parametrize("cdi", [None, True])
def test_a_teams_kai_is_told_by_which_name_to_ask_for_a_gpu(declare: Declare, cdi: bool | None) -> None:
    mode = {"injection": "cdi-cri"} if cdi else {}
    found = made(declare(lab("research", gpu={"stack": "devicePlugin", **mode})), "research-scheduler")["release"]
    assert found.spec["values"]["binder"].get("cdi") is cdi


def test_an_operator_that_a_killed_install_left_goes_before_its_config_and_no_upgrade_deletes_it() -> None:
    # it would make its services' accounts anew, whose pods stay: they got 401, and the team's check stayed Pending
    before, upgrade = kai_scheduler.leftovers(), kai_scheduler.hook_objects()
    assert (before[0].kind, before[0].name, before[0].namespace) == ("Deployment", "kai-operator", "kai-scheduler")
    assert before[0] not in upgrade
