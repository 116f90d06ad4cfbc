"""What a failed run of the engine means: one table of known messages, each with its cause and its fix.

Owns: reading the engine's own "Diagnostics", finding the team and the step, choosing the sentence that stands first.
Leaves to others: running the engine (`engine.py`). Pure.

To add a message: one `Known` in `KNOWN`, above the entries that it causes (the first entry that matches is the cause of
the whole failure), one line in tests/cli/test_causes.py, one paragraph in docs/troubleshooting.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Diagnostic:
    """One entry of the engine's "Diagnostics": a resource and what was said about it."""

    token: str
    name: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Known:
    """A message that we know. `cause` and `fix` may use the pattern's named groups, {team}, and {stack}."""

    id: str
    pattern: re.Pattern[str]
    cause: str
    fix: str


@dataclass(frozen=True, kw_only=True)
class Failure:
    """One thing that went wrong, in words. `team` is None where it is not about one team."""

    id: str
    team: str | None
    step: str
    cause: str
    fix: str

    def __str__(self) -> str:
        where = f"team {self.team}, {self.step}" if self.team else self.step
        return f"{where}: {self.cause}"


UNKNOWN: Final = "unknown"

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
    ("command:local", "", "a local command"),
    ("pulumi:pulumi:Stack", "", "the program"),
)

NOISE: Final = re.compile(
    r"^\s*(?:Traceback \(most recent call last\):|KeyboardInterrupt\b|During handling of the above exception)"
)
"""After a failed resource the Python host is interrupted and prints a long traceback; it says nothing."""


ECHO: Final = re.compile(r"^\s*(?:KeyboardInterrupt\b|[\w.]*ResourceRegistrationFailed\b)")
"""How a traceback of the Python host ends that says nothing new."""

UNHANDLED: Final = "Program failed with an unhandled exception"


def _known(id_: str, pattern: str, cause: str, fix: str) -> Known:
    return Known(id=id_, pattern=re.compile(pattern, re.IGNORECASE), cause=cause, fix=fix)


