"""Commands that people are told to run: about the right stack, and with nothing of a stranger's text in them."""

from __future__ import annotations

import shlex

import pytest

from hints import filled, for_stack, plain_word


@pytest.mark.parametrize(
    ("said", "typed"),
    [
        ("`make up`, then wait", "`make up STACK=prod`, then wait"),
        ("`make fence NODE=gpu-0 REASON='Xid 79'`", "`make fence STACK=prod NODE=gpu-0 REASON='Xid 79'`"),
        ("see `make why TEAM=ml` and `make status`", "see `make why STACK=prod TEAM=ml` and `make status STACK=prod`"),
        ("`make\nup`", "`make\nup STACK=prod`"),
        ("`make up STACK=dev`", "`make up STACK=dev`"),
        ("`make test` and `make inventory CONTEXT=a`", "`make test` and `make inventory CONTEXT=a`"),
        ("make up again, `kubectl make up`", "make up again, `kubectl make up`"),
    ],
)
def test_a_make_command_names_the_stack_that_it_is_about(said: str, typed: str) -> None:
    assert for_stack(said, "prod") == typed
    assert for_stack(typed, "prod") == typed
    assert for_stack(said, "lab") == said


@pytest.mark.parametrize("name", ["x; reboot", "$(reboot)", "a`b", "--all", "a b", "", "a\nb", "x'", "ü", "a|b", "<x>"])
def test_only_a_plain_word_gets_into_a_command(name: str) -> None:
    assert plain_word(name, "pod") == "<pod>"
    text = filled("{pod} waits: `kubectl -n {0} logs {pod}`", name, pod=name)
    assert text == f"{name} waits: `kubectl -n <name> logs <pod>`"


@pytest.mark.parametrize("name", ["gpu-0", "train-0.x", "nvidia.com/gpu", "jobs.batch", "a" * 253])
def test_a_name_of_kubernetes_does(name: str) -> None:
    command = filled("`kubectl describe {kind}`", kind=name).strip("`")
    assert shlex.split(command) == ["kubectl", "describe", name]
