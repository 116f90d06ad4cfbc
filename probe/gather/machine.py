"""What the container, nvidia-smi and torch say of themselves."""

from __future__ import annotations

import importlib
import math
import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

from probe.bounds import CANNOT_RUN
from probe.expect import Facts, read_text
from probe.gather.context import Context, first_line
from probe.injection import VOLUME_MOUNTS

ENVIRONMENT = re.compile(
    r"NVIDIA_(VISIBLE_DEVICES|DRIVER_CAPABILITIES|TF32_OVERRIDE)|CUDA_(VISIBLE_DEVICES|DEVICE_ORDER|MPS_\w+)|NCCL_\w+|"
    r"GPU_PORTION|RUNAI_NUM_OF_GPUS|MOCK_NVIDIA_VISIBLE_DEVICES|PYTORCH_(CUDA_)?ALLOC_CONF"
)


DEVICE_NODES = ("nvidia*", "dxg", "nvmap", "nvhost-ctrl-gpu")
TELLING_MOUNT = re.compile(rf"(/proc/driver/nvidia|{VOLUME_MOUNTS})(/|$)")


def mounts_of(mountinfo: str) -> list[str]:
    """`type place` of each mount that says how the GPU came (proc(5), mountinfo)."""
    lines = (line.split() for line in mountinfo.splitlines())
    found = ((fields[fields.index("-") + 1], fields[4]) for fields in lines if "-" in fields)
    # /var/run is a link to /run in many images
    told = ((kind, re.sub(r"^/run/", "/var/run/", place)) for kind, place in found)
    return sorted(f"{kind} {place}" for kind, place in told if TELLING_MOUNT.match(place))


def gather_runtime(context: Context) -> Facts:
    quota = (read_text("/sys/fs/cgroup/cpu.max") or "max 1").split()
    memory = (read_text("/sys/fs/cgroup/memory.max") or "").strip()
    shm = os.statvfs("/dev/shm") if Path("/dev/shm").is_dir() else None
    return {
        "python": platform.python_version(),
        "kernel": platform.release(),
        "granted": context.granted,
        "environment": {key: value for key, value in sorted(os.environ.items()) if ENVIRONMENT.fullmatch(key)},
        "deviceNodes": sorted(
            str(path) for name in DEVICE_NODES for path in Path("/dev").glob(name) if not path.is_dir()
        ),
        "mounts": mounts_of(read_text("/proc/self/mountinfo") or ""),
        "cpus": min(len(os.sched_getaffinity(0)), int(quota[0]) / int(quota[1]) if quota[0].isdigit() else math.inf),
        "memoryLimitMib": int(memory) >> 20 if memory.isdigit() else None,
        "shmMib": shm.f_frsize * shm.f_blocks >> 20 if shm else None,
    }


def parse_smi_list(text: str) -> list[Facts]:
    """GPUs, with their MIG slices, from the output of `nvidia-smi -L`."""
    gpus: list[Facts] = []
    for line in text.splitlines():
        gpu = re.match(r"GPU (\d+): (.+?) \(UUID: ([^)]+)\)", line)
        mig = re.match(r"\s+MIG (\S+)\s+Device\s+\d+: \(UUID: ([^)]+)\)", line)
        if gpu:
            gpus.append({"index": int(gpu[1]), "name": gpu[2], "uuid": gpu[3], "migs": []})
        elif mig and gpus:
            gpus[-1]["migs"].append({"profile": mig[1], "uuid": mig[2]})
    return gpus


def gather_smi(_: Context) -> Facts:
    path = shutil.which("nvidia-smi")
    if path is None:
        return {"path": None, "gpus": []}
    try:
        done = subprocess.run([path, "-L"], capture_output=True, text=True, check=False)
    except OSError as failed:  # of another architecture, or no program
        return {"path": path, "gpus": [], "error": str(failed.strerror)[:300], "code": CANNOT_RUN[0]}
    error = (done.stderr or done.stdout).strip()[:300] if done.returncode else None
    return {"path": path, "gpus": parse_smi_list(done.stdout), "error": error, "code": done.returncode}


def gather_import(context: Context) -> Facts:
    torch = context.torch = importlib.import_module("torch")
    # a pod with a CPU limit sees all of the node's cores; as many threads would only be throttled
    torch.set_num_threads(max(1, int(context.facts["runtime"]["cpus"])))
    cuda = torch.version.cuda
    architectures = torch.cuda.get_arch_list() if cuda else []
    return {"version": str(torch.__version__), "cuda": cuda, "architectures": architectures}


def gather_cuda(context: Context) -> Facts:
    torch, devices = context.torch, []
    try:
        torch.cuda.init()
    except Exception as error:  # torch raises several types here; its text is the fact
        return {"error": first_line(error), "count": 0, "devices": []}
    for index in range(torch.cuda.device_count()):
        has = torch.cuda.get_device_properties(index)
        free, total = torch.cuda.mem_get_info(index)
        uuid = str(getattr(has, "uuid", "")) or None
        device = {"index": index, "name": has.name, "memoryMib": total >> 20, "freeMib": free >> 20}
        device["uuid"] = uuid if uuid is None or uuid.startswith(("GPU-", "MIG-")) else f"GPU-{uuid}"
        devices.append({**device, "capability": [has.major, has.minor], "multiprocessors": has.multi_processor_count})
    return {"count": len(devices), "devices": devices}
