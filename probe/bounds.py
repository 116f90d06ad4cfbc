"""What a reading is held against. Sources, and what real GPUs reached: docs/gpu-check.md."""

from __future__ import annotations

from dataclasses import dataclass

# of a 2048x1024x2048 product of normal numbers against float64 on the CPU: (relative error in the Frobenius norm, worst
# element over the root mean square). fp32 keeps 24 bits, tf32 and fp16 11, bf16 8; docs/gpu-check.md has the H200's
TOLERANCES = {"fp32": (1e-5, 1e-4), "tf32": (2e-3, 2e-2), "bf16": (5e-3, 5e-2), "fp16": (2e-3, 2e-2)}
IN_USE_MIB = 1024  # what a GPU held alone may have in use before the probe starts: driver and firmware keep some
CANNOT_RUN = (126, 127)  # a shell's exit codes for a program that it may not run, or does not find
MEMORY_TOLERANCE = 0.02  # GPU memory against the pool's number: drivers reserve differing amounts
SHARE_STEP = 0.01  # of a GPU: KAI counts a share in hundredths (KAI@v0.16.8:docs/gpu-sharing/hami/README.md)
OVER_TAKE = 1.2  # of its share: what a pod that is held to it must not get
THERMAL_MARGIN_C = 5  # warn this close to the GPU's own slowdown temperature
RETIRED_PAGES_WARN = 10  # the number that Meta's GCM health checks use
CLOCK_SHARE = 0.5  # SM clock under load against its maximum
HW_REASON_SHARE = 0.5  # a hardware slowdown in this share of the samples is a failure, in fewer a warning
PCIE_SHARE = 0.5  # copies between host and device against the link's rate in one direction
PCIE_LANE_GBS = {1: 0.25, 2: 0.5, 3: 0.985, 4: 1.969, 5: 3.938, 6: 7.563}  # per lane and direction, after encoding
# the oldest driver for a CUDA major: docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html
OLDEST_DRIVER = {11: (450, 80, 2), 12: (525, 60, 13), 13: (580, 0, 0)}
CLOCK_REASONS = {  # nvml.h, nvmlClocksEventReasons: bit -> (name, severity)
    0x4: ("software power cap", "info"),
    0x8: ("hardware slowdown", "fail"),
    0x20: ("software thermal slowdown", "warn"),
    0x40: ("hardware thermal slowdown", "fail"),
    0x80: ("hardware power brake", "fail"),
}


@dataclass(frozen=True)
class Floor:
    """The vendor's datasheet rates of a product, and the share of each that a healthy one must reach.

    tflops: dense bf16 (fp16 before Ampere), TFLOP/s. gbs: memory bandwidth, GB/s. The shares are ours: lower for boards
    whose power limit keeps them from the datasheet's rate.
    """

    tflops: float
    gbs: float
    tflops_share: float = 0.55
    gbs_share: float = 0.7


FLOORS = {  # NVML's product name, normalised; sources, and what an H200 really reached: docs/gpu-check.md
    "b200": Floor(2250, 8000),
    "h200": Floor(989, 4800),
    "h200-nvl": Floor(835, 4800, 0.5),
    "h100-80gb-hbm3": Floor(989, 3350),
    "h100-nvl": Floor(835, 3900, 0.45),
    "h100-pcie": Floor(756, 2000, 0.4),
    "a100-sxm4-80gb": Floor(312, 2039),
    "a100-sxm4-40gb": Floor(312, 1555),
    "a100-80gb-pcie": Floor(312, 1935, 0.5),
    "a100-pcie-40gb": Floor(312, 1555, 0.5),
    "a30": Floor(165, 933, 0.4),
    "l40s": Floor(362, 864, 0.4),
    "a10": Floor(125, 600, 0.35),
    "l4": Floor(121, 300, 0.3),
    "t4": Floor(65, 320, 0.25, 0.6),
}
