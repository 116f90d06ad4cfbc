"""KAI's Config, given to KAI's operator while Helm still waits for that operator, and what the operator says of it.

Owns: where the Config's text comes from, when it is applied, that no other Config is touched, and whether KAI works.
Leaves to others: when an install begins, and what begins when KAI works (`components/team/kai_scheduler.py`).

The charts apply the Config in a post-install hook (KAI@v0.16.8:deployments/kai-scheduler/templates/hooks/post). Helm
runs it only when the operator is ready, which takes 10 to 15 s (the probe's delay and period). Only then the operator
makes its services, and its admission takes 10 s, too. A Config that is there when the operator starts makes both of
them come up side by side. The hook applies the same text again, as the same field manager, and so changes nothing.

Helm keeps a release's rendered hooks in its record, a Secret, and writes it after the CRDs and before the first hook.
It holds the chart's values, so nothing of it is logged.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
import threading
from collections.abc import Callable, Collection
from typing import Final

import httpx2
import yaml

from kube.client import answered, connect, path, reason_of
from kube.puts import APPLY
from kube.waits import until
from lenient import Json, condition, items, rows, table, text, texts
from releases import KAI_CONFIG

DEADLINE_SECONDS: Final = 180.0
"""From the moment before Helm starts. The record comes 2 to 6 s later, and later where the chart is slow to come."""
WORKS_SECONDS: Final = 600.0
"""From the Config on: what Helm itself has for the release (`components/helm.py`)."""
MANIFEST: Final = "kai-config-manifest"
"""The hook's ConfigMap. In 0.9.8 and before, the Config is there before the operator, and this is not."""
FIELD: Final = "kai-config.yaml"
MANAGER: Final = "kai-config-deployer"
_CONFIG: Final = path(KAI_CONFIG.api_version, KAI_CONFIG.kind, KAI_CONFIG.name)


def apply_beside_helm(
    kubeconfig: str, namespace: str, release: str, works: Callable[[], None]
) -> threading.Thread | None:
    """Begin to wait for the record of an install that starts now, and apply the Config in it. Raises nothing: where it
    does not work, the chart's own hook does the same later.

    `works` is called from the thread, once KAI's operator says that all its services are available. It is never called
    where the chart applies no Config after the install. The thread ends with the program, whatever it waits for. None
    where the API server did not answer.
    """
    try:
        api = connect(kubeconfig)
        known = {text(record, "metadata", "uid") for record in _records(api, namespace, release)}
    except Exception:
        return None
    thread = threading.Thread(target=_apply, args=(api, namespace, release, known, works), daemon=True)
    thread.start()
    return thread


def _apply(api: httpx2.Client, namespace: str, release: str, known: Collection[str], works: Callable[[], None]) -> None:
    # the hook does it later, and an error's text might have a part of the record
    with contextlib.suppress(Exception), contextlib.closing(api):
        until(lambda: _missing(api, namespace, release, known), DEADLINE_SECONDS, str)
        until(lambda: _unavailable(api), WORKS_SECONDS, str)
        works()


def _missing(api: httpx2.Client, namespace: str, release: str, known: Collection[str]) -> str | None:
    """What there is to wait for; None where the Config is there. Raises `LookupError` where it is not ours to apply."""
    try:
        records = _records(api, namespace, release)
        # `known` were there before: of an install that was killed
        new = [record for record in records if text(record, "metadata", "uid") not in known]
        if not new:
            return "Helm has not begun"
        config = config_of(text(new[0], "data", "release"))
        if config is None:
            raise LookupError
        if api.get(_CONFIG).is_success:
            return None
        # not forced: should somebody make a Config at this moment, then that one stays
        answer = api.patch(_CONFIG, params={"fieldManager": MANAGER}, content=config, headers=APPLY)
    except httpx2.TransportError as error:
        return reason_of(error)
    # where another line was, its CRD is there first, and refuses what it does not know until the chart has renewed it
    return None if answer.is_success or answer.status_code == httpx2.codes.CONFLICT else "its CRD does not take it yet"


def _unavailable(api: httpx2.Client) -> str | None:
    """Why KAI does not work yet; None where its operator says so of the Config that is there now. All objects of its
    services exist by then, webhooks among them, and their Deployments are available (KAI@v0.16.8:
    pkg/operator/operands/common/common.go, AllControllersAvailable; the same in v0.12.23)."""
    try:
        config = answered(api.get(_CONFIG))
    except httpx2.RequestError as error:
        return reason_of(error)
    said = condition(config, "Available")
    seen = said.get("observedGeneration") == table(config, "metadata").get("generation")
    return None if said.get("status") == "True" and seen else "its operator does not call it available"


def _records(api: httpx2.Client, namespace: str, release: str) -> list[Json]:
    """The records of installs that have not ended."""
    wanted = {"labelSelector": f"owner=helm,name={release},status=pending-install"}
    return items(answered(api.get(path("v1", "Secret", namespace=namespace), params=wanted)))


def config_of(record: str) -> str | None:
    """Return the Config's text in a record's `data.release`; None where the chart does not apply it after the install.

    Raises `ValueError`, `OSError` or `yaml.YAMLError` where it is no record of Helm's (helm@v3.20.2:
    pkg/storage/driver/util.go).
    """
    release = json.loads(gzip.decompress(base64.b64decode(base64.b64decode(record))))
    for hook in rows(release, "hooks"):
        if text(hook, "name") == MANIFEST and "post-install" in texts(hook, "events"):
            return text(yaml.safe_load(text(hook, "manifest")), "data", FIELD) or None
    return None
