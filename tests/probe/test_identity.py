"""Whether the GPUs in sight are those that were promised."""

from __future__ import annotations

import pytest

from probe.judge.identity import built_for
from tests.probe.world import UUID, Report, finding, judged, recorded, report_on, severities, told


def test_more_gpus_than_asked_for_fail_and_the_environment_is_named() -> None:
    report = report_on("two-gpus", {"runtime": {"environment": {"NVIDIA_VISIBLE_DEVICES": "all"}}}, gpus=1)
    assert severities(report) == {"identity.count": "fail"}
    assert "'all' here" in report["sentence"]


def test_without_a_number_asked_for_any_number_of_gpus_will_do() -> None:
    simulation = recorded("two-gpus")
    simulation["expect"] = {}
    assert judged(simulation)["verdict"] == "pass"


def test_nvidia_smi_that_names_another_gpu_than_nvml_fails() -> None:
    report = report_on(steps={"smi": {"gpus": {"0": {"uuid": "GPU-other"}}}})
    assert severities(report) == {"identity.smi": "fail"}


def test_nvidia_smi_that_calls_the_gpu_something_else_fails() -> None:
    assert severities(report_on(steps={"smi": {"gpus": {"0": {"name": "NVIDIA A100"}}}})) == {"identity.smi": "fail"}


def test_a_container_without_nvidia_smi_is_a_warning() -> None:
    simulation = recorded("healthy")
    simulation["steps"]["smi"] = {"path": None, "gpus": []}
    report = judged(simulation)
    assert severities(report) == {"identity.smi": "warn"}


@pytest.mark.parametrize("code", [126, 127])
def test_an_nvidia_smi_that_can_t_be_run_says_nothing_of_the_gpu(code: int) -> None:
    # seen on an H100 whose nvidia-smi was a script that calls a file of the host's
    error = "/usr/bin/nvidia-smi: exec: line 9: /usr/local/nvidia/bin/nvidia-smi: not found"
    simulation = recorded("healthy")
    simulation["steps"]["smi"] = {"path": "/usr/bin/nvidia-smi", "gpus": [], "error": error, "code": code}
    report = judged(simulation)
    assert severities(report) == {"identity.smi": "warn"}
    assert f"can't be run: {error}" in finding(report, "identity.smi")["message"]


def test_an_nvidia_smi_that_runs_and_finds_no_gpu_fails() -> None:
    error = "Failed to initialize NVML: Driver/library version mismatch"
    simulation = recorded("healthy")
    simulation["steps"]["smi"] = {"path": "/usr/bin/nvidia-smi", "gpus": [], "error": error, "code": 18}
    assert severities(judged(simulation)) == {"identity.smi": "fail"}


def came(mode: str) -> dict[str, object]:
    """The traces that a way leaves in a container."""
    nodes = ["/dev/nvhost-ctrl-gpu"] if mode == "csv" else [] if mode == "none" else ["/dev/nvidia0"]
    value = UUID if mode == "legacy" else "void"
    asked = None if mode == "cdi-cri" else UUID
    mounts = ["tmpfs /proc/driver/nvidia"] if mode == "legacy" else []
    environment = {"NVIDIA_VISIBLE_DEVICES": value}
    granted = {"NVIDIA_VISIBLE_DEVICES": asked}
    return {"deviceNodes": nodes, "environment": environment, "granted": granted, "mounts": mounts}


BY_VARIABLE = "Let NVIDIA_DRIVER_CAPABILITIES have compute,utility"
BY_SPEC = "What the CDI spec lists comes, whatever NVIDIA_DRIVER_CAPABILITIES says"


@pytest.mark.parametrize(
    ("mode", "says", "also"),
    [
        ("legacy", BY_VARIABLE, "libnvidia-container"),
        ("cdi", BY_SPEC, "nvidia-ctk cdi generate"),
        ("cdi-cri", BY_SPEC, "restart the plugin"),
        ("csv", "What JetPack's CSV files list comes", "many list no nvidia-smi"),
    ],
)
@pytest.mark.parametrize("missing", ["nvidia-smi", "libnvidia-ml.so"])
def test_a_missing_file_of_the_driver_is_advised_by_the_way_that_the_gpu_came(
    mode: str, says: str, also: str, missing: str
) -> None:
    """Only libnvidia-container goes by NVIDIA_DRIVER_CAPABILITIES: to set it under CDI changes nothing."""
    simulation = recorded("healthy")
    simulation["steps"]["runtime"].update(came(mode))
    if missing == "nvidia-smi":
        simulation["steps"]["smi"] = {"path": None, "gpus": []}
    else:
        simulation["steps"]["nvml"] = {"error": {"code": 12, "message": "LIBRARY_NOT_FOUND"}}
    report = judged(simulation)
    advice = finding(report, "identity.smi" if missing == "nvidia-smi" else "identity.driver")["advice"]
    assert says in advice
    assert also in advice
    assert (BY_VARIABLE in advice) is (mode == "legacy")


