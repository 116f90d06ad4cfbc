"""A team's workloads on a real GPU: model servers, an app, and the files of docs/examples/workloads.

Run by `test_gpus.py`, on its stack. In vLLM's place is `tests/workloads/openai_stand_in.py` on the check's image, with
the same Deployment, probes, Service and completion test. The examples are applied as they are, but for their queue:
their images must be to be had.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import re
import time
import urllib.request
import zlib
from collections.abc import Iterator, Sequence
from typing import Any, Final

import pytest
import yaml

from tests.conftest import ROOT
from tests.engine import gpus
from tests.engine.conftest import Engine, Row, since, told
from tests.engine.gpus import Ground, Json, Tenant

STAND_IN: Final = ROOT / "tests" / "workloads" / "openai_stand_in.py"
EXAMPLES: Final = ROOT / "docs" / "examples" / "workloads"
NODE_PORT: Final = 30500
BESIDE: Final = {"fraction": 0.1}
"""The check's share of the GPU that the workloads have."""
AT_ONCE: Final = ("--grace-period=1",)
WORDS: Final = 7
LISTING: Final = (
    "NAME:.metadata.name,STATUS:.status.phase,NODE:.spec.nodeName,"
    "GPU-FRACTION:.metadata.annotations.gpu-fraction,GPU-GROUP:.metadata.labels.runai-gpu-group"
)
"""As docs/examples/workloads/fractions.yaml has it."""


def stand_in() -> list[str]:
    """The command of the stand-in server: the whole program in one argument."""
    packed = base64.b64encode(zlib.compress(STAND_IN.read_bytes(), 9)).decode()
    return ["python3", "-c", f"import base64,zlib;exec(zlib.decompress(base64.b64decode('{packed}')))"]


def platform_with_workloads(engine: Engine) -> Json:
    """The two servers of Pulumi.inference.yaml, and an app on what they leave of one GPU."""
    example = yaml.safe_load((ROOT / "Pulumi.inference.yaml").read_text())["config"]["gpu-tenancy:platform"]
    (theirs,) = example["teams"].values()
    data = gpus.platform_for(engine, BESIDE)
    (team,) = data["teams"].values()
    servers = theirs["workloads"]
    for server in servers.values():
        server.update(
            image=data["check"]["image"], command=stand_in(), cpu=1, memory="2G", memoryLimit="4G", startSeconds=60
        )
        server.pop("cache")
    app = {
        "kind": "app",
        "gpu": {"fraction": 0.1},
        "cpu": "500m",
        "expose": {"nodePort": NODE_PORT},
        "secrets": {"API_KEY": {"environment": "API_KEY"}},
    }
    team["workloads"] = {**servers, "demo": app}
    return data


@pytest.fixture(scope="class")
def served(engine: Engine, node: Ground, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenant]:
    """The team with its workloads, proven by their completion tests. They go before another test's check wants their
    GPU: an `up` removes last what is left out, so that check would wait for them."""
    if node.memory_mib is None:
        pytest.skip(f"pool {node.pool} has no gpuMemoryMib: no model server can be declared")
    engine = dataclasses.replace(engine, environment={**engine.environment, "API_KEY": "only-for-this-test"})
    engine.write(platform_with_workloads(engine))
    began = time.monotonic()
    try:
        engine.up()
        told(Row(what="2 model servers and an app", verdict="up", how="-", seconds=since(began)))
        yield Tenant(engine=engine, team=node.team, folder=tmp_path_factory.mktemp("served"))
    finally:
        engine.write(gpus.platform_for(engine, BESIDE))
        engine.up()


