"""What can't start, told while it is seen: pods and events of our namespaces, watched while `up` waits.

Owns: which signs in a pod or an event mean trouble, saying each once, keeping all for the end.
Leaves to others: where the clusters are (`engine.py`), what a failed run means (`causes.py`).

Helm removes the pods of a failed install, and with them the cause: what was seen is therefore kept. Everything is read
as plain JSON, because the typed client's decoder (msgspec 0.22) is not safe in threads.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import httpx2

import names
from cli import say
from cli.cluster import Target, get_json
from cli.errors import CommandError
from components.team.tenant import Tenant
from settings.models import GpuStack, Platform

EVERY_SECONDS: Final = 10.0
"""Between two looks; with PENDING_SECONDS, whatever stays is named within a minute."""

PENDING_SECONDS: Final = 25.0
"""A pod without a node is news after this long: KAI and the host's autoscaling need some seconds."""

HOPELESS_SECONDS: Final = 60.0
"""What can't succeed by waiting is taken for so when it was seen for this long."""

QUICK: Final = httpx2.Timeout(5.0, connect=2.0)

IMAGE: Final = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"}
)
BROKEN: Final = frozenset(
    {"CreateContainerConfigError", "CreateContainerError", "RunContainerError", "CrashLoopBackOff"}
)
NEVER_COMES: Final = re.compile(
    r"not found|manifest unknown|does not exist|pull access denied|unauthorized|forbidden|invalid reference|"
    r"InvalidImageName|ErrImageNeverPull|no such host|no match for platform",
    re.IGNORECASE,
)
"""In the reason of an image that can't be pulled: waiting changes nothing."""

EVENTS: Final[Mapping[str, str]] = {
    "FailedCreate": "its pods are refused",
    "FailedMount": "a volume can't be mounted",
    "FailedAttachVolume": "a volume can't be attached",
    "ProvisioningFailed": "its volume can't be made",
    "SyncError": "the host refuses its pod",
}
"""Warnings of controllers that say why a pod is not even there, in words. Others echo what the pod itself says."""

SEEN_AGAIN: Final = {"FailedMount": 3}
"""How often an event must have come before it is news: a kubelet is refused a new pod's volumes and tokens for seconds,
because it asks before the API server knows that the pod is its own. Every other one: twice."""

OUR_NAMESPACES: Final = ("kube-system", names.KAI_NAMESPACE, names.CHECK_NAMESPACE, names.CHECK_PAIR_NAMESPACE)
"""Inside a virtual cluster: where tenancy's own pods are. A team's other pods are its own affair."""

INNER_NAMESPACE: Final = "vcluster.loft.sh/object-namespace"
"""vCluster's annotation on a pod on the host: the namespace that it has inside."""

LONGEST: Final = 240
"""Characters of a cluster's own words in one line."""


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """Something that can't start. `key` is the same for the same cause; `hopeless`: waiting will not mend it."""

    team: str | None
    place: str
    words: str
    sign: str = ""
    """What it is told from others by, where its words differ from one look to the next."""
    hopeless: bool = False
    fix: str = "`make preflight` shows what is free; see docs/troubleshooting.md, while `up` runs"

    @property
    def key(self) -> tuple[str | None, str]:
        """One line is said for each."""
        return (self.team, self.sign or self.words)

    def __str__(self) -> str:
        where = f"team {self.team}, {self.place}" if self.team else self.place
        return f"{where}: {self.words}"


@dataclass(frozen=True, kw_only=True)
class Place:
    """A namespace of a cluster; `team` is whose it is, None for the host's own."""

    target: Target
    team: str | None
    namespace: str


def troubles(
    pods: Iterable[Mapping[str, Any]], events: Iterable[Mapping[str, Any]], *, team: str | None, now: datetime
) -> Iterator[Trouble]:
    """Return what is wrong with these pods, and what these events say of pods that are not there.

    `events` are those since the run began. Plain JSON as the API has it.
    """
    for pod in pods:
        inside = ((pod.get("metadata") or {}).get("annotations") or {}).get(INNER_NAMESPACE)
        if inside is None or inside in OUR_NAMESPACES:
            yield from _pod(pod, team, now)
    for event in events:
        reason, about = str(event.get("reason")), event.get("involvedObject") or {}
        name = str(about.get("name", "?"))
        theirs = "-x-" in name and not any(f"-x-{space}-x-" in name for space in OUR_NAMESPACES)
        often = int(event.get("count") or (event.get("series") or {}).get("count") or 1) >= SEEN_AGAIN.get(reason, 2)
        if event.get("type") == "Warning" and reason in EVENTS and often and not theirs:
            place = f"{about.get('kind', 'object')} {name}"
            words = f"{EVENTS[reason]}: {_short(event.get('message'))}"
            yield Trouble(team=team, place=place, words=words, sign=f"{reason} {place}")