KNOWN: Final[tuple[Known, ...]] = (
    # --- before anything ran ---
    _known(
        "passphrase-wrong",
        r"incorrect passphrase",
        "the passphrase does not fit the encryptionsalt in the stack file",
        "set PULUMI_CONFIG_PASSPHRASE (or _FILE) to the passphrase that the stack was made with",
    ),
    _known(
        "passphrase-missing",
        r"passphrase must be set",
        "the stack's passphrase is not set",
        "set PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE",
    ),
    _known(
        "locked",
        r"stack is currently locked by",
        "another run holds the stack",
        "wait for it; if it is surely gone: `pulumi cancel --stack {stack}`, then run again",
    ),
    _known(
        "plugin-missing",
        r"(?:could not (?:download|install|load) plugin|no (?:resource|language|analyzer) plugin '(?P<plugin>[^']+)'"
        r"|failed to (?:download|install) plugin|error downloading (?:plugin|provider))",
        "a plugin of the engine is missing and could not be downloaded",
        "with internet: run again; without: `pulumi plugin install resource kubernetes <version> --file <archive>` "
        "(docs/troubleshooting.md, hosts without internet)",
    ),
    _known(
        "disk-full",
        r"no space left on device",
        "the disk is full",
        "free some space and run again; what was made so far is in the state",
    ),
    _known(
        "protected",
        # the provider's advice on another error speaks of protected resources, too
        r"because it is protected|protected resource(?!s \(e\.g\.)",
        "the team is protected: leaving it out of the stack file, or replacing it, is refused",
        "write an override for it (overrides: [{{team: ..., allow: [delete], until: ..., reason: ...}}]), `make up` "
        "with the team still in the file, then leave it out",
    ),
    # --- rights and reach ---
    _known(
        "forbidden",
        r"(?:User|serviceaccount) \"(?P<user>[^\"]+)\" cannot (?P<verb>\w+) resource \"(?P<resource>[^\"]+)\"",
        "the kubeconfig's user {user} may not {verb} {resource}",
        "use a cluster administrator's context, or grant that right; `make preflight STACK={stack}` lists all of them",
    ),
    _known(
        "unauthorized",
        r"\bUnauthorized\b|the server has asked for the client to provide credentials|\b401\b",
        "the API server does not accept the credentials",
        "for the host: renew the kubeconfig; for a team whose scheduler was just upgraded: its old token is gone, "
        "delete the scheduler's pod in kai-scheduler and run again",
    ),
    _known(
        "certificate",
        r"x509: (?P<why>[^\n]+)",
        "the API server's certificate does not fit: {why}",
        "set host.address (and the team's access.hostNames) to the name or address that is used to reach it",
    ),
    # --- helm ---
    _known(
        "helm-other-line",
        r"(?P<kind>\S+) \\?\"(?P<object>[^\"\\]+)\\?\" (?:in namespace \S+ )?"
        r"exists and cannot be imported into the current release",
        "{kind} {object} belongs to another line of the chart: these two versions can't be upgraded in place, "
        "in neither direction. The old scheduler goes on working",
        "change the version as a replacement (the program does it when the line changes; a left-over object of an "
        "interrupted one is deleted by hand: `kubectl delete {kind} {object}` in the team's cluster), then run again",
    ),
    _known(
        "helm-name-in-use",
        r"cannot re-use a name that is still in use",
        "an earlier, interrupted install left its Helm release behind",
        "run `make up` again: it removes releases that an interrupted run left half-installed",
    ),
    _known(
        "helm-in-progress",
        r"another operation \(install/upgrade/rollback\) is in progress",
        "an earlier, interrupted Helm operation left its release locked",
        "run `make up` again: it removes releases that an interrupted run left half-installed",
    ),
    _known(
        "helm-hook",
        # helm writes the second part on a line of its own
        r"failed (?P<when>(?:pre|post)-[\w-]+)[^\n]*\n?[^\n]*?job (?P<hook>[\w.-]+) failed",
        "the chart's own {when} job {hook} failed, so nothing of it was installed or changed",
        "see why its pod failed (its events stay on the host: `kubectl -n team-<team> get events | grep {hook}`), "
        "most often an image or a right; then `make up` again",
    ),
    # --- room on the nodes: above the webhook's message, which it causes ---
    _known(
        "no-room",
        r"OutOf(?P<resource>cpu|memory|pods|nvidia\.com/gpu)"
        r"|\d+/\d+ nodes are available[^\n]*Insufficient (?P<short>[\w/-]+(?:\.[\w/-]+)*)"
        r"|\d+ Insufficient (?P<lack>[\w/-]+(?:\.[\w/-]+)*)",
        "a node is full ({room}): pods of this team can't start, and what they serve (webhooks) can't answer",
        "give the team another node, lower requests, or remove a team; `make preflight` shows what is free",
    ),
    _known(
        "webhook",
        r"failed calling webhook \\?\"?(?P<hook>[\w.-]+)",
        "KAI's webhook {hook} does not answer. Right after an install it needs up to a minute; later it means that its "
        "pods are Pending, most often for want of CPU on the node",
        "look for Pending pods in kai-scheduler of the team's cluster, make room on the node, `make up` again",
    ),
    _known(
        "secret-missing",
        r"resource '(?P<namespace>[\w.-]+)/(?P<object>vc-[\w.-]+)' does not exist",
        "the virtual cluster's Release is there but its kubeconfig Secret {object} is not (yet): its install failed, "
        "or it came up slowly on a busy node",
        "run `make up` again; if it stays: `kubectl -n {namespace} get pods` shows what keeps it from starting",
    ),
    _known(
        "secret-late",
        r"Secret (?P<namespace>[\w-]+)/(?P<object>vc-[\w.-]+) did not appear",
        "the virtual cluster did not come up in time: its Secret {object} is missing",
        "see the log of its pod (`kubectl -n {namespace} logs {team}-0`); on a busy node `make up` again is enough",
    ),
    _known(
        "port-taken",
        r"(?:nodePort: Invalid value: (?P<port>\d+): )?provided port is already allocated",
        "the team's NodePort {port} is taken by another Service",
        "set teams.<team>.access.port to a free one; `make preflight STACK={stack}` names the Service that has it",
    ),
    _known(
        "quota",
        r"exceeded quota: (?P<quota>[\w.-]+)(?P<rest>[^\n]*)",
        "the host's quota {quota} refuses a pod{rest}",
        "lower what the queue asks for, or raise the team's resources in the stack file",
    ),
    _known(
        "label-conflict",
        r"conflict with \\?\"(?P<other>[^\"\\]+)\\?\"[^\n]*?(?P<object>\.(?:metadata|spec)\.[\w./-]+)",
        "somebody else ({other}) set {object} to another value",
        "make the stack file say what is there, or remove theirs; `make preflight STACK={stack}` shows both values",
    ),
    _known(
        "being-deleted",
        r"object is being deleted: (?P<object>[^\n]+?) already exists",
        "{object} is still being deleted; in a team's cluster that waits for KAI's webhook, which comes late after KAI "
        "was replaced",
        "run `make up` again in a minute; if it stays, look at KAI's pods in kai-scheduler of the team's cluster",
    ),
    _known(
        "already-exists",
        r"(?P<object>[\w.-]+ \\?\"[^\"\\]+\\?\") already exists|resource (?P<other>[\w./-]+) already exists",
        "{thing} exists on the cluster already and is not ours",
        "for a RuntimeClass, device plugin or GPU Operator say `owner: cluster` in the stack file; otherwise rename or "
        "remove the object",
    ),
    _known(
        "image",
        r"ImagePullBackOff|ErrImagePull|failed to pull (?:and unpack )?image \\?\"(?P<image>[^\"\\]+)",
        "an image can't be pulled",
        "check artifacts.imageRegistry and the node's way to the registry",
    ),
    _known(
        "storage",
        r"unbound immediate PersistentVolumeClaims|no persistent volumes available|no default StorageClass",
        "the virtual cluster's volume is not provided: no StorageClass does it",
        "set host.storageClass to one that exists, or make one the default",
    ),
    _known(
        "check-verdict",
        r"team (?P<of>[\w-]+): GPU check (?P<verdict>[\w-]+): (?P<sentence>[^\n]+)",
        "the GPU check says {verdict}: {sentence}",
        "`make status STACK={stack}` shows every team's verdict; the report in `make outputs` names each finding",
    ),
    _known(
        "check-failed",
        r"BackoffLimitExceeded|reached the specified backoff limit|DeadlineExceeded",
        "the GPU check failed",
        "`make status STACK={stack}` shows its verdict; the report names the finding and what to do",
    ),
    # --- a dead API: below everything that says more ---
    _known(
        "unreachable",
        r"connection refused|no route to host|no such host|i/o timeout|TLS handshake timeout"
        r"|configured Kubernetes cluster is unreachable|unable to connect to the server",
        "the API server can't be reached",
        "for a team: look at its control plane, `kubectl -n team-<team> get pods`; the other teams were updated. "
        "For the host: check the context's address",
    ),
    _known(
        "timeout",
        r"timed out waiting for the condition|context deadline exceeded",
        "it was not ready in time",
        "look for Pending or failing pods (`kubectl -n team-<team> get pods`); run again to go on from here",
    ),
)


