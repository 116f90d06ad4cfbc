"""A finding, and what to do about each kind."""

from __future__ import annotations

from dataclasses import dataclass

SEVERITIES = ("fail", "unknown", "warn", "info")


@dataclass(frozen=True)
class Finding:
    """One thing looked at.

    id: stable name. severity: fail, unknown (could not tell), warn or info. value, bound: what was seen and what it was
    held against. advice: one sentence on what to do, empty for info. gpu: the GPU's index, null for all.
    """

    id: str
    severity: str
    message: str
    value: object = None
    bound: object = None
    advice: str = ""
    gpu: int | None = None


RESET = "Drain the node and reset the GPU or reboot; if it comes back, have the GPU replaced."
REPLACE = "Drain the node now and have the GPU replaced."
KERNEL_LOG = "Read the node's kernel log for NVRM lines; if another node of the pool passes, drain this one."
NEIGHBOUR = (
    "Find who holds it (nvidia-smi on the node): nothing enforces shares, so each workload must keep to its own."
)
RUNTIME = "Set the pod's RuntimeClass to nvidia, or make nvidia the node's default runtime."
# KAI's issue 1544
FRACTION_RUNTIME = (
    "KAI only names the GPU in NVIDIA_VISIBLE_DEVICES: NVIDIA's container runtime must put it in. Use a RuntimeClass "
    "with its handler, and leave accept-nvidia-visible-devices-envvar-when-unprivileged on. On nodes where GPUs come "
    "by CDI alone (Bottlerocket, NRI) fractions can't work: use whole GPUs or time-slicing there."
)
ADVICE = {  # what to do, by finding
    "runtime.injection": "Correct gpu.injection in the stack file, or the mode of the node's container runtime.",
    "identity.driver": KERNEL_LOG,
    "identity.smi": "Two drivers' files are mixed in this container: look for libnvidia-ml in the image, remove it.",
    "identity.count": "Read the device plugin's log on this node; look at the pod's NVIDIA_VISIBLE_DEVICES.",
    "identity.granted": "Something bypasses the device plugin: look at NVIDIA_VISIBLE_DEVICES of pod and image.",
    "identity.mig": "Say MIG in the stack file, or change the node's MIG layout back.",
    "identity.product": "Correct the pool's product in the stack file, or move the node to its own pool.",
    "identity.memory": "Correct the pool's gpuMemoryMib: quotas and gpu-memory requests are computed from it.",
    "identity.cuda": "Update the node's driver, or use an image whose torch is built for an older CUDA.",
    "identity.torch": "Try torch.cuda.init() in this image; with NVSwitch, see that the fabric manager runs.",
    "identity.uuid": "CUDA and NVML disagree: look for a second driver's files in this container.",
    "identity.architecture": "Use a torch that is built for this GPU.",
    "memory.alone": "End the other workload, or find who bypasses the device plugin (who sets NVIDIA_VISIBLE_DEVICES).",
    "memory.share": "Find who holds the GPU's memory (nvidia-smi on the node).",
    "memory.pattern": f"The GPU's memory or its bus corrupts data. {REPLACE}",
    "health.nvml": RESET,
    "health.ecc": RESET,
    "health.pages": RESET,
    "health.rows": RESET,
    "health.computeMode": "Set the compute mode back on the node: nvidia-smi -c 0.",
    "health.xid": "Look the number up in NVIDIA's Xid table and treat the node as it says before teams use it.",
    "health.pcie": "Drain the node, reseat the GPU or its riser, and compare LnkSta in lspci -vv on the node.",
    "health.nvlink": "Read nvidia-smi nvlink --status on the node; bridges that are not fitted count as down.",
    "health.fabric": "See that nvidia-fabricmanager runs on the node and has the driver's version.",
    "health.throttle": "Check the node's cooling and power (nvidia-smi -q -d PERFORMANCE); drain it if this lasts.",
    "health.clock": "Look for a power limit or locked clocks: nvidia-smi -q -d CLOCK,POWER on the node.",
    "health.temperature": "Check the node's fans and inlet temperature.",
    "work": f"The GPU computes wrong results. {REPLACE}",
    "speed": "Look at health.throttle, health.clock and health.pcie first, then compare with another node of the pool.",
    "peers.access": "These GPUs talk through host memory: check NVLink, IOMMU and PCIe ACS if they should do better.",
    "peers.copy": "The link between these GPUs corrupts data: drain the node; on bare metal turn PCIe ACS off.",
    "allreduce.sum": "Run it with NCCL_DEBUG=INFO; look at the size of /dev/shm, NVLink and the fabric manager.",
    "sharing.granted": "Look at the pod's annotations, its schedulerName and the log of KAI's binder.",
    "sharing.uuid": "KAI accounts for another GPU: the nvidia runtime must honour the pod's NVIDIA_VISIBLE_DEVICES.",
    "sharing.replica": "Compare the pool's sharing in the stack file with the device plugin's config on this node.",
    "sharing.limiter": "This torch ignores set_per_process_memory_fraction: hold workloads to their share another way.",
    "sharing.isolation": "Look for HAMi's resource isolator on the node, or at the version of its driver.",
    "run.stopped": "Give the check more time or memory, or find what slowed it down, and run it again.",
    "run.incomplete": "Run it again.",
    "run.judged": "Keep the facts (--record) and report this as a fault of the check.",
}
NVML_ADVICE = {  # nvmlReturn_t
    4: "Give the container access to the device nodes: check the nvidia runtime and the pod's security policy.",
    9: "Load the NVIDIA driver on the node (lsmod | grep nvidia), then restart the device plugin.",
    12: "The GPU is here and its driver's libraries are not: see that the RuntimeClass is nvidia's.",
    15: "A GPU fell off the bus: drain the node and reboot it; if it comes back, have the GPU replaced.",
    18: "The node's driver was updated under a running kernel module: drain the node and reboot it.",
}
_BY_SPEC = "What the CDI spec lists comes, whatever NVIDIA_DRIVER_CAPABILITIES says: "
DRIVER_FILES = {
    "legacy": "Let NVIDIA_DRIVER_CAPABILITIES have compute,utility: libnvidia-container puts in what it names.",
    "cdi": f"{_BY_SPEC}see that the file is on the node, beside the driver, and make a spec of a file anew (nvidia-ctk "
    "cdi generate); in mode jit-cdi the next container has it.",
    "cdi-cri": f"{_BY_SPEC}see that the file is on the node, in the driver root that the device plugin knows, and "
    "restart the plugin, which writes the spec.",
    "csv": "What JetPack's CSV files list comes, whatever NVIDIA_DRIVER_CAPABILITIES says; many list no nvidia-smi.",
}
"""How a file of the driver that is missing gets in, by how the GPU came: libnvidia-container alone goes by that
variable (nvidia-container-toolkit@v1.20.0: cmd/nvidia-container-runtime-hook/container_config.go; a spec's files:
pkg/nvcdi/driver-nvml.go; the only other reader is internal/modifier/graphics.go)."""
ANY_WAY = (
    "In mode legacy let NVIDIA_DRIVER_CAPABILITIES have compute,utility; else see that the CDI spec lists the file."
)
LOOK = "Compare by hand on the node: the check can't tell it here."


