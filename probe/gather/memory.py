"""Allocates the pod's share of each GPU, tests it, and tries one allocation beyond it."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

from probe.bounds import MEMORY_TOLERANCE, OVER_TAKE, SHARE_STEP
from probe.expect import FRACTIONS, Expect, Facts
from probe.gather.context import Context, first_line, out_of_memory
from probe.gather.nvml import Ask, nvml_memory
from probe.injection import grant


def granted_mib(
    expect: Expect, total_mib: int, free_mib: int, whole_mib: int | None = None, client: bool = False
) -> int:
    """MiB of one device that this pod may use: all of it, its fraction, its own number, or its part of replicas.

    `total_mib` is what CUDA shows this process, `whole_mib` what the GPU has; a limit makes the first smaller. MPS does
    not (driver 580.159.04, H100), and bounds each `client` of it all the same, one that is alone on the GPU, too.
    """
    if expect.mode in FRACTIONS:
        return min(expect.share_mib(whole_of(expect, total_mib, whole_mib)), total_mib)
    if expect.mode == "replica" or client:
        if not expect.replicas:  # where nobody says how many there are: no more than what is free now
            return free_mib
        part = (whole_mib or total_mib) // expect.replicas
        return total_mib if total_mib <= part * (1 + MEMORY_TOLERANCE) else total_mib // expect.replicas
    return total_mib


def whole_of(expect: Expect, total_mib: int, whole_mib: int | None = None) -> int:
    """MiB that a share is a part of: what CUDA shows. A library that limits memory makes that smaller, and NVML's
    number with it (HAMi: KAI@v0.16.8:docs/gpu-sharing/hami/README.md), so the pool's number counts then."""
    return max(total_mib, whole_mib or 0, expect.pool_gpu_memory_mib or 0) if expect.enforced else total_mib


def memory_mib(torch: ModuleType, device: int) -> tuple[int, int]:
    """(free, total) MiB of a device."""
    free, total = torch.cuda.mem_get_info(device)
    return free >> 20, total >> 20


def nvml_gpu_of(context: Context, device: int) -> Facts:
    """What NVML said of a device of torch's; nothing where it did not, or lists MIG slices."""
    uuids = {found["index"]: found["uuid"] for found in context.facts["cuda"]["devices"]}
    return next((gpu for gpu in context.facts["nvml"].get("gpus", []) if uuids.get(device) == gpu["uuid"]), {})


def granted_now(context: Context, device: int) -> tuple[int, int, int]:
    """(free, total, granted) MiB of a device, as CUDA and what was asked for say now."""
    free, total = memory_mib(context.torch, device)
    whole: int | None = nvml_gpu_of(context, device).get("memoryMib")
    return free, total, granted_mib(context.expect, total, free, whole, grant(context.facts).mps)


def unused_mib(nvml: ModuleType, index: int) -> int | None:
    """MiB of a GPU that no process holds now, by NVML, which knows no limit of MPS; None where it does not say."""
    ask = Ask(nvml)
    handle = ask("nvmlDeviceGetHandleByIndex", index)
    memory = nvml_memory(ask, handle) if handle is not None else {"memoryMib": None}
    return None if memory["memoryMib"] is None else memory["memoryMib"] - memory["usedMib"]


def gather_memory(context: Context) -> Facts:
    """Allocates the asked share of each GPU and tests it. On a fraction, torch is held to the share by its own limiter
    first, and one allocation beyond it is tried."""
    torch, expect, results = context.torch, context.expect, []
    client = grant(context.facts).mps
    for index in (device["index"] for device in context.facts["cuda"]["devices"]):
        torch.cuda.set_device(index)
        gpu = nvml_gpu_of(context, index)
        free, total, granted = granted_now(context, index)
        whole = whole_of(expect, total, gpu.get("memoryMib"))
        result: Facts = {"index": index, "totalMib": total, "freeMib": free, "grantedMib": granted}
        result["askedMib"] = int(granted * expect.memory_fraction)
        result.update(gotMib=0, checkedMib=0, wrongWords=0, outOfMemory=None)
        results.append(result)
        if expect.mode in FRACTIONS:
            torch.cuda.set_per_process_memory_fraction(min(1.0, granted / total), index)
        try:
            pattern_test(torch, index, result, lambda: context.progress({"gpus": results}))
        except Exception as error:
            if not out_of_memory(error):
                raise
            result["outOfMemory"] = first_line(error)
        torch.cuda.empty_cache()
        if expect.mode in FRACTIONS:
            result["limiter"] = limiter_test(torch, index, granted)
        if expect.mode in FRACTIONS and expect.enforced:
            result["overTake"] = over_take(torch, index, expect.share_mib(whole), whole)
        if client:
            unused = unused_mib(context.nvml, gpu["index"]) if gpu else None
            result["overTake"] = {**over_take(torch, index, granted, total), "unusedMib": unused}
    return {"gpus": results}