class TestWorkloads:
    """What the stack file declares for a team."""

    def test_two_servers_share_one_gpu_and_each_completes(self, served: Tenant) -> None:
        listed = served.kubectl("-n", "workloads", "get", "pods", "-o", f"custom-columns={LISTING}")
        print(f"\n{listed}", flush=True)
        rows = [line.split() for line in listed.splitlines()[1:] if line.startswith("vllm-test-") and "test" in line]
        servers = {fraction: group for _, status, _, fraction, group in rows if status == "Running"}
        assert servers.keys() == {"0.7", "0.2"}, listed
        assert len(set(servers.values()) - {"<none>"}) == 1, "both have one GPU group"
        for name in ("vllm-test-07", "vllm-test-02"):
            job = served.kubectl("-n", "workloads", "logs", f"job/{name}-test")
            said = re.search(r"completed 'San Francisco is a' with '([^']+)'", job)
            assert said is not None, job
            assert len(said[1].split()) == WORDS
            log = served.kubectl("-n", "workloads", "logs", f"deployment/{name}")
            (where,) = [line for line in log.splitlines() if line.startswith("serving ")]
            told(Row(what=name, verdict="completed", how="-", seconds=0.0, sentence=f"{said[1]!r}; {where}"))
            assert where.endswith(" on cuda")

    def test_the_apps_page_says_which_gpu_it_got(self, served: Tenant, node: Ground) -> None:
        served.kubectl("-n", "workloads", "rollout", "status", "deployment/demo", "--timeout=60s")
        address = served.engine.platform["host"]["address"]
        began = time.monotonic()
        with urllib.request.urlopen(f"http://{address}:{NODE_PORT}/data", timeout=60) as answer:
            found: dict[str, Any] = json.loads(answer.read())
        said = f"{found['gpus']}, {found['computed']}, secrets {found['secrets']}"
        told(Row(what="app's page", verdict="200", how="-", seconds=since(began), sentence=said))
        assert found["team"] == served.team
        assert found["computed"]["right"] is True, found
        assert found["secrets"] == {"API_KEY": "set"}
        uuids = re.findall(r"UUID: (GPU-[0-9a-f-]+)", " ".join(found["gpus"]))
        assert len(uuids) == 1
        if node.gpus == 1:
            assert uuids == gpus.report_of(served.engine)["coverage"]["uuids"], "the check's GPU: there is no other"


@pytest.fixture(scope="module")
def tenant(engine: Engine, node: Ground, tmp_path_factory: pytest.TempPathFactory) -> Tenant:
    """The team with its whole pool in one queue and nothing running."""
    engine.write(gpus.platform_for(engine, {}))
    engine.up()
    return Tenant(engine=engine, team=node.team, folder=tmp_path_factory.mktemp("examples"))


class TestExamples:
    """Files of docs/examples/workloads, applied with the team's kubeconfig."""

    @pytest.mark.parametrize(
        ("name", "gpus_needed", "starts"),
        [
            ("quickstart", 1, 2),
            ("fractions", 1, 2),
            ("gpu-memory", 1, 1),
            ("notebook", 1, 1),
            ("elastic", 1, 1),
            ("queues", 0, 0),
            ("training", 2, 1),
            ("gang", 2, 2),
        ],
    )
    def test_a_tenant_applies_it(self, tenant: Tenant, node: Ground, name: str, gpus_needed: int, starts: int) -> None:
        if node.gpus < gpus_needed:
            pytest.skip(f"{name}.yaml wants {gpus_needed} GPUs, a node of pool {node.pool} has {node.gpus}")
        path = tenant.folder / f"{name}.yaml"
        text = (EXAMPLES / f"{name}.yaml").read_text()
        path.write_text(re.sub(r"(kai\.scheduler/queue: )(training|notebooks)", r"\1work", text))
        began = time.monotonic()
        try:
            tenant.kubectl("apply", "-f", str(path))
            pods = started(tenant, starts)
            took, uuids = since(began), sorted({uuid for pod in pods for uuid in seen_by(tenant, pod)})
            said = ", ".join(f"{pod['metadata']['name']} {pod['status']['phase']}" for pod in pods)
            sentence = "; ".join([said, *uuids]) if pods else tenant.kubectl("get", "queues", "-o", "name")
            told(Row(what=f"{name}.yaml", verdict="applied", how="-", seconds=took, sentence=sentence.strip()))
        finally:
            # a shell that sleeps takes all of the 30 s that it is given to end, and a Job's pods are given them
            tenant.kubectl("delete", "-f", str(path), "--cascade=orphan", *AT_ONCE, "--wait=false", check=False)
            tenant.kubectl("delete", "pods", "--all", *AT_ONCE, "--wait=true", check=False)
        assert len(uuids) <= node.gpus


def started(tenant: Tenant, count: int) -> list[Json]:
    """Until so many pods of the default namespace run or are done; fails with all of them when that takes too long."""
    end = time.monotonic() + gpus.POD_SECONDS
    while True:
        items: Sequence[Json] = json.loads(tenant.kubectl("get", "pods", "-o", "json"))["items"]
        there = [pod for pod in items if pod["status"].get("phase") in ("Running", "Succeeded")]
        if len(there) >= count:
            return there
        assert time.monotonic() < end, tenant.kubectl("describe", "pods")[-6000:]
        time.sleep(0.5)


def seen_by(tenant: Tenant, pod: Json) -> list[str]:
    """The GPUs that a pod printed, by UUID."""
    return re.findall(r"UUID: (GPU-[0-9a-f-]+)", tenant.kubectl("logs", pod["metadata"]["name"]))