class Findings(list[Finding]):
    """Findings as they are made; `not_judged` has the ids of what could not be looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.not_judged: list[str] = []

    def add(
        self,
        id_: str,
        bad: bool | str,
        message: str,
        value: object = None,
        bound: object = None,
        *,
        advice: str = "",
        gpu: int | None = None,
    ) -> None:
        """`bad` is a severity, or whether it fails. Advice comes from ADVICE unless given, and only where needed."""
        severity = bad if isinstance(bad, str) else "fail" if bad else "info"
        advice = advice or ADVICE.get(id_) or ADVICE.get(id_.partition(".")[0], "")
        self.append(Finding(id_, severity, message, value, bound, advice if severity != "info" else "", gpu))

    def missing(
        self,
        id_: str,
        severity: str,
        message: str,
        bound: object = None,
        *,
        advice: str = LOOK,
        gpu: int | None = None,
    ) -> None:
        """What this was to be compared with, or what was to be compared, is not there: the report says so.

        `severity`: unknown where a promise rests on it, warn where it guards one, info for a reading that some products
        do not offer.
        """
        self.add(id_, severity, message, None, bound, advice=advice, gpu=gpu)
        if id_ not in self.not_judged:
            self.not_judged.append(id_)

    def ordered(self) -> list[Finding]:
        """By severity; within one, causes before what follows from them."""
        return sorted(self, key=lambda finding: SEVERITIES.index(finding.severity))


def verdict_of(findings: list[Finding], fake: bool) -> str:
    worst = min((finding.severity for finding in findings), key=SEVERITIES.index, default="unknown")
    return "simulated" if fake else {"unknown": "could-not-tell", "info": "pass"}.get(worst, worst)
