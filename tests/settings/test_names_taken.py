"""Names that somebody else has: a load balancer's, and those of SLURM on a host."""

from __future__ import annotations

import pytest

from tests.settings.build import mistakes

SLURM = {"host": "hpc", "gpus": 2}
BALANCED = {"expose": "loadBalancer", "hostNames": ["a.example.com"]}
VIRTUAL = {"mode": "virtual", "version": "v0.16.8"}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"partition": "default"}, "slurm.partition: is a word of SLURM's own, got 'default'; choose another name"),
        ({"partition": "all"}, "slurm.partition: is a word of SLURM's own, got 'all'; choose another name"),
        ({"host": "default"}, "slurm.host: is not the name of one host, got 'default'; choose another name"),
        ({"host": "localhost"}, "slurm.host: is not the name of one host, got 'localhost'; choose another name"),
        (
            {"gpuType": "100"},
            "slurm.gpuType: is a number, which SLURM would take for a count, got '100'; choose another name",
        ),
    ],
)
def test_slurm_s_own_words_are_no_names(changed: dict[str, object], said: str) -> None:
    assert mistakes({"slurm": {**SLURM, "partition": "default-2", "gpuType": "a100"}}) == []
    assert mistakes({"slurm": {**SLURM, **changed}}) == [said]


def test_a_slurm_host_is_no_gpu_node_under_its_whole_name() -> None:
    found = mistakes({"slurm": {**SLURM, "host": "gpu-0"}, "pools.gpu.nodes": ["gpu-0.example.com"]})
    assert len(found) == 1
    assert "slurm.host: must be no node of a pool with GPUs" in found[0]
    assert "got 'gpu-0.example.com', a node of pool gpu with 4 GPUs" in found[0]
    assert mistakes({"slurm": {**SLURM, "host": "gpu"}, "pools.gpu.nodes": ["gpu-0.example.com"]}) == []


@pytest.mark.parametrize(
    "device", ["/dev/../etc/passwd", "/dev/./nvidia1", "/dev//nvidia1", "/dev/nvidia1,2", "/dev/", "/dev/a/.."]
)
def test_a_device_is_one_and_below_dev(device: str) -> None:
    assert mistakes({"slurm": {**SLURM, "devices": ["/dev/nvidia0", "/dev/dri/by-path/pci-0000:01:00.0"]}}) == []
    (line,) = mistakes({"slurm": {**SLURM, "devices": ["/dev/nvidia0", device]}})
    assert line.startswith(
        "slurm.devices[1]: must be a path below /dev without spaces and quotes, of one device, no part"
    )


def test_a_load_balancer_s_name_leads_to_one_api_server() -> None:
    assert mistakes(
        {"teams.ml.access": BALANCED, "teams.dev.access": {**BALANCED, "hostNames": ["A.example.com"]}}
    ) == [
        "teams.dev.access.hostNames: a name leads to one place, got A.example.com, which leads to the API server of "
        "ml; choose another name"
    ]
    canary = {**VIRTUAL, "canary": {"version": "v0.14.7", "hostNames": ["a.example.com"]}}
    assert mistakes({"teams.ml.access": BALANCED, "teams.ml.scheduler": canary}) == [
        "teams.ml.scheduler.canary.hostNames: a name leads to one place, got a.example.com, which leads to the API "
        "server of ml; choose another name"
    ]
    # in a certificate alone, a name is nobody's
    names = {"hostNames": ["a.example.com"]}
    assert mistakes({"teams.ml.access": names, "teams.dev.access": names}) == []


def test_an_app_has_no_name_of_an_api_server() -> None:
    ingress = {"host": "a.example.com", "controllerNamespace": "ingress"}
    app = {"teams.dev.workloads": {"demo": {"kind": "app", "expose": {"ingress": ingress}}}}
    assert mistakes(app) == []
    assert mistakes({**app, "teams.ml.access": BALANCED}) == [
        "teams.dev.workloads.demo.expose.ingress.host: a name leads to one place, got a.example.com, which leads to "
        "the API server of ml; choose another name"
    ]


APP = {"kind": "app", "cpu": "100m", "memory": "128Mi"}
ROOMY = {"pools.gpu.podsPerNode": 2000}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {
                "pools.a": {"nodes": ["b-c"], "gpusPerNode": 0},
                "pools.a-b": {"nodes": ["c"], "gpusPerNode": 0},
            },
            "pools.a-b: node c of pool a-b and node b-c of pool a would both be a-b-c in the stack's state, got 'a-b'; "
            "rename one of them",
        ),
        (
            {
                "pools.big": {"selector": {"size": "big"}, "nodeCount": 1, "gpusPerNode": 1},
                "pools.more": {"nodes": ["pool-big"], "gpusPerNode": 1},
            },
            "pools.more: the check of node pool-big and the check of pool big would both be host-check-pool-big in",
        ),
        (
            {"teams.ml.queues": {"parent": {"gpu": 1}, "leaf-parent": {"gpu": 1}}},
            "teams.ml.queues.leaf-parent: queue leaf-parent of team ml and queue parent of team ml would both be",
        ),
        (
            {
                "teams.a": {"workloads": {"b-workloads-c": APP}},
                "teams.a-workloads-b": {"workloads": {"c": APP}},
            },
            "teams.a-workloads-b.workloads.c: workload c of team a-workloads-b and workload b-workloads-c of team a",
        ),
        (
            {"teams.dev.workloads": {"web": {**APP, "expose": {"nodePort": 30999}}, "web-host": APP}},
            "teams.dev.workloads.web-host: workload web-host of team dev and workload web of team dev would both be "
            "dev-workloads-web-host-service in the stack's state",
        ),
    ],
    ids=["nodes", "checks", "queues", "workloads", "services"],
)
def test_two_pairs_of_names_make_two_names(changes: dict[str, object], said: str) -> None:
    found = mistakes({**ROOMY, **changes})
    assert len(found) >= 1
    assert all("would both be" in line for line in found), found
    assert said in found[0]


def test_a_check_that_nobody_makes_takes_no_name() -> None:
    pools = {
        "pools.big": {"selector": {"size": "big"}, "nodeCount": 1, "gpusPerNode": 1},
        "pools.more": {"nodes": ["pool-big"], "gpusPerNode": 1},
    }
    assert mistakes({**pools, "check": {"host": False}}) == []
    assert mistakes({**pools, "pools.more": {"nodes": ["pool-big"], "gpusPerNode": 0}}) == []
