"""Images that can't be pulled. Pure."""

from __future__ import annotations

import re
from typing import Final

from lenient import table, text
from seen.pods import containers
from seen.why.model import Case, Why

_PULLS: Final = ("ErrImagePull", "ImagePullBackOff")
_ONLY_WAITS: Final = re.compile(r"Back-?off|^Error: (ErrImagePull|ImagePullBackOff)$", re.IGNORECASE)
"""The kubelet's messages after the first try: an earlier event has the cause."""
_CAUSES: Final = (
    (r"no space left", "image-disk"),
    (r"x509|certificate", "image-certificate"),
    (r"toomanyrequests|429|rate limit", "image-rate"),
    (r"no match for platform|exec format", "image-platform"),
    (r"no such host|dial tcp|timeout|connection refused|unreachable|EOF|misbehaving|lookup ", "image-unreachable"),
    (r"unauthorized|authentication|pull access denied|403|forbidden|denied", "image-login"),
    (r"not found|manifest unknown|does not exist|name unknown", "image-not-there"),
)
"""Messages of containerd and registries, the most certain first."""


def image(case: Case) -> Why | None:
    """An image that can't be pulled."""
    for container in containers(case.placed):
        waiting = table(container, "state", "waiting")
        reason, shown = text(waiting, "reason"), text(container, "image")
        if reason == "InvalidImageName":
            return case.say("image-name", image=shown)
        if reason == "ErrImageNeverPull":
            return case.say("image-never-pulled", image=shown)
        if reason in _PULLS:
            return _pull(case, shown, text(waiting, "message"))
    return None


def _pull(case: Case, shown: str, message: str) -> Why:
    said = [message, *(e.message for e in reversed(case.events) if e.reason in ("Failed", "InspectFailed"))]
    telling = next((one for one in said if one and not _ONLY_WAITS.search(one)), message)
    # the image's own name may contain any of these words
    about = telling.replace(shown, "")
    id_ = next((id_ for pattern, id_ in _CAUSES if re.search(pattern, about, re.IGNORECASE)), "image")
    return case.say(id_, image=shown, said=telling or "no reason is given")
