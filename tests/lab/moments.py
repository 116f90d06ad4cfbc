"""A run of the lab in a process of its own, and the moments in it at which something may happen to it."""

from __future__ import annotations

import json
import subprocess
import sys
import time

from tests.conftest import HANGS_SECONDS
from tests.lab.conftest import ROOT, Lab
from tests.lab.test_engine import SPACE, in_space

RUN = """
import sys
from pathlib import Path
from lab.driver import LabDriver
root = Path(sys.argv[1])
LabDriver("lab", root / "Pulumi.lab.yaml", root).up()
"""


def with_a_team(port: int) -> str:
    """A program that starts one virtual cluster after ten objects of its own: something to interrupt."""
    values = f'{{"exportKubeConfig": {{"server": "https://127.0.0.1:{port}"}}}}'
    release = f'chart="vcluster", name="ml", namespace="space", values={values}, opts=on_host(space)'
    before = "".join(in_space("core.v1.ConfigMap", f"c{index}") for index in range(10))
    after = in_space("core.v1.ConfigMap", "last", needs="team")
    return f'{SPACE}{before}team = k8s.helm.v3.Release("team", {release})\n{after}'


def begin(lab: Lab) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", RUN, str(lab.root)],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def when(lab: Lab, moment: str) -> None:
    """Wait for a moment in the life of a run, seen from outside."""

    def state() -> dict[str, object]:
        try:
            return {e["name"]: e for e in json.loads((lab.driver.home / "state.json").read_text())["resources"]}
        except (OSError, ValueError):
            return {}

    moments = {
        "the host's server starts": lambda: any("kube-apiserver" in line for line in lab.processes()),
        "objects are applied": lambda: "c3" in state(),
        "the team's server starts": lambda: any("space-ml/etcd" in line for line in lab.processes()),
        "the team's release is applied": lambda: (lab.driver.home / "kubeconfig-space-ml").exists(),
    }
    deadline = time.monotonic() + HANGS_SECONDS
    while not moments[moment]():
        assert time.monotonic() < deadline, f"never came: {moment}"
        time.sleep(0.01)
