"""The real engine, from nothing to nothing. The tests follow one stack, in this order."""

from __future__ import annotations

import copy
import json
import os
import time
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from cli.app import main
from tests.engine.conftest import STACK, Engine, everything_unprotected, kill

pytestmark = pytest.mark.engine

OTHER_KAI = os.environ.get("GPU_TENANCY_ENGINE_OTHER_KAI")
"""A KAI version of another line than the first team's, whose chart and images are there."""


def changed(engine: Engine, **values: Any) -> dict[str, Any]:
    """The stack file's platform with some values changed, by path."""
    data = copy.deepcopy(engine.platform)
    for path, value in values.items():
        holder = data
        *steps, last = path.split("__")
        for step in steps:
            holder = holder[step]
        holder[last] = value
    return data


def teams_of(engine: Engine) -> list[str]:
    """The teams with a KAI of their own, in the file's order."""
    found = [n for n, t in engine.platform["teams"].items() if t.get("scheduler", {}).get("mode") == "virtual"]
    assert len(found) >= 2, "the stack file needs two teams in mode virtual"
    return found


def team_kubeconfig(engine: Engine, team: str, folder: Path) -> str:
    path = folder / f"{team}.json"
    path.write_text(engine.outputs(secrets=True)["kubeconfigs"][team]["admin"])
    path.chmod(0o600)
    return str(path)


def test_a_preview_of_nothing_plans_every_team_and_touches_nothing(engine: Engine) -> None:
    engine.write(engine.platform)
    steps = engine.steps()
    for team in teams_of(engine):
        assert steps[f"{team}-virtual-cluster-vcluster"] == "create"
        assert steps[f"{team}-check-verdict"] == "create"
    assert "team-" not in engine.kubectl("get", "namespaces", "-o", "name")


def test_up_brings_every_team_to_a_check_that_ran_through_its_own_queue(engine: Engine, tmp_path: Path) -> None:
    engine.up()
    found = engine.outputs()["teams"]
    for team in teams_of(engine):
        assert '"verdict"' in found[team]["check"], found[team]["check"]
        kubeconfig = team_kubeconfig(engine, team, tmp_path)
        pod = engine.kubectl(
            "-n",
            "gpu-check",
            "get",
            "pods",
            "-l",
            "gpu-tenancy/check=team",
            "-o",
            "jsonpath={.items[*].spec.schedulerName}",
            kubeconfig=kubeconfig,
        )
        assert "kai-scheduler" in pod


def test_an_unchanged_preview_has_no_changes(engine: Engine) -> None:
    assert engine.steps() == {}


def test_no_key_is_in_the_state_in_clear(engine: Engine) -> None:
    keys = [found["admin"] for found in engine.outputs(secrets=True)["kubeconfigs"].values()]
    state = engine.exported()
    for kubeconfig in keys:
        key = kubeconfig.split('"client-key-data": "')[1].split('"')[0]
        assert key not in state


def test_a_changed_quota_changes_that_teams_numbers_alone(engine: Engine) -> None:
    team = teams_of(engine)[0]
    memory = {**engine.platform["teams"][team]["resources"], "memory": "3Gi"}
    engine.write(changed(engine, **{f"teams__{team}__resources": memory}))
    steps = engine.steps()
    assert f"{team}-guardrails-quota" in steps
    others = [name for name in steps if not name.startswith(team)]
    assert others == []
    assert not [name for name, op in steps.items() if "vcluster" in name or "scheduler" in name]
    engine.up()
    assert engine.steps() == {}


