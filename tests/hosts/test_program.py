"""What the program registers for a host that it makes, and which stack files are refused."""

from __future__ import annotations

import copy
import shlex
from typing import Any

import pytest

from kube import at_address
from tests.conftest import Declare
from tests.settings.build import mistakes, raw

COMMAND = "command:local:Command"
REMOTE = "command:remote:Command"
PROVIDER = "pulumi:providers:kubernetes"
SMALL = {"teams.ml": None, "teams.research": None}
"""The smallest team alone: what is asked here is the host's."""
LONG = {"pools.gpu": {"nodes": [f"{'k' * 50}-worker"], "gpusPerNode": 4, "podsPerNode": 250}}
"""The worker of a kind cluster with a name of 50 characters."""


def kind(**more: object) -> dict[str, Any]:
    return {
        "host": {"provider": "kind", "address": "127.0.0.1", "kind": {"gpus": "all", **more}},
        "check.host": False,
        "pools.gpu": {"nodes": ["gpu-tenancy-worker"], "gpusPerNode": 4, "podsPerNode": 250},
    }


def test_a_provider_without_its_section_runs_no_command(declare: Declare) -> None:
    platform = raw(SMALL)
    platform["host"] = {"provider": "kind", "address": "127.0.0.1", "context": "unit"}
    recorder = declare(platform)
    assert recorder.of_type(COMMAND) == recorder.of_type(REMOTE) == []


def test_the_cluster_is_made_first_and_its_kubeconfig_is_a_secret(declare: Declare) -> None:
    recorder = declare(raw(kind()))
    made = recorder.one(COMMAND, "host-install-cluster")
    printed = recorder.one(COMMAND, "host-install-kubeconfig")
    assert printed.inputs["create"] == "kind get kubeconfig --name gpu-tenancy"
    assert printed.inputs["logging"] == "none"
    assert set(printed.options.additionalSecretOutputs) == {"stdout", "stderr"}
    assert any(urn.endswith("::host-install-cluster") for urn in printed.dependencies)
    assert made.inputs["create"] == "bash -s"
    text = made.inputs["stdin"]
    ports = next(line for line in text.splitlines() if line.startswith("export KIND_PORTS="))
    assert len(shlex.split(ports)[1].partition("=")[2].split()) == 3, "one for each team's API server"
    assert "export KIND_GPUS=4\n" in text
    assert "export OWNER=gpu-tenancy/unit\n" in text


def test_the_kubeconfig_of_a_host_that_was_made_is_an_output_and_of_another_it_is_none(declare: Declare) -> None:
    assert "hostKubeconfig" in declare(raw({**kind(), **SMALL})).exports
    assert "hostKubeconfig" not in declare(raw(SMALL)).exports


def test_what_takes_the_cluster_back_is_in_the_state_before_it_is_made(declare: Declare) -> None:
    recorder = declare(raw(kind()))
    made, removal = (recorder.one(COMMAND, f"host-install-cluster{end}") for end in ("", "-removal"))
    assert "delete" not in made.inputs
    assert "create" not in removal.inputs
    assert (removal.inputs["delete"], "kind delete cluster" in removal.inputs["stdin"]) == ("bash -s", True)
    assert any(urn.endswith("::host-install-cluster-removal") for urn in made.dependencies)


def test_an_edit_of_a_team_runs_nothing_on_the_host_again(declare: Declare) -> None:
    changed = copy.deepcopy(kind())
    changed["teams.dev.resources"] = {"cpu": 3}
    commands = [
        {found.name: dict(found.inputs) for found in declare(raw({**tree, **SMALL})).of_type(COMMAND)}
        for tree in (kind(), changed)
    ]
    assert commands[0] == commands[1]


def test_the_kubeconfig_of_another_machine_names_that_machine() -> None:
    text = '{"clusters": [{"cluster": {"server": "https://127.0.0.1:16443"}}]}'
    assert "https://10.0.0.5:16443" in at_address(text, "10.0.0.5")
    assert "https://[fd00::5]:16443" in at_address(text, "fd00::5")
    assert at_address(text, None) == text


