"""GPU labels that somebody else wrote, compared with the stack file. Pure.

Owns: which of them contradict it, whether the API refuses that, and which of them our device plugin lacks.
Leaves to others: reading them (`discovered.py`), the number of GPUs (`gpus.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from cli.preflight.discovered import Discovered, discovered
from cli.preflight.facts import NodeFacts
from cli.preflight.findings import Finding, Level, error
from names import GPU_MEMORY, GPU_PRESENT
from releases import NO_SHARING, NODE_LABEL_SHARING_CONFIG
from settings.labels import default_entry, sharing_labels
from settings.models import GpuStack, Owner, Platform, Pool

MEMORY_OF_ANOTHER_GPU: Final = Decimal("0.15")
"""NVML's total is up to some 6 % below the datasheet's number (L4: 24576 and 23034). A larger difference than this
means another GPU.
"""
MIB_IN_GIB: Final = 1024
FOUND_BY_NFD: Final = {
    "feature.node.kubernetes.io/pci-10de.present": "true",
    "feature.node.kubernetes.io/cpu-model.vendor_id": "NVIDIA",
}
"""Labels beside `nvidia.com/gpu.present` that bring the device plugin to a node
(DP@v0.20.0:deployments/helm/nvidia-device-plugin/values.yaml, affinity)."""


def plugin_is_ours(platform: Platform) -> bool:
    """Whether the program installs what advertises the GPUs."""
    return platform.gpu.stack is not GpuStack.FAKE and platform.gpu.owner is Owner.OURS


def plugin_labels(platform: Platform, name: str, pool: Pool, node: NodeFacts, subject: str) -> Iterator[Finding]:
    """Yield the labels that our device plugin needs and that this node lacks, or has with another value. We write them
    only on nodes that the file names, and never over somebody else's value."""
    if not plugin_is_ours(platform) or not pool.gpus_per_node:
        return
    wanted, named = sharing_labels(name, pool, default_entry(platform.pools)), bool(pool.nodes)
    # a node with GPUs has a plugin already, ours or somebody else's
    served = bool(node.gpus) or any(node.labels.get(key) == value for key, value in FOUND_BY_NFD.items())
    if platform.gpu.stack is GpuStack.DEVICE_PLUGIN and (named or not served):
        wanted[GPU_PRESENT] = "true"
    # `up` changes what an earlier run of ours wrote, and removes it from a pool that has a selector now
    there = {key: value for key, value in node.labels.items() if key not in node.ours}
    lacking = [
        f"{key}={value}" for key, value in wanted.items() if there.get(key) != value and (not named or key in there)
    ]
    config = there.get(NODE_LABEL_SHARING_CONFIG, NO_SHARING.name)
    if lacking and named:
        keys = [label.split("=")[0] for label in lacking]
        yield error(
            "plugin-labels",
            subject,
            f"has {', '.join(f'{key}={there[key]}' for key in keys)} of somebody else, and the device plugin asks for "
            f"{', '.join(lacking)}: a second owner with another value is refused (409)",
            f"`kubectl label node {node.name} {' '.join(f'{key}-' for key in keys)}`",
        )
    elif lacking:
        yield error(
            "plugin-labels",
            subject,
            f"lacks {', '.join(lacking)}, which the device plugin asks for; we label no nodes of a selector",
            f"`kubectl label --overwrite node {node.name} {' '.join(lacking)}`, or write pools.{name}.nodes",
        )
    elif not pool.sharing.given and config != NO_SHARING.name and _shares(platform):
        yield error(
            "plugin-labels",
            subject,
            f"has {NODE_LABEL_SHARING_CONFIG}={config}, and pool {name} shares nothing: the device plugin takes its "
            "entry of that name, or ends where it has none",
            f"`kubectl label node {node.name} {NODE_LABEL_SHARING_CONFIG}-`",
        )