def test_a_check_that_found_no_gpu_fails_nothing_and_is_asked_again(engine: Engine, tmp_path: Path) -> None:
    team = teams_of(engine)[1]
    inside = team_kubeconfig(engine, team, tmp_path)
    config = engine.platform["teams"][team]
    image = engine.platform["check"]["image"]
    hog = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "hog", "labels": {"kai.scheduler/queue": next(iter(config["queues"]))}},
        "spec": {
            "schedulerName": "kai-scheduler",
            "terminationGracePeriodSeconds": 0,
            "containers": [
                {
                    "name": "hog",
                    "image": image,
                    "command": ["python3", "-c", "import time; time.sleep(3600)"],
                    "resources": {
                        "requests": {"cpu": "10m", "memory": "16Mi"},
                        "limits": {"nvidia.com/gpu": str(engine.outputs()["teams"][team]["gpuLimit"])},
                    },
                }
            ],
        },
    }
    (tmp_path / "hog.json").write_text(json.dumps(hog))
    engine.kubectl("apply", "-f", str(tmp_path / "hog.json"), kubeconfig=inside)
    engine.kubectl("wait", "--for=condition=Ready", "pod/hog", "--timeout=100s", kubeconfig=inside)
    engine.write(changed(engine, check__deadlineSeconds=30))
    engine.up()
    report = json.loads(engine.outputs()["teams"][team]["check"])
    assert report["verdict"] == "no-capacity", report
    engine.kubectl(
        "-n", "gpu-check", "wait", "--for=condition=Failed", "job/gpu-check", "--timeout=100s", kubeconfig=inside
    )
    engine.kubectl("delete", "pod", "hog", kubeconfig=inside)
    steps = engine.steps()
    assert {name for name in steps if name.startswith(team)} >= {f"{team}-check-job", f"{team}-check-verdict"}
    assert [name for name in steps if "-check" not in name] == []
    engine.up()
    report = json.loads(engine.outputs()["teams"][team]["check"])
    assert report["verdict"] in ("pass", "warn", "simulated"), report
    assert engine.steps() == {}
    engine.write(engine.platform)
    engine.up()


def test_a_scheduler_goes_to_another_line_and_back_and_its_queues_stay(engine: Engine, tmp_path: Path) -> None:
    if OTHER_KAI is None:
        pytest.skip("GPU_TENANCY_ENGINE_OTHER_KAI names no KAI of another line: no replacement was tried")
    team = teams_of(engine)[0]
    inside = team_kubeconfig(engine, team, tmp_path)
    before = engine.kubectl("get", "queues", "-o", "jsonpath={.items[*].metadata.uid}", kubeconfig=inside)
    own = engine.platform["teams"][team]["scheduler"]
    for version in (OTHER_KAI, own["version"]):
        engine.write(changed(engine, **{f"teams__{team}__scheduler": {**own, "version": version}}))
        assert engine.steps()[f"{team}-scheduler-release"] in ("replace", "delete-replaced", "create-replacement")
        engine.up()
        assert engine.outputs()["teams"][team]["schedulerVersion"] == version
        after = engine.kubectl("get", "queues", "-o", "jsonpath={.items[*].metadata.uid}", kubeconfig=inside)
        assert set(before.split()) <= set(after.split())
        assert engine.steps() == {}


def test_a_paused_team_keeps_what_it_has_and_comes_back_checked(engine: Engine, tmp_path: Path) -> None:
    team = teams_of(engine)[0]
    inside = team_kubeconfig(engine, team, tmp_path)
    engine.kubectl("create", "configmap", "kept", "--from-literal=a=b", kubeconfig=inside)
    engine.write(changed(engine, **{f"teams__{team}__state": "paused"}))
    engine.up()
    assert engine.steps() == {}
    used = "jsonpath={.status.used.requests\\.nvidia\\.com/gpu}"
    assert engine.kubectl("-n", f"team-{team}", "get", "resourcequota", "tenant", "-o", used).strip() == "0"
    assert not engine.outputs()["teams"][team].get("check")
    engine.write(changed(engine))
    engine.up()
    assert '"verdict"' in engine.outputs()["teams"][team]["check"]
    assert engine.kubectl("get", "configmap", "kept", "-o", "jsonpath={.data.a}", kubeconfig=inside).strip() == "b"
    assert engine.steps() == {}


