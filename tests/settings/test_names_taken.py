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
        "teams.dev.access.hostNames: a name leads to one place, got A.example.com, which is the API server's of ml; "
        "choose another name"
    ]
    canary = {**VIRTUAL, "canary": {"version": "v0.14.7", "hostNames": ["a.example.com"]}}
    assert mistakes({"teams.ml.access": BALANCED, "teams.ml.scheduler": canary}) == [
        "teams.ml.scheduler.canary.hostNames: a name leads to one place, got a.example.com, which is the API server's "
        "of ml; choose another name"
    ]
    # in a certificate alone, a name is nobody's
    names = {"hostNames": ["a.example.com"]}
    assert mistakes({"teams.ml.access": names, "teams.dev.access": names}) == []


def test_an_app_has_no_name_of_an_api_server() -> None:
    ingress = {"host": "a.example.com", "controllerNamespace": "ingress"}
    app = {"teams.dev.workloads": {"demo": {"kind": "app", "expose": {"ingress": ingress}}}}
    assert mistakes(app) == []
    assert mistakes({**app, "teams.ml.access": BALANCED}) == [
        "teams.dev.workloads.demo.expose.ingress.host: a name leads to one place, got a.example.com, which is the API "
        "server's of ml; choose another name"
    ]
