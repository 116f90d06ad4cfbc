"""How a GPU came into a container, and which one the cluster gave: in every injection mode."""

from __future__ import annotations

import pytest

from probe.gather.machine import mounts_of
from probe.injection import arguments, grant, injection, read_granted
from tests.probe.world import UUID, Report

DEVICES = ["/dev/nvidia-uvm", "/dev/nvidia0", "/dev/nvidiactl"]
CDI_NAME = f"k8s.device-plugin.nvidia.com/gpu={UUID}"
MOUNTED = "/var/run/nvidia-container-devices"


def container(here: str | None, told: str | None = "by hand", nodes: list[str] | None = None, *mounts: str) -> Report:
    """A container: its own variable, the kubelet's word (`by hand`: nobody asked the kubelet), its device nodes."""
    granted = {"NVIDIA_VISIBLE_DEVICES": told, "GPU_PORTION": "0.30", "CUDA_MPS_PIPE_DIRECTORY": None}
    return {
        "runtime": {
            "environment": {} if here is None else {"NVIDIA_VISIBLE_DEVICES": here},
            "granted": None if told == "by hand" else granted,
            "deviceNodes": DEVICES if nodes is None else nodes,
            "mounts": list(mounts),
        }
    }


class TestTheKubeletsWord:
    """The kubelet fills in arguments before a runtime or an image can touch them."""

    def test_it_is_asked_for_each_variable_by_a_reference_that_it_expands(self) -> None:
        assert arguments() == [
            "--granted",
            "NVIDIA_VISIBLE_DEVICES=$(NVIDIA_VISIBLE_DEVICES)",
            "--granted",
            "GPU_PORTION=$(GPU_PORTION)",
            "--granted",
            "CUDA_MPS_PIPE_DIRECTORY=$(CUDA_MPS_PIPE_DIRECTORY)",
        ]

    def test_what_it_can_not_fill_in_was_not_granted(self) -> None:
        unfilled = [word for word in arguments() if word != "--granted"]
        assert read_granted(unfilled) == dict.fromkeys(
            ("NVIDIA_VISIBLE_DEVICES", "GPU_PORTION", "CUDA_MPS_PIPE_DIRECTORY")
        )

    def test_a_cdi_name_keeps_its_own_equals_sign(self) -> None:
        assert read_granted([f"NVIDIA_VISIBLE_DEVICES={CDI_NAME}"]) == {"NVIDIA_VISIBLE_DEVICES": CDI_NAME}

    def test_without_such_arguments_nobody_asked_it(self) -> None:
        assert read_granted([]) is None


@pytest.mark.parametrize(
    ("facts", "mode", "words"),
    [
        (container(UUID, UUID), "legacy", "mode legacy"),
        (container("void", UUID), "cdi", "mode cdi or jit-cdi"),
        (container("void", CDI_NAME), "cdi", "(mode cdi)"),
        (container("void", MOUNTED), "cdi", "mode cdi or jit-cdi"),
        (container("void", None), "cdi-cri", "cdi-cri or cdi-annotations"),
        (container("void"), "cdi", "mode cdi or jit-cdi"),
        (container(UUID), "legacy", "mode legacy"),
        (container("all", None, DEVICES, "tmpfs /proc/driver/nvidia"), "legacy", "mode legacy"),
        (container("all", None), "unknown", "traces"),
        (container(None, None), "unknown", "traces"),
        (container(None, UUID, ["/dev/nvmap", "/dev/nvhost-ctrl-gpu"]), "csv", "Tegra"),
        (container("void", UUID, ["/dev/nvmap"]), "csv", "Tegra"),
        (container("void", None, ["/dev/dxg"]), "cdi-cri", "cdi-cri"),
        (container(UUID, UUID, []), "none", "no GPU device"),
        (container("void", UUID, ["/dev/nvidiactl", "/dev/nvidia-uvm"]), "none", "no GPU device"),
        ({}, "unknown", "not known"),
    ],
)
def test_each_way_is_told_by_its_traces(facts: Report, mode: str, words: str) -> None:
    found = injection(facts)
    assert found.mode == mode
    assert words in found.words


