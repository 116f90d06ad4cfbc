"""The mark by which a lab knows a server for its own: an object in it that names the lab.

Owns: putting the mark, and asking for it. Leaves to others: which server is asked (`clusters.py`).
"""

import time
from collections.abc import Callable

import httpx2
from lightkube import ApiError, Client
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import ConfigMap, Namespace

from lab.errors import LabError

MARKER = "gpu-tenancy-lab"  # ConfigMap in kube-system of every server that a lab started
SPACE = "kube-system"
PROBES = 12  # a server that is there and silent for so many probes is broken; before that the machine is busy
BUSY_CODES = frozenset({429, 500, 503, 504})
BUSY_SECONDS = 1.0  # between probes of a server that says so


def put(client: Client, server: str, lab_id: str, *, manager: str, seconds: float) -> None:
    """Mark a server as this lab's. Raises LabError where it takes no object for `seconds`."""
    mark = ConfigMap(metadata=ObjectMeta(name=MARKER, namespace=SPACE), data={"lab": lab_id})
    deadline = time.monotonic() + seconds
    while True:  # kube-system appears a moment after the server says that it is ready
        try:
            client.apply(mark, field_manager=manager)
            return
        except httpx2.HTTPError as error:
            if time.monotonic() > deadline:
                why = error.status.message if isinstance(error, ApiError) else type(error).__name__
                raise LabError(
                    f"lab: the API server `{server}` does not take objects: {why}",
                    "run `make lab-reset`, then again.",
                ) from error
            time.sleep(0.1)


def identity(connect: Callable[[], Client], lab_id: str) -> str | None:
    """UID of kube-system, if the server answers and carries the mark of this very lab; None where nobody answers.

    Silence and "too busy" are asked again: what counts as gone is made anew, and all that is in it is lost.
    """
    for _ in range(PROBES):
        try:
            with connect() as client:
                mark = client.get(ConfigMap, MARKER, namespace=SPACE)
                if (mark.data or {}).get("lab") != lab_id:
                    return "another lab's"
                space = client.get(Namespace, SPACE)
                return space.metadata.uid if space.metadata else None
        except httpx2.TimeoutException:
            continue
        except ApiError as error:
            if error.status.code not in BUSY_CODES:
                return None
        except (httpx2.HTTPError, OSError):
            return None
        time.sleep(BUSY_SECONDS)
    return None