def test_a_dead_tenant_api_does_not_stop_another_team(engine: Engine, tmp_path: Path) -> None:
    dead, alive = teams_of(engine)[:2]
    engine.kubectl("-n", f"team-{dead}", "scale", "statefulset", dead, "--replicas=0")
    engine.kubectl("-n", f"team-{dead}", "wait", "--for=delete", f"pod/{dead}-0", "--timeout=100s")
    data = changed(engine)
    for team in (dead, alive):
        queue = next(iter(data["teams"][team]["queues"].values()))
        queue["priority"] = 90
    engine.write(data)
    engine.up(ok=False)
    engine.kubectl("-n", f"team-{dead}", "scale", "statefulset", dead, "--replicas=1")
    engine.kubectl("-n", f"team-{dead}", "rollout", "status", f"statefulset/{dead}", "--timeout=180s")
    # KAI 0.9.3's pod-grouper can hang on its connection to the API server that went away (docs/troubleshooting.md)
    inside = team_kubeconfig(engine, dead, tmp_path)
    engine.kubectl("-n", "kai-scheduler", "delete", "pods", "--all", "--wait=false", kubeconfig=inside)
    left = engine.steps()
    assert left, "the dead team's change is still to be made"
    assert [name for name in left if name.startswith(alive)] == []
    engine.up()
    assert engine.steps() == {}


def test_a_killed_engine_can_be_run_again(engine: Engine) -> None:
    team = teams_of(engine)[0]
    engine.write(changed(engine, **{f"teams__{team}__isolation": "privileged"}))
    process = engine.start("up", "--yes", "--skip-preview")
    assert process.stdout is not None
    for line in process.stdout:
        if "updating" in line or "replacing" in line or "creating" in line:
            break
    kill(process)
    time.sleep(2)
    engine.run("cancel", "--yes")
    engine.up()
    assert engine.steps() == {}


def test_a_team_left_out_stays_whole_until_an_override_lets_it_go(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in engine.environment.items():
        monkeypatch.setenv(name, value)
    team = teams_of(engine)[1]
    engine.write(engine.platform)
    engine.up()
    data = changed(engine)
    del data["teams"][team]
    engine.write(data)
    assert main(["--stack", STACK, "up"], root=engine.folder) == 2
    assert f"protected against deletion: {team}; nothing was changed" in capsys.readouterr().err
    engine.write(engine.platform)
    assert engine.steps() == {}

    data["overrides"] = [
        {
            "team": team,
            "allow": ["delete"],
            "until": str(date.today() + timedelta(days=30)),
            "reason": "removed by a test",
        }
    ]
    engine.write(data)
    assert main(["--stack", STACK, "up"], root=engine.folder) == 0, capsys.readouterr().err[-3000:]
    assert f"team-{team}" not in engine.kubectl("get", "namespaces,priorityclasses,clusterroles", "-o", "name")
    assert engine.steps() == {}


def test_destroy_leaves_nothing_of_ours(engine: Engine) -> None:
    everything_unprotected(engine)
    engine.run("destroy", "--yes")
    kinds = (
        "namespaces,priorityclasses,runtimeclasses,clusterroles,clusterrolebindings,crds,validatingadmissionpolicies"
    )
    everything = engine.kubectl("get", kinds, "-o", "name").splitlines()
    ours = [f"team-{team}" for team in engine.platform["teams"]] + [f"vc-{t}-v" for t in engine.platform["teams"]]
    assert [line for line in everything if any(name in line for name in ours)] == []
    assert "namespace/gpu-tenancy" not in everything
    assert "runtimeclass.node.k8s.io/nvidia" not in everything
    managers = engine.kubectl("get", "nodes", "-o", "json", "--show-managed-fields")
    assert f'"gpu-tenancy/team-{teams_of(engine)[0]}"' not in managers