@pytest.mark.parametrize("provider", ["kind", "microk8s", "k3s"])
def test_a_section_goes_with_its_provider(provider: str) -> None:
    found = mistakes({"host": {"provider": "existing", "address": "10.0.0.5", provider: {}}})
    assert len(found) == 1
    assert found[0].startswith(f"host.{provider}: makes a {provider} cluster, and provider says another")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"host": {"provider": "existing", "address": "a", "connection": {}}},
            "host.connection: is for a cluster that this program",
        ),
        (
            {**kind(), "host": {**kind()["host"], "context": "x"}},
            "host.context: comes from the cluster that host.kind makes",
        ),
        (
            {**kind(gpus="each"), "gpu": {"stack": "fake"}},
            "host.kind.gpus: gives each worker a GPU of the host, and with gpu.stack: fake there is none, got each;",
        ),
        (
            {**kind(gpus="none")},
            "host.kind.gpus: gives the nodes their GPUs, and the pools say that they have some, got none;",
        ),
        (
            {**kind(), "pools.gpu": {"nodes": ["gpu-0"], "gpusPerNode": 4, "podsPerNode": 250}},
            "pools.gpu.nodes: names the workers",
        ),
        (
            {**kind(), "pools.gpu": {"nodes": ["gpu-tenancy-worker2"], "gpusPerNode": 4, "podsPerNode": 250}},
            "pools.gpu.nodes: names the workers",
        ),
        ({**kind(image="x; reboot")}, "host.kind.image"),
        ({**kind(ports=[30900, 6443])}, "host.kind.ports[1]: is a spare NodePort, and in kind's node"),
        (
            {"host": {"provider": "kind", "address": "a", "name": "k" * 50, "kind": {"gpus": "all"}}, **LONG},
            "host.name: has at most 49 characters",
        ),
        (
            {"host": {"provider": "microk8s", "address": "a", "microk8s": {"addons": ["dns", "gpu"]}}},
            "host.microk8s.addons[1]: is the GPU Operator, which has a key of its own, got 'gpu'",
        ),
        (
            {"host": {"provider": "microk8s", "address": "a", "microk8s": {"nvidiaAddon": True}}},
            "host.microk8s.nvidiaAddon: brings the GPU Operator itself: two owners",
        ),
        (
            {"host": {"provider": "microk8s", "address": "a", "microk8s": {"channel": "latest"}}},
            "host.microk8s.channel",
        ),
        ({"host": {"provider": "microk8s", "address": "a", "microk8s": {"user": "$(id)"}}}, "host.microk8s.user"),
        (
            {
                "host": {
                    "provider": "k3s",
                    "address": "a",
                    "k3s": {"files": {"binary": "/o/k3s", "script": "/o/i", "images": "/o/i.tar.xz"}},
                },
                "gpu.runtimeClass": {"name": "nvidia", "owner": "cluster"},
            },
            "host.k3s.files.images: must be an absolute path that ends as k3s asks",
        ),
    ],
)
def test_bad_input_is_one_clear_error(changes: dict[str, Any], said: str) -> None:
    found = mistakes(changes)
    assert len(found) == 1, found
    assert found[0].startswith(said)


@pytest.mark.parametrize("addon", ["nvidia", "gpu"])
def test_the_gpu_operators_addon_has_two_names(addon: str) -> None:
    found = mistakes({"host": {"provider": "microk8s", "address": "a", "microk8s": {"addons": [addon]}}})
    assert len(found) == 1
    assert found[0].startswith("host.microk8s.addons[0]: is the GPU Operator")


@pytest.mark.parametrize(
    ("name", "nodes", "more"),
    [
        ("gpu-tenancy", ["gpu-tenancy-worker"], {"gpus": "each"}),
        ("k" * 49, [f"{'k' * 49}-worker", f"{'k' * 49}-worker2"], {"workers": 2}),
    ],
)
def test_what_kind_can_make_is_taken(name: str, nodes: list[str], more: dict[str, Any]) -> None:
    made = kind(**more)
    pool = {**made["pools.gpu"], "nodes": nodes, "podsPerNode": 250}
    assert mistakes({**made, **SMALL, "host": {**made["host"], "name": name}, "pools.gpu": pool}) == []


def test_the_new_clusters_provider_waits_for_its_kubeconfig(declare: Declare) -> None:
    provider = declare(raw(kind())).one(PROVIDER, "host-provider")
    assert provider.inputs["clusterIdentifier"] == "gpu-tenancy/unit/host"


def test_metrics_server_comes_with_kinds_settings_where_asked(declare: Declare) -> None:
    release = "kubernetes:helm.sh/v3:Release"
    assert [r for r in declare(raw(kind())).of_type(release) if "metrics" in r.name] == []
    found = declare(raw({**kind(metricsServer=True), **SMALL})).one(release, "metrics-server-release")
    assert found.inputs["values"] == {"args": ["--kubelet-insecure-tls"]}
    assert found.inputs["repositoryOpts"] == {"repo": "https://kubernetes-sigs.github.io/metrics-server"}


def test_over_ssh_without_the_key_nothing_is_registered(declare: Declare) -> None:
    platform = raw({**kind(), **SMALL})
    ssh = {"host": "10.0.0.9", "key": "batch", "hostKey": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIexample"}
    platform["host"]["connection"] = {"ssh": ssh}
    with pytest.raises(Exception, match=r"host\.connection\.ssh\.key: needs the secret batch"):
        declare(platform)