def _pod(pod: Mapping[str, Any], team: str | None, now: datetime) -> Iterator[Trouble]:
    metadata, status = pod.get("metadata") or {}, pod.get("status") or {}
    place = f"pod {metadata.get('name', '?')}"
    if status.get("phase") == "Failed" and str(status.get("reason", "")).startswith(("OutOf", "Unexpected")):
        words = f"the node is full ({status['reason']}): {_short(status.get('message'))}"
        yield Trouble(team=team, place=place, words=words)
    for condition in status.get("conditions") or ():
        waits = condition.get("type") == "PodScheduled" and condition.get("status") == "False"
        if waits and _age(condition.get("lastTransitionTime"), now) >= PENDING_SECONDS:
            yield Trouble(team=team, place=place, words=f"finds no node: {_short(condition.get('message'))}")
    for container in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        waiting = (container.get("state") or {}).get("waiting") or {}
        reason, message = str(waiting.get("reason", "")), str(waiting.get("message") or "")
        if reason in IMAGE:
            image = container.get("image", "?")
            yield Trouble(
                team=team,
                place=place,
                words=f"image {image} can't be pulled",
                hopeless=NEVER_COMES.search(f"{reason} {message}") is not None,
                fix="check its name, artifacts.imageRegistry and the node's way to the registry"
                + (f" (the node says: {_short(message)})" if message else ""),
            )
        elif reason in BROKEN:
            words = f"its container {container.get('name', '?')} does not run ({reason})"
            fix = f"`kubectl logs` and `kubectl describe` of it{f': {_short(message)}' if message else ''}"
            yield Trouble(team=team, place=place, words=words, fix=fix)


def _short(text: object) -> str:
    words = " ".join(str(text or "no reason was given").split())
    return words if len(words) <= LONGEST else f"{words[:LONGEST]}..."


def _age(text: object, now: datetime) -> float:
    try:
        return (now - datetime.fromisoformat(str(text))).total_seconds()
    except (ValueError, TypeError):
        return 0.0


def host_places(platform: Platform, tenants: Mapping[str, Tenant], host: Target) -> list[Place]:
    """Return where on the host our pods are: each tenant's namespace, the checks', a host KAI's, the GPU software's."""
    spaces = [names.HOST_NAMESPACE]
    if platform.host.scheduler is not None:
        spaces.append(names.KAI_NAMESPACE)
    if platform.gpu.stack is GpuStack.DEVICE_PLUGIN:
        spaces.append(names.DEVICE_PLUGIN_NAMESPACE)
    if platform.gpu.stack is GpuStack.GPU_OPERATOR:
        spaces.append(names.GPU_OPERATOR_NAMESPACE)
    return [
        *(Place(target=host, team=name, namespace=tenant.namespace) for name, tenant in tenants.items()),
        *(Place(target=host, team=None, namespace=space) for space in spaces),
    ]


def inner_places(team: str, inside: Target) -> list[Place]:
    """Return where in a virtual cluster tenancy's own pods are."""
    return [Place(target=inside, team=team, namespace=space) for space in OUR_NAMESPACES]


class Watch:
    """Looks at places in a thread of its own until it is ended; says each trouble once and keeps them all."""

    def __init__(self, places: Callable[[], Sequence[Place]], *, every: float = EVERY_SECONDS) -> None:
        self._places = places
        self._every = every
        self._began = datetime.now(UTC)
        self._first_seen: dict[tuple[str | None, str], float] = {}
        self._kept: dict[tuple[str | None, str], Trouble] = {}
        self._present: set[tuple[str | None, str]] = set()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(QUICK.read)

    @property
    def kept(self) -> list[Trouble]:
        """Everything that was seen, what is there still first."""
        return sorted(self._kept.values(), key=lambda trouble: trouble.key not in self._present)

    def hopeless(self) -> Trouble | None:
        """Return something that is there now, has been for a while, and can't be mended by waiting."""
        now = time.monotonic()
        for key in list(self._present):
            if self._kept[key].hopeless and now - self._first_seen[key] >= HOPELESS_SECONDS:
                return self._kept[key]
        return None

    def look(self) -> list[Trouble]:
        """Look once; return what was not known before."""
        now = datetime.now(UTC)
        seen: dict[tuple[str | None, str], Trouble] = {}
        for place in self._places():
            for trouble in self._at(place, now):
                seen.setdefault(trouble.key, trouble)
        new = [trouble for key, trouble in seen.items() if key not in self._kept]
        for key in seen:
            self._first_seen.setdefault(key, time.monotonic())
        self._kept = {**seen, **self._kept}
        self._present = set(seen)
        return new

    def _at(self, place: Place, now: datetime) -> Iterator[Trouble]:
        base = f"/api/v1/namespaces/{place.namespace}"
        try:
            pods = get_json(place.target, f"{base}/pods", timeout=QUICK) or {}
            events = get_json(place.target, f"{base}/events?fieldSelector=type%3DWarning", timeout=QUICK) or {}
        except CommandError:
            return  # it comes up, goes down, or may not be read: the engine says what matters of it
        recent = [event for event in events.get("items") or () if self._is_of_this_run(event)]
        yield from troubles(pods.get("items") or (), recent, team=place.team, now=now)

    def _is_of_this_run(self, event: Mapping[str, Any]) -> bool:
        last = (
            event.get("lastTimestamp")
            or event.get("eventTime")
            or (event.get("metadata") or {}).get("creationTimestamp")
        )
        try:
            return datetime.fromisoformat(str(last)) >= self._began
        except ValueError:
            return False

    def _run(self) -> None:
        while not self._ended.wait(self._every):
            for trouble in self.look():
                say.line(f"  waiting: {trouble}")