OUT_OF_MEMORY = 2  # cuda.h, CUresult


def over_take(torch: ModuleType, device: int, share: int, whole: int, cuda: ctypes.CDLL | None = None) -> Facts:
    """Whether a process gets a fifth more than its share, and what was free. Asked of the driver: torch counts for
    itself, and would refuse what is more than it is shown. `cuda`: the driver's library, unless it is to be loaded."""
    # of a small share in MiB a fifth is less than KAI's rounding
    tried = max(int(share * OVER_TAKE), share + int(whole * 2 * SHARE_STEP))
    free, pointer = memory_mib(torch, device)[0], ctypes.c_uint64()
    cuda = cuda or ctypes.CDLL("libcuda.so.1")
    code = cuda.cuMemAlloc_v2(ctypes.byref(pointer), ctypes.c_size_t(tried << 20))
    if code == 0:
        cuda.cuMemFree_v2(pointer)
    elif code != OUT_OF_MEMORY:
        raise RuntimeError(f"cuMemAlloc of {tried} MiB: CUDA error {code}")
    return {"shareMib": share, "wholeMib": whole, "triedMib": tried, "freeMib": free, "refused": code != 0}


PATTERN_MIB, ROWS = 64, 8  # one row of the pattern is longer than any cache; a block has so many rows


def pattern_test(torch: ModuleType, device: int, result: Facts, progress: Callable[[], None]) -> None:
    """Fills memory with rows that all differ, reads them back as they are and inverted: on the device in full, over the
    bus in samples. Fills in `result` as it goes, so that an error or a kill shows how far it came."""
    row_mib = max(1, min(PATTERN_MIB, result["askedMib"] // 64))
    words = row_mib << 18  # of 4 bytes
    generator = torch.Generator().manual_seed(time.time_ns() & 0xFFFFFFFF)
    pattern_here = torch.randint(-(2**31), 2**31 - 1, (words,), dtype=torch.int32, generator=generator)
    pattern = pattern_here.to(device)
    blocks = []

    def block() -> Any:
        made = torch.empty((ROWS, words), dtype=torch.int32, device=device)
        result["gotMib"] += ROWS * row_mib
        return made

    scratch = block()
    # what is asked for includes the pattern, the scratch block and the booleans of a comparison
    for _ in range(max(1, (result["askedMib"] - row_mib - ROWS * row_mib * 5 // 4) // (ROWS * row_mib))):
        blocks.append(block())
    progress()
    keys = torch.arange(len(blocks) * ROWS, dtype=torch.int32, device=device).mul_(0x9E3779).view(-1, ROWS, 1)
    wrong = torch.zeros((), dtype=torch.int64, device=device)
    for number_, block_ in enumerate(blocks):
        torch.add(pattern, keys[number_], out=block_)
    for inverted in (False, True):
        for number_, block_ in enumerate(blocks):
            torch.add(pattern, keys[number_], out=scratch)
            if inverted:
                torch.bitwise_not(scratch, out=scratch)
            wrong += torch.ne(block_, scratch).sum()
            if not inverted:
                torch.bitwise_not(block_, out=block_)
    sample, keys_here = 1 << 16, keys.cpu()
    for number_, block_ in enumerate(blocks):
        row, start = number_ % ROWS, (number_ * 7919 * 4096) % (words - sample + 1)
        right = (pattern_here[start : start + sample] + keys_here[number_, row]).bitwise_not()
        wrong += int((block_[row, start : start + sample].cpu() != right).sum())
    result["wrongWords"] = int(wrong.item())
    result["checkedMib"] = len(blocks) * ROWS * row_mib


def limiter_test(torch: ModuleType, device: int, granted: int) -> Facts:
    """Whether torch's limiter refuses one allocation just beyond the share, and what the GPU still had free."""
    facts: Facts = {"limitMib": granted, "triedMib": granted + 256, "freeMib": memory_mib(torch, device)[0]}
    try:
        torch.empty((granted + 256) << 20, dtype=torch.uint8, device=device)
        facts["refused"] = False
    except Exception as error:
        if not out_of_memory(error):
            raise
        facts["refused"] = True
    torch.cuda.empty_cache()
    return facts