def of_no_pool(platform: Platform, node: NodeFacts) -> Iterator[Finding]:
    """Yield a node of no pool whose GPUs our device plugin would share by MPS, because its default entry does."""
    default, there = default_entry(platform.pools), {k: v for k, v in node.labels.items() if k not in node.ours}
    served = {GPU_PRESENT: "true", **FOUND_BY_NFD}.items() & there.items()
    if default != NO_SHARING.name and plugin_is_ours(platform) and served and NODE_LABEL_SHARING_CONFIG not in there:
        yield error(
            "plugin-labels",
            f"node {node.name}",
            f"is in no pool, and the device plugin finds it by {', '.join(f'{k}={v}' for k, v in sorted(served))}: "
            f"without a label of its own it shares this node's GPUs by MPS, as those of pool {default}",
            f"`kubectl label node {node.name} {NODE_LABEL_SHARING_CONFIG}={NO_SHARING.name}`, or put it into a pool",
        )


def _shares(platform: Platform) -> bool:
    """Whether the device plugin reads the label at all: if no pool shares its GPUs, it has one setting."""
    return any(pool.sharing.given for pool in platform.pools.values())


def labels_are_refused(platform: Platform, pool: Pool) -> bool:
    """Whether we write GPU labels on the pool's nodes; then the API refuses another value of somebody else (409)."""
    return bool(pool.nodes) and platform.gpu.stack is not GpuStack.GPU_OPERATOR


def gpu_labels(platform: Platform, pool: Pool, node: NodeFacts, subject: str) -> Iterator[Finding]:
    """Yield what feature discovery, or a person, wrote about the GPUs and what differs from the file. `up` changes
    labels of our own earlier run.
    """
    if pool.gpus_per_node == 0:
        return
    refused = labels_are_refused(platform, pool)
    found = discovered({key: value for key, value in node.labels.items() if key not in node.ours})
    if found.memory is not None and pool.gpu_memory_mib is not None and not pool.sharing.mig:
        yield from _memory(pool.gpu_memory_mib, found, node, subject, refused=refused)
    product = found.product
    if pool.product is not None and product and not _same_product(pool.product, product, exact=refused):
        yield error(
            "gpu-product",
            subject,
            f"is a {product}, the file says {pool.product}",
            f"set product: {product}, or put the node into another pool",
        )


def _memory(declared: int, found: Discovered, node: NodeFacts, subject: str, *, refused: bool) -> Iterator[Finding]:
    label, (mib, unit) = found.memory, _mebibytes(found, declared)
    if unit == "MiB" and mib == declared:
        return
    another = mib is not None and _differs(mib, declared)
    remove = f"`kubectl label node {node.name} {GPU_MEMORY}-`, or correct what writes it"
    if mib is None:
        message = f"label {GPU_MEMORY} says {label!r}, which is no number: KAI takes a GPU for 100 MiB"
        fix = remove
    elif unit != "MiB":
        message = f"label {GPU_MEMORY} says {label}, which is {unit}: {mib} MiB" + (
            " of another GPU" if another else ""
        )
        stays = f"gpuMemoryMib stays {declared}" if not another else f"gpuMemoryMib: {mib} is this node's"
        fix = f"{remove}; {stays}"
    else:
        message = f"its GPUs have {mib} MiB, the file says {declared}" + (": another GPU" if another else "")
        fix = f"set gpuMemoryMib: {mib}" + (", or put the node into another pool" if another else "")
    harmless = mib is not None and not another and not refused and (mib >= declared or unit == "bytes")
    level = Level.WARNING if harmless else Level.ERROR
    yield Finding(id="gpu-memory", level=level, subject=subject, message=message, fix=fix)


def _mebibytes(found: Discovered, declared: int) -> tuple[int | None, str]:
    """The memory and its unit. Recognizes whole GiB, which KAI reads as MiB."""
    mib = found.memory_mib
    if mib is None:
        return None, ""
    if found.in_bytes:
        return mib, "bytes"
    if _differs(mib, declared) and not _differs(mib * MIB_IN_GIB, declared):
        return mib * MIB_IN_GIB, "GiB"
    return mib, "MiB"


def _differs(mib: int, declared: int) -> bool:
    return abs(Decimal(mib) - declared) / declared > MEMORY_OF_ANOTHER_GPU


def _same_product(declared: str, label: str, *, exact: bool) -> bool:
    """Feature discovery adds -SHARED on a node with replicas, and -MIG-... with MIG slices."""
    return label == declared or (not exact and label.startswith((f"{declared}-SHARED", f"{declared}-MIG-")))
