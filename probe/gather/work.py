"""Matrix products against the CPU's, and rates."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

from probe.expect import Facts
from probe.gather.context import Context
from probe.gather.memory import granted_now
from probe.gather.nvml import LoadSampler


def distance(product: Any, reference: Any) -> list[float] | None:
    """[relative error in the Frobenius norm, worst element over the root mean square]; None if not finite."""
    difference = product.double().cpu() - reference
    worst = difference.abs().max() / reference.square().mean().sqrt()
    both = [float(difference.norm() / reference.norm()), float(worst)]
    return both if all(map(math.isfinite, both)) else None


def gather_matmul(context: Context) -> Facts:
    torch, results = context.torch, []
    seed = time.time_ns() & 0xFFFFFFFF
    generator = torch.Generator().manual_seed(seed)
    # some 128 tiles: a product that leaves most multiprocessors idle would prove little
    a, b = torch.randn((2048, 1024), generator=generator), torch.randn((1024, 2048), generator=generator)
    reference = a.double() @ b.double()
    references: dict[object, Any] = {}
    switches = torch.backends.cuda.matmul
    switches.allow_bf16_reduced_precision_reduction = switches.allow_fp16_reduced_precision_reduction = False
    for device in context.facts["cuda"]["devices"]:
        index, ampere = device["index"], device["capability"][0] >= 8
        result: Facts = {"index": index}
        results.append(result)
        a_there, b_there = a.to(index), b.to(index)
        for name, tf32 in (("fp32", False), ("tf32", True)) if ampere else (("fp32", False),):
            switches.allow_tf32 = tf32
            result[name] = distance(a_there @ b_there, reference)
        # before Ampere there are no bf16 matrix units: fp16 stands in. The operands are rounded in the reference too
        name, kind = ("bf16", torch.bfloat16) if ampere else ("fp16", torch.float16)
        a_half, b_half = a.to(kind), b.to(kind)
        if kind not in references:
            references[kind] = a_half.double() @ b_half.double()
        a_there, b_there = a_half.to(index), b_half.to(index)
        first = a_there @ b_there
        result[name] = distance(first, references[kind])
        # cuBLAS promises the same bits for the same call on the same GPU; a flaky unit does not keep that promise
        result["repeatable"] = all(bool(torch.equal(first, a_there @ b_there)) for _ in range(20))
        context.progress({"gpus": results, "seed": seed})
    return {"gpus": results, "seed": seed}


def milliseconds(torch: ModuleType, work: Callable[[], object], repeats: int, at_least_ms: float = 0.0) -> float:
    """Median time of one `work` by device events, after two warm-ups, until `at_least_ms` are spent too."""
    times: list[float] = []
    for turn in itertools.count(-2):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        work()
        end.record()
        end.synchronize()
        if turn >= 0:
            times.append(start.elapsed_time(end))
        if len(times) >= repeats and sum(times) >= at_least_ms:
            break
    return sorted(times)[len(times) // 2]


def device_speed(torch: ModuleType, device: Facts, room_mib: float) -> Facts:
    """Copy rates in GB/s and the matrix rate in TFLOP/s of one GPU, all medians."""
    index, mib = device["index"], 1 << 20
    copy_mib, side = (1024, 8192) if room_mib > 4096 else (128, 4096)
    here = torch.empty(256 * mib, dtype=torch.uint8, pin_memory=True)
    there = torch.empty(256 * mib, dtype=torch.uint8, device=index)
    to_device = milliseconds(torch, lambda: there.copy_(here, non_blocking=True), 5)
    to_host = milliseconds(torch, lambda: here.copy_(there, non_blocking=True), 5)
    source = torch.randint(0, 255, (copy_mib * mib,), dtype=torch.uint8, device=index)
    target = torch.empty_like(source)
    copy = milliseconds(torch, lambda: target.copy_(source), 10)
    kind = torch.bfloat16 if device["capability"][0] >= 8 else torch.float16
    # random numbers: zeros draw less power and run faster than any real work
    a, b = (torch.randn((side, side), device=index).to(kind) for _ in range(2))
    out = torch.empty_like(a)
    product = milliseconds(torch, lambda: torch.mm(a, b, out=out), 10, at_least_ms=1000)
    rates = {"hostToDeviceGbs": 256 * mib / 1e6 / to_device, "deviceToHostGbs": 256 * mib / 1e6 / to_host}
    # bytes read and bytes written both count
    return {**rates, "onDeviceGbs": 2 * copy_mib * mib / 1e6 / copy, "matrixTflops": 2 * side**3 / 1e9 / product}


def gather_speed(context: Context) -> Facts:
    torch, expect, results = context.torch, context.expect, []
    for device in context.facts["cuda"]["devices"]:
        index = device["index"]
        torch.cuda.set_device(index)
        free, _, granted = granted_now(context, index)
        sampler = LoadSampler(context.nvml, device["uuid"], index)
        sampler.start()
        speed = device_speed(torch, device, min(free, granted) * expect.memory_fraction)
        torch.cuda.empty_cache()
        results.append({"index": index, **speed, "load": sampler.summary()})
        context.progress({"gpus": results})
    return {"gpus": results}
