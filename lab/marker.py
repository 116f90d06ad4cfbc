"""The mark of a lab's own servers: an object in the server that names the lab.

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
PROBES = 12  # a server that is silent for so many probes is broken; before that the machine may be busy
BUSY_CODES = frozenset({429, 500, 503, 504})
BUSY_SECONDS = 1.0  # between probes of a busy server


def put(client: Client, server: str, lab_id: str, *, manager: str, seconds: float) -> None:
    """Mark a server as this lab's. Raises LabError where it accepts no object for `seconds`."""
    mark = ConfigMap(metadata=ObjectMeta(name=MARKER, namespace=SPACE), data={"lab": lab_id})
    deadline = time.monotonic() + seconds
    while True:  # kube-system appears a moment after the server is ready
        try:
            client.apply(mark, field_manager=manager)
            return
        except httpx2.HTTPError as error:
            if time.monotonic() > deadline:
                why = error.status.message if isinstance(error, ApiError) else type(error).__name__
                raise LabError(
                    f"lab: the API server `{server}` does not take objects: {why}",
                    "run `make lab-reset`, then run the command again.",
                ) from error
            time.sleep(0.1)


def identity(connect: Callable[[], Client], lab_id: str) -> str | None:
    """The UID of kube-system, if the server answers and has the mark of this lab; None where nothing answers. A silent
    or busy server is asked again, because a server that counts as gone is made anew, and its content is lost.
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