_HEADER: Final = re.compile(r"^  (?P<token>[\w./:-]+) \((?P<name>[^)]*)\):$")
_SECTION: Final = re.compile(r"^(?:Outputs|Resources|Policies|Duration|Diagnostics)\b.*:")


def diagnostics(text: str) -> list[Diagnostic]:
    """Read the "Diagnostics" of the engine's output, those with an error only, the last phase last."""
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
    """Return the tenant whose name is a whole part of the resource's name; the longest where several fit."""
    fits = [t for t in tenants if re.search(rf"(?:^|[^a-z0-9]){re.escape(t)}(?:$|[^a-z0-9])", name)]
    return max(fits, key=len, default=None)


def step_of(token: str, name: str) -> str:
    """Return the step of the deployment in words."""
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
            block = None  # an interrupted host, or its echo of a failed resource: not a cause
        elif re.match(r"^\s*[\w.]*(?:Error|Exception)\b", line):
            kept += block  # a real traceback
            block = None
    return "\n".join(kept + (block or []))


def explain(text: str, *, tenants: Sequence[str], stack: str) -> list[Failure]:
    """Return what went wrong, the most telling first: known causes in the table's order, then unknown ones.

    One failure per team and cause. `text` is the engine's whole output; where its diagnostics say nothing (a policy's
    refusal stands elsewhere) the text itself is looked at.
    """
    refused = policy_violations(text, tenants)
    if refused:
        return refused
    whole = Diagnostic(token="pulumi:pulumi:Stack", name=stack, text=text)
    return _explain(diagnostics(text), tenants, stack) or _explain([whole], tenants, stack)