@pytest.mark.parametrize(
    ("facts", "uuids", "why"),
    [
        (container("void", UUID), [UUID], ""),
        (container(UUID, UUID), [UUID], ""),
        (container("void", CDI_NAME), [UUID], ""),
        (container("void", f"{CDI_NAME},k8s.device-plugin.nvidia.com/gpu=GPU-2"), [UUID, "GPU-2"], ""),
        (container("all", UUID), [UUID], ""),  # an image says so, and its word does not count
        (container("void", "MIG-1,MIG-2"), ["MIG-1", "MIG-2"], ""),
        (container("void", MOUNTED, None, f"devtmpfs {MOUNTED}/{UUID}"), [UUID], ""),
        (container("void", MOUNTED), None, "is no UUID"),
        (container("void", None), None, "not set for this pod"),
        (container("void", "void"), None, "every CDI spec sets"),
        (container("void", "none"), None, "every CDI spec sets"),
        (container("void", "0,1"), None, "names 0,1, which is no UUID"),
        (container("void", "all"), ["all"], ""),
        (container("void"), None, "every CDI spec sets"),
        (container(UUID), [UUID], ""),
        (container(None), None, "not set for this pod"),
        ({}, None, "not set for this pod"),
    ],
)
def test_what_was_granted_is_the_clusters_word_and_not_the_containers(
    facts: Report, uuids: list[str] | None, why: str
) -> None:
    found = grant(facts)
    assert found.uuids == uuids
    assert why in found.why
    assert bool(found.why) is (uuids is None)


def test_who_said_it_is_named() -> None:
    assert grant(container("void", UUID)).by == "the kubelet"
    assert grant(container(UUID)).by == "this container's environment"


@pytest.mark.parametrize(
    ("portion", "share"),
    [("0.30", 0.3), ("0.5", 0.5), (".25", 0.25), ("1", 1.0), ("half", None), ("", None), (None, None)],
)
def test_a_share_is_a_number_or_not_known(portion: str | None, share: float | None) -> None:
    assert grant({"runtime": {"granted": {"GPU_PORTION": portion}}}).portion == share


def test_a_client_of_mps_is_one_that_the_device_plugin_made() -> None:
    by_image = {"runtime": {"environment": {"CUDA_MPS_PIPE_DIRECTORY": "/mps"}, "granted": {}}}
    assert not grant(by_image).mps
    assert grant({"runtime": {"granted": {"CUDA_MPS_PIPE_DIRECTORY": "/mps/nvidia.com/gpu/pipe"}}}).mps
    assert grant({"runtime": {"environment": {"CUDA_MPS_PIPE_DIRECTORY": "/mps"}}}).mps, (
        "by hand there is no other word"
    )


MOUNTINFO = """\
741 705 0:66 / / rw,relatime master:250 - overlay overlay rw
760 741 0:71 / /proc/driver/nvidia ro,nosuid - tmpfs tmpfs rw,mode=555
761 760 0:4 /driver/nvidia/gpus/0000:1b:00.0 /proc/driver/nvidia/gpus/0000:1b:00.0 ro - proc proc rw
762 741 0:5 /null /run/nvidia-container-devices/GPU-1 rw - devtmpfs udev rw
763 741 259:1 /usr/lib/libcuda.so.580 /usr/lib/libcuda.so.580 ro shared:1 master:2 - ext4 /dev/root rw
"""


def test_the_mounts_that_tell_how_a_gpu_came_are_kept_and_no_others() -> None:
    assert mounts_of(MOUNTINFO) == [
        "devtmpfs /var/run/nvidia-container-devices/GPU-1",
        "proc /proc/driver/nvidia/gpus/0000:1b:00.0",
        "tmpfs /proc/driver/nvidia",
    ]