@pytest.mark.parametrize("product", ["NVIDIA H200", "NVIDIA-H200", "nvidia-h200-SHARED", "H200"])
def test_a_product_is_the_same_however_it_is_spelled(product: str) -> None:
    assert finding(report_on(product=product), "identity.product")["severity"] == "info"


@pytest.mark.parametrize("product", ["NVIDIA H100 80GB HBM3", "NVIDIA H200 NVL", "NVIDIA-L4"])
def test_another_product_than_the_pools_fails(product: str) -> None:
    assert severities(report_on(product=product)) == {"identity.product": "fail"}


@pytest.mark.parametrize(("pool", "severity"), [(143771, "info"), (141000, "info"), (200000, "fail"), (81920, "warn")])
def test_less_memory_than_the_pool_promises_fails_and_more_is_a_warning(pool: int, severity: str) -> None:
    assert finding(report_on(poolGpuMemoryMib=pool), "identity.memory")["severity"] == severity


def test_a_minor_version_ahead_of_the_driver_is_fine() -> None:
    assert report_on(steps={"import": {"cuda": "13.2"}})["verdict"] == "pass"


def test_a_major_version_ahead_that_works_is_a_warning() -> None:
    report = report_on(steps={"nvml": {"driver": "570.86.15", "cuda": "12.8"}})
    assert severities(report) == {"identity.cuda": "warn"}
    assert "forward compatibility" in report["sentence"]


def test_a_torch_without_cuda_can_tell_nothing() -> None:
    simulation = recorded("healthy")
    simulation["steps"]["import"] = {"cuda": None, "version": "2.11.0+cpu", "architectures": []}
    report = judged(simulation)
    assert report["verdict"] == "could-not-tell"
    assert severities(report) == {"identity.torch": "unknown"}


def test_a_torch_whose_kernels_do_not_fit_fails() -> None:
    assert severities(report_on(steps={"import": {"architectures": ["sm_70", "sm_80"]}})) == {
        "identity.architecture": "fail"
    }


@pytest.mark.parametrize(
    ("capability", "architectures", "fits"),
    [
        ([9, 0], ["sm_90"], True),
        ([9, 0], ["sm_90a"], True),
        ([8, 9], ["sm_80", "sm_86"], True),
        ([8, 0], ["sm_86"], False),
        ([9, 0], ["sm_80"], False),
        ([12, 0], ["sm_90", "compute_90"], True),
        ([7, 5], ["sm_80", "compute_80"], False),
        ([10, 0], ["sm_100"], True),
    ],
)
def test_machine_code_runs_on_its_own_major_and_ptx_on_newer_gpus(
    capability: list[int], architectures: list[str], fits: bool
) -> None:
    assert built_for(capability, architectures) is fits


def test_torch_on_a_gpu_that_nvml_does_not_list_fails() -> None:
    steps = {"cuda": {"devices": {"0": {"uuid": "GPU-ffffffff-0000-0000-0000-000000000000"}}}}
    assert severities(report_on(steps=steps)) == {"identity.uuid": "fail"}


def test_an_old_torch_that_knows_no_uuid_still_passes() -> None:
    simulation = recorded("healthy")
    simulation["steps"]["cuda"]["devices"][0]["uuid"] = None
    report = judged(simulation)
    assert report["verdict"] == "pass"
    assert finding(report, "health.clock")["value"] == 1515, "load is matched by index then"


@pytest.mark.parametrize(
    ("code", "word"),
    [(4, "device nodes"), (9, "Load"), (12, "RuntimeClass"), (15, "bus"), (18, "reboot"), (999, "kernel")],
)
def test_nvml_that_does_not_start_fails_with_the_cause_for_its_code(code: int, word: str) -> None:
    report = report_on("no-driver", {"nvml": {"error": {"code": code, "message": "NVML says no"}}})
    assert severities(report) == {"identity.driver": "fail"}
    assert word in report["sentence"]