_VIOLATION: Final = re.compile(r"\[mandatory\]\s+(?P<rule>\S+)\s+\((?P<resource>[^)]+)\)(?P<sentence>[^\n]*)")


def policy_violations(text: str, tenants: Sequence[str]) -> list[Failure]:
    """Return the mandatory violations of the policy pack, in the order of the engine's output.

    The engine has two layouts: rule, sentence and message each on a line of their own (`up`), or the sentence right
    behind the resource and the message on the next line (`preview --diff`).
    """
    found: dict[str, Failure] = {}
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
        # the same fault is found on a component and on what it makes
        cause = message or match["rule"]
        found.setdefault(
            cause,
            Failure(
                id="policy",
                team=team_of(match["resource"].rsplit(": ", 1)[-1], tenants),
                step=f"policy {match['rule']}",
                cause=cause,
                fix="do what the violation says; nothing was changed",
            ),
        )
    return list(found.values())


def _explain(entries: Sequence[Diagnostic], tenants: Sequence[str], stack: str) -> list[Failure]:
    ranked: list[tuple[int, Failure]] = []
    for entry in entries:
        team = team_of(entry.name, tenants)
        step = step_of(entry.token, entry.name)
        for rank, known in enumerate(KNOWN):
            match = known.pattern.search(entry.text)
            if match is not None:
                words = _words(match, team=team, stack=stack)
                failure = Failure(
                    id=known.id,
                    team=team,
                    step=step,
                    cause=known.cause.format_map(words),
                    fix=known.fix.format_map(words),
                )
                ranked.append((rank, failure))
                break
        else:
            said = _first_error(entry.text)
            # the stack's own "update failed" only says that something else did
            if said and said not in ("update failed", "preview failed"):
                fix = f"see the engine's own words below, then `make up STACK={stack}` goes on from here"
                ranked.append((len(KNOWN), Failure(id=UNKNOWN, team=team, step=step, cause=said, fix=fix)))
    ranked.sort(key=lambda pair: pair[0])
    seen: set[tuple[str, str | None, str]] = set()
    result: list[Failure] = []
    for _, failure in ranked:
        key = (failure.id, failure.team, failure.cause)
        if key not in seen:
            seen.add(key)
            result.append(failure)
    return result


def _words(match: re.Match[str], *, team: str | None, stack: str) -> dict[str, str]:
    groups = {key: value.strip() for key, value in match.groupdict().items() if value}
    groups.setdefault("port", "")
    groups.setdefault("rest", "")
    thing = groups.get("object") or groups.get("other") or "an object"
    return {
        "object": "",
        "hook": "",
        **{key: value.replace("\\", "") for key, value in groups.items()},
        "team": team or "",
        "stack": stack,
        "thing": thing.replace("\\", ""),
        "room": groups.get("resource") or groups.get("short") or groups.get("lack") or "",
    }


def _first_error(text: str) -> str:
    """The first error's first line of substance; of a fault in the program the last line, where Python names it."""
    if UNHANDLED in text:
        last = [line.strip() for line in text.splitlines() if line.strip()][-1]
        return "" if ECHO.match(last) else last
    body = text[text.find("error:") + len("error:") :] if "error:" in text else ""
    for line in body.splitlines():
        if line.strip(" \t*-"):
            return line.strip(" \t*-")
    return ""
