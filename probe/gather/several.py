"""What several GPUs do together: copies between them, and NCCL's all-reduce."""

from __future__ import annotations

import contextlib
import functools
import importlib
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from probe.expect import Facts, read_text
from probe.gather.context import PROGRAM, Context, die_with_parent
from probe.gather.work import milliseconds


def gather_peers(context: Context) -> Facts:
    torch, pairs = context.torch, []
    for source, target in itertools.permutations(range(context.facts["cuda"]["count"]), 2):
        data = torch.randint(0, 255, (256 << 20,), dtype=torch.uint8, device=source)
        there = torch.empty_like(data, device=target)
        with torch.cuda.device(source):
            spent = milliseconds(torch, functools.partial(there.copy_, data), 5)
        torch.cuda.synchronize(target)
        pair = {"from": source, "to": target, "access": bool(torch.cuda.can_device_access_peer(source, target))}
        pairs.append({**pair, "same": bool(torch.equal(there.cpu(), data.cpu())), "gbs": data.numel() / 1e6 / spent})
        context.progress({"pairs": pairs})
    return {"pairs": pairs}


ALL_REDUCE_MIB = 256


def gather_allreduce(context: Context) -> Facts:
    """One process a GPU; NCCL's environment variables are passed on untouched."""
    ranks, errors = context.facts["cuda"]["count"], []
    # /dev/shm is there where the root filesystem is read-only, and NCCL needs it anyway
    shared = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="gpu-check-", dir=shared) as folder, contextlib.ExitStack() as logs:
        # all ranks are in this pod: NCCL's handshake needs no interface but loopback
        environment = {"NCCL_SOCKET_IFNAME": "lo", **os.environ}
        command = [sys.executable, PROGRAM, "--world", str(ranks), "--rendezvous", folder, "--rank"]
        started = []
        for rank in range(ranks):
            log = logs.enter_context(Path(folder, f"rank-{rank}.log").open("w", encoding="utf-8"))
            started.append(subprocess.Popen([*command, str(rank)], env=environment, stdout=log, stderr=log))
        # when one rank dies, the others wait for it for ever
        while None in [process.poll() for process in started] and not any(process.poll() for process in started):
            time.sleep(0.05)
        for rank, process in enumerate(started):
            if process.poll():
                last = ((read_text(f"{folder}/rank-{rank}.log") or "").strip().splitlines() or ["no output"])[-1]
                errors.append(f"rank {rank} ended with {process.returncode}: {last[:300]}")
        for process in started:
            process.kill()
            process.wait()
        answers = [read_text(f"{folder}/rank-{rank}.json") for rank in range(ranks)]
    done: list[Facts] = [json.loads(answer) for answer in answers if answer]
    facts: Facts = {"ranks": ranks, "errors": errors, "mib": ALL_REDUCE_MIB, "wrongWords": None, "busGbs": None}
    if len(done) == ranks:
        slowest = max(answer["seconds"] for answer in done)
        # bus bandwidth as nccl-tests defines it: what each GPU's links carry
        facts["busGbs"] = 2 * (ranks - 1) / ranks * (ALL_REDUCE_MIB << 20) / 1e9 / slowest
        facts.update(wrongWords=sum(answer["wrongWords"] for answer in done), nccl=done[0]["nccl"])
    return facts


def rank_main(rank: int, world: int, folder: str) -> None:
    """One process of the all-reduce; every word's sum is known beforehand, exactly."""
    die_with_parent()
    torch, dist = importlib.import_module("torch"), importlib.import_module("torch.distributed")
    torch.cuda.set_device(rank)
    dist.init_process_group("nccl", init_method=f"file://{folder}/store", rank=rank, world_size=world)
    # small whole numbers add up exactly in fp32, whatever the order
    base = torch.arange(ALL_REDUCE_MIB << 18, device=rank).remainder(1021).float()
    data = base * (rank + 1)
    dist.all_reduce(data)
    wrong = int((data != base * (world * (world + 1) // 2)).sum())
    spent = milliseconds(torch, lambda: dist.all_reduce(data), 10) / 1e3
    answer = {"wrongWords": wrong, "seconds": spent, "nccl": ".".join(map(str, torch.cuda.nccl.version()))}
    Path(folder, f"rank-{rank}.json").write_text(json.dumps(answer), encoding="utf-8")
    dist.destroy_process_group()