OTHER = "GPU-00000002-0000-0000-0000-000000000000"


@pytest.mark.parametrize(
    ("visible", "findings"),
    [
        (UUID, {}),
        (f"k8s.device-plugin.nvidia.com/gpu={UUID}", {}),
        (OTHER, {"identity.granted": "fail"}),
        (f"{UUID},{OTHER}", {"identity.granted": "fail"}),
        ("all", {"identity.granted": "fail"}),
        (None, {}),
        ("0", {}),
    ],
)
def test_a_whole_gpu_is_the_one_that_the_device_plugin_gave(visible: str | None, findings: dict[str, str]) -> None:
    report = report_on(steps=told(visible))
    assert severities(report) == findings
    known = visible not in (None, "0")
    assert ("identity.granted" in report["coverage"]["notJudged"]) is not known, "no UUID to compare with is told"


def test_by_hand_nobody_gave_a_gpu_and_nothing_is_compared() -> None:
    assert [f for f in report_on()["findings"] if f["id"] == "identity.granted"] == []


def test_a_product_that_nobody_names_is_no_pass_where_the_pool_promises_one() -> None:
    simulation = recorded("healthy")
    simulation["steps"]["nvml"]["gpus"][0]["name"] = None
    assert finding(judged(simulation, product="NVIDIA H200"), "identity.product")["severity"] == "info", "torch knows"
    simulation["steps"]["cuda"]["devices"][0]["name"] = None
    assert severities(judged(simulation, product="NVIDIA H200"))["identity.product"] == "unknown"


@pytest.mark.parametrize(("torchs", "severity"), [(143155, "info"), (120000, "fail"), (None, "unknown")])
def test_torchs_total_stands_in_for_memory_that_nvml_does_not_name(torchs: int | None, severity: str) -> None:
    steps: Report = {"nvml": {"gpus": {"0": {"memoryMib": None}}}, "cuda": {"devices": {"0": {"memoryMib": torchs}}}}
    report = report_on(steps=steps, poolGpuMemoryMib=143771)
    assert finding(report, "identity.memory")["severity"] == severity
    assert report["gpus"][0]["memoryMib"] == torchs


def test_a_driver_that_names_no_version_is_told_and_not_compared_with() -> None:
    report = report_on(steps={"nvml": {"driver": None, "cuda": None}})
    assert severities(report) == {}, "CUDA works: the other steps show it"
    assert {"identity.driver", "identity.cuda"} <= set(report["coverage"]["notJudged"])
    assert finding(report, "identity.cuda")["value"] is None, "told once"


def test_torch_computes_on_one_slice_however_many_it_is_shown() -> None:
    simulation = recorded("mig")
    (slice_,) = simulation["steps"]["nvml"]["gpus"][0]["migs"]
    simulation["steps"]["nvml"]["gpus"][0]["migs"] = [slice_, {**slice_, "uuid": "MIG-2"}]
    assert finding(judged(simulation, gpus=2), "identity.torch")["severity"] == "info"


class TestNoDevice:
    """A pod that was given a GPU, and into whose container none came."""

    def test_a_fraction_says_what_kai_granted_and_which_nodes_can_not_do_it(self) -> None:
        report = report_on("no-device")
        assert severities(report) == {"identity.driver": "fail"}
        assert f"No GPU arrived in this container, though the kubelet names {UUID}" in report["sentence"]
        assert "(RuntimeClass nvidia)" in report["sentence"]
        assert "Bottlerocket" in report["sentence"]
        assert report["injection"] == "none"

    def test_a_whole_gpu_is_sent_to_its_runtime_class(self) -> None:
        report = report_on("no-device", mode="whole", fraction=None)
        assert "RuntimeClass to nvidia" in report["sentence"]
        assert "Bottlerocket" not in report["sentence"]

    def test_a_driver_that_is_not_loaded_is_blamed_only_where_the_device_is_there(self) -> None:
        error = {"nvml": {"error": {"code": 9, "message": "Driver Not Loaded"}}}
        assert "No GPU arrived" in report_on("no-device", error)["sentence"]
        assert "Load the NVIDIA driver" in report_on("no-driver", error)["sentence"]
