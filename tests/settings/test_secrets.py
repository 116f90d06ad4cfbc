"""Whose a secret is: what opens a host or the stack's state goes to no workload."""

from __future__ import annotations

from typing import Any

from tests.settings.build import mistakes

SLURM = {
    "host": "hpc",
    "gpus": 0,
    "connection": {"ssh": {"host": "hpc", "key": "hpc-root", "hostKey": "ssh-ed25519 AAAA"}},
}


def given(**secrets: dict[str, str]) -> dict[str, Any]:
    app = {"kind": "app", "cpu": "100m", "memory": "128Mi", "secrets": secrets}
    return {"slurm": SLURM, "teams.dev.workloads": {"web": app}}


def test_a_hosts_private_key_goes_to_no_app() -> None:
    assert mistakes(given(TOKEN={"config": "web-token"})) == []
    assert mistakes(given(TOKEN={"config": "hpc-root"})) == [
        "teams.dev.workloads.web.secrets.TOKEN.config: is the private key of slurm.connection.ssh: the team would be "
        "root on that host, got 'hpc-root'; give the workload a secret of its own"
    ]


def test_a_hosts_private_key_goes_to_no_model_server() -> None:
    chat = {"kind": "inference", "model": "a/b", "weights": "1G", "gpu": {"count": 1}, "token": "hpc-root"}
    found = mistakes(
        {
            "slurm": SLURM,
            "teams.ml.workloads": {"chat": chat},
            "teams.ml.resources": {"gpus": 2, "cpu": 8, "memory": "32Gi"},
        }
    )
    assert len(found) == 1
    assert "teams.ml.workloads.chat.token: is the private key of slurm.connection.ssh" in found[0]


def test_the_engines_own_variables_go_to_no_app() -> None:
    assert mistakes(given(TOKEN={"environment": "WEB_TOKEN"})) == []
    for variable in ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_ACCESS_TOKEN"):
        assert mistakes(given(TOKEN={"environment": variable})) == [
            "teams.dev.workloads.web.secrets.TOKEN.environment: is the engine's own variable: whoever has its value "
            f"may read the stack's state, got '{variable}'; give the app a secret of its own"
        ]
