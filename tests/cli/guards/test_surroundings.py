"""Variables that change what the Kubernetes provider does with every object."""

from __future__ import annotations

import re
from pathlib import Path

import pulumi_kubernetes.provider
import pytest

from cli.driver import Place
from cli.guards.surroundings import KIND_ENGINE, STEERS, makes_kind_here, steered, unsteered
from cli.stack import Stack
from settings.hosts import Host
from tests.cli.guards.test_program import platform

SSH = {
    "host": "10.0.0.9",
    "key": "gpu",
    "hostKey": "ssh-ed25519 AAAA",
}
QUIET = {"PULUMI_K8S_SUPPRESS_DEPRECATION_WARNINGS", "PULUMI_K8S_SUPPRESS_HELM_HOOK_WARNINGS"}
"""Warnings that are not printed."""


@pytest.mark.parametrize("variable", STEERS)
def test_a_variable_is_refused_unless_it_changes_nothing(variable: str) -> None:
    harmless = STEERS[variable].harmless
    assert steered({}, kind=True) == steered({variable: harmless}, kind=True) == []
    for value in {"true": ("false", "0", ""), "false": ("true", "1", "T", "t", "TRUE", "True")}.get(
        harmless, ("configmap",)
    ):
        (refusal,) = steered({variable: value, "HOME": "/home/me"}, kind=True)
        assert refusal.cause.startswith(f"{variable} in the environment ")
        assert refusal.fix == f"`unset {variable}`, or set it to {harmless}"


@pytest.mark.parametrize("variable", [name for name, steers in STEERS.items() if steers.harmless == "false"])
@pytest.mark.parametrize("value", ["", "0", "False", "no"])
def test_a_switch_that_is_off_however_it_is_written_is_not_refused(variable: str, value: str) -> None:
    assert steered({variable: value}, kind=True) == []


@pytest.mark.parametrize("variable", ["PULUMI_K8S_HELM_DRIVER", KIND_ENGINE])
def test_an_empty_word_is_the_default_and_is_not_refused(variable: str) -> None:
    """helm@v3.20.2: pkg/action/action.go, Init; kind v0.30.0: pkg/internal/runtime/runtime.go."""
    assert steered({variable: ""}, kind=True) == []


@pytest.mark.parametrize("value", ["1", "True"])
def test_a_switch_that_is_on_however_it_is_written_is_on(value: str) -> None:
    assert steered({"PULUMI_K8S_ENABLE_SERVER_SIDE_APPLY": value}, kind=True) == []


@pytest.mark.parametrize(
    ("more", "here"),
    [
        ({"provider": "kind", "kind": {}}, True),
        ({"provider": "kind", "kind": {}, "connection": {"sudo": True}}, True),
        ({"provider": "kind", "kind": {}, "connection": {"ssh": SSH}}, False),
        ({"provider": "existing"}, False),
    ],
)
def test_kind_gets_this_environment_where_it_runs_here(more: dict[str, object], here: bool) -> None:
    assert makes_kind_here(Host.model_validate(more)) is here


def _short(variable: str) -> str:
    return variable.removeprefix("PULUMI_K8S_").lower() if variable.startswith("PULUMI_K8S_") else variable


def test_what_steers_kind_is_refused_where_the_program_makes_a_kind_cluster() -> None:
    podman = {"KIND_EXPERIMENTAL_PROVIDER": "podman"}
    assert [refusal.fix for refusal in steered(podman, kind=True)] == [f"`unset {KIND_ENGINE}`, or set it to docker"]
    assert steered(podman, kind=False) == []


def test_each_has_the_value_that_changes_nothing() -> None:
    found = {_short(variable): steers.harmless for variable, steers in STEERS.items()}
    others = {"enable_server_side_apply": "true", "helm_driver": "secret", KIND_ENGINE: "docker"}
    assert {name: found[name] for name in others} == others
    assert {value for name, value in found.items() if name not in others} == {"false"}


def test_every_switch_that_the_sdk_takes_from_the_environment_is_known() -> None:
    text = Path(pulumi_kubernetes.provider.__file__).read_text()
    assert set(re.findall(r"get_env_bool\('(PULUMI_K8S_\w+)'\)", text)) - QUIET <= set(STEERS)


def test_the_engine_that_the_commands_start_has_none_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shell = {"PATH": "/bin", "HOME": str(tmp_path), **dict.fromkeys((*STEERS, "PULUMI_OPTION_TARGET"), "1")}
    assert unsteered(shell) == {"PATH": "/bin", "HOME": str(tmp_path)}
    (tmp_path / "Pulumi.yaml").write_text("name: gpu-tenancy\nruntime: python\n")
    place = Place(stack="lab", stack_file=tmp_path / "Pulumi.lab.yaml", root=tmp_path, platform=platform())
    for name, value in shell.items():
        monkeypatch.setenv(name, value)
    assert not set(Stack(place).env) & {*STEERS, "PULUMI_OPTION_TARGET"}
