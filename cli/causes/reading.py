"""Reads the engine's output: its "Diagnostics", a pack's violations, the team and the step of a resource. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import tokens


@dataclass(frozen=True, kw_only=True)
class Diagnostic:
    """One entry of the engine's "Diagnostics": a resource and its messages."""

    token: str
    name: str
    text: str


_STEPS: Final[tuple[tuple[str, str, str], ...]] = (
    # (part of the type token, part of the name, the step in words); the first that fits
    ("helm.sh/v3:Release", "vcluster", "the virtual cluster"),
    ("helm.sh/v3:Release", "scheduler", "the KAI scheduler"),
    ("helm.sh/v3:Release", "device-plugin", "the device plugin"),
    ("helm.sh/v3:Release", "gpu-operator", "the GPU Operator"),
    ("helm.sh/v3:Release", "", "the virtual cluster"),
    ("scheduling.run.ai", "", "the queues"),
    ("batch/v1:Job", "", "the GPU check"),
    ("core/v1:Secret", "", "the virtual cluster's kubeconfig"),
    ("core/v1:ResourceQuota", "", "the quota on the host"),
    ("core/v1:Namespace", "", "the namespace"),
    ("node.k8s.io", "", "the RuntimeClass"),
    ("networking.k8s.io", "", "the network policies"),
    ("rbac.authorization.k8s.io", "", "access rights"),
    ("admissionregistration.k8s.io", "", "the admission policies"),
    ("apiextensions.k8s.io", "", "a CRD"),
    ("core/v1:Node", "", "the node's labels and taints"),
    ("scheduling.k8s.io", "", "the PriorityClass"),
    ("pulumi:providers:kubernetes", "", "the connection to the cluster"),
    ("command:local", "", "a script on this machine"),
    ("command:remote", "", "a script over ssh"),
    (tokens.STACK, "", "the program"),
)

NOISE: Final = re.compile(
    r"^\s*(?:Traceback \(most recent call last\):|KeyboardInterrupt\b|During handling of the above exception)"
)
"""After a failed resource the Python host is interrupted and prints a long traceback without information."""


ECHO: Final = re.compile(r"^\s*(?:KeyboardInterrupt\b|resource \S+ \[\S+\] failed to (?:register|be read)$)")
"""Last lines of the Python host without information: it was interrupted, or a resource failed."""

UNHANDLED: Final = "Program failed with an unhandled exception"


_HEADER: Final = re.compile(r"^  (?P<token>[\w./:-]+) \((?P<name>[^)]*)\):$")
_SECTION: Final = re.compile(r"^(?:Outputs|Resources|Policies|Duration|Diagnostics)\b.*:")


def diagnostics(text: str) -> list[Diagnostic]:
    """Read the "Diagnostics" of the engine's output, only those with an error, the last phase last."""
    found: list[Diagnostic] = []
    header: re.Match[str] | None = None
    lines: list[str] = []
    inside = False

    def close() -> None:
        nonlocal header, lines
        body = "\n".join(lines).strip()
        if header is not None and re.search(r"(?m)^\s*error:", body):
            found.append(Diagnostic(token=header["token"], name=header["name"], text=body))
        header, lines = None, []

    for line in text.splitlines():
        if line.startswith("Diagnostics:"):
            inside = True
        elif inside and (match := _HEADER.match(line)):
            close()
            header = match
        elif _SECTION.match(line):
            close()
            inside = False
        elif header is not None:
            lines.append(line)
    close()
    return found


def team_of(name: str, tenants: Iterable[str]) -> str | None:
    """Return the tenant whose name is a whole part of the resource's name; of several the longest."""
    fits = [t for t in tenants if re.search(rf"(?:^|[^a-z0-9]){re.escape(t)}(?:$|[^a-z0-9])", name)]
    return max(fits, key=len, default=None)


def step_of(token: str, name: str) -> str:
    for part, of_name, words in _STEPS:
        if part in token and of_name in name:
            return words
    return f"{token} {name}"


def without_noise(text: str) -> str:
    """Return the engine's text without the Python host's tracebacks that end in `KeyboardInterrupt`."""
    kept: list[str] = []
    block: list[str] | None = None
    for line in text.splitlines():
        if block is None and NOISE.match(line):
            block = []
        if block is None:
            kept.append(line)
            continue
        block.append(line)
        if ECHO.match(line):
            block = None  # an interrupted host, or its repetition of a failed resource: not a cause
        elif re.match(r"^\s*[\w.]*(?:Error|Exception)\b", line):
            kept += block  # a real traceback
            block = None
    return "\n".join(kept + (block or []))


_VIOLATION: Final = re.compile(r"\[mandatory\]\s+(?P<rule>\S+)\s+\((?P<resource>[^)]+)\)(?P<sentence>[^\n]*)")


def mandatory_violations(text: str) -> list[tuple[str, str, str]]:
    """Return rule, resource and message of the policy pack's mandatory violations, in the order of the output.

    The engine has two layouts. With `up`, rule, sentence and message are each on their own line. With `preview --diff`
    the sentence follows the resource, and the message is on the next line.
    """
    found: list[tuple[str, str, str]] = []
    lines = text.splitlines()
    for index, line in enumerate(lines):
        match = _VIOLATION.search(line)
        if match is None:
            continue
        below = iter(lines[index + 1 :])
        if match["sentence"]:
            message = next(below, "").strip()
        else:
            block = []
            for entry in below:
                if not entry.startswith(" " * 10) or "[" in entry[:12]:
                    break
                block.append(entry.strip())
            message = " ".join(block[1:]) or " ".join(block)
        found.append((match["rule"], match["resource"].rsplit(": ", 1)[-1], message or match["rule"]))
    return found


def first_error(text: str) -> str:
    """The first line of the first error that says something. A fault in the program: the last line, which names it."""
    if UNHANDLED in text:
        last = [line.strip() for line in text.splitlines() if line.strip()][-1]
        return "" if ECHO.match(last) else last
    body = text[text.find("error:") + len("error:") :] if "error:" in text else ""
    for line in body.splitlines():
        if line.strip(" \t*-"):
            return line.strip(" \t*-")
    return ""
