"""`make usage`: GPU hours by team and queue, as a table, CSV or JSON.

Owns: asking a Prometheus of the cluster for the GPUs' work, the time span, the formats.
Leaves to others: the hours themselves (`seen/hours.py`).

Prometheus is asked through the host's API server (the proxy of a Service), with the user's own rights. This needs no
other network and no other credentials.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections import defaultdict
from collections.abc import Callable
from datetime import timedelta
from math import isfinite
from typing import Final
from urllib.parse import quote

import httpx2
from rich.table import Table

from cli.cluster import Target, get_json
from cli.errors import CommandError, InputError
from lenient import rows, table, text
from seen.hours import NOT_ASKED, Account, Measured, Spent, account
from seen.model import Seen

SPAN: Final = re.compile(r"([1-9][0-9]{0,4})([hd])")
HOURS_OF: Final = {"h": 1, "d": 24}
LONGEST: Final = timedelta(days=366)
SERVICE: Final = re.compile(r"([a-z0-9-]{1,63})/([a-z0-9-]{1,63}):([0-9]{1,5})")
UTILISATION: Final = "DCGM_FI_DEV_GPU_UTIL"
"""Percent of the time in which a kernel ran on the GPU. A default counter of dcgm-exporter, by pod if it maps pods."""
STEP: Final = "1m"
STEPS_AN_HOUR: Final = 60
PERCENT: Final = 100
PATIENCE: Final = httpx2.Timeout(60.0, connect=5.0)
"""Seconds: a day of a large cluster's samples takes Prometheus some time."""
HEADS: Final = ("team", "queue", "quota", "asked", "given", "used", "idle", "given of quota")
KEYS: Final = ("team", "queue", "quotaHours", "askedHours", "givenHours", "usedHours", "idleHours", "givenOfQuota")


def span_of(said: str) -> timedelta:
    """Return how far to look back: `24h`, `7d`. Raises `InputError`."""
    found = SPAN.fullmatch(said)
    span = timedelta(hours=int(found[1]) * HOURS_OF[found[2]]) if found else timedelta(0)
    if not timedelta(0) < span <= LONGEST:
        raise InputError(f"{said!r} is not a time span up to a year.", "write hours or days: `SINCE=24h`, `SINCE=7d`")
    return span


def service_of(said: str) -> tuple[str, str, str]:
    """Return namespace, name and port of a Service. Raises `InputError`."""
    found = SERVICE.fullmatch(said)
    if found is None:
        raise InputError(
            f"{said!r} is no Service.", "write namespace/name:port, as in `PROMETHEUS=monitoring/prometheus:9090`"
        )
    return found[1], found[2], found[3]


def measured(host: Target, service: tuple[str, str, str], span: timedelta) -> dict[tuple[str, str], Measured]:
    """Return what Prometheus knows about the host's pods. Raises `CommandError` with the failure."""
    window = f"{UTILISATION}[{int(span.total_seconds()) // 3600}h:{STEP}]"
    worked = _asked(host, service, f"sum_over_time({window})")
    held = _asked(host, service, f"count_over_time({window})")
    if not held:
        space, name, _ = service
        raise CommandError(f"Prometheus {space}/{name} has no {UTILISATION}: no dcgm-exporter is scraped")
    return {
        pod: Measured(held=count / STEPS_AN_HOUR, worked=worked.get(pod, 0.0) / PERCENT / STEPS_AN_HOUR)
        for pod, count in held.items()
    }


def _asked(host: Target, service: tuple[str, str, str], query: str) -> dict[tuple[str, str], float]:
    space, name, port = service
    by = "namespace, pod, exported_namespace, exported_pod"
    path = (
        f"/api/v1/namespaces/{space}/services/{name}:{port}/proxy/api/v1/query"
        f"?query={quote(f'sum by ({by}) ({query})', safe='')}"
    )
    answer = get_json(host, path, timeout=PATIENCE)
    if answer is None or text(answer, "status") != "success":
        raise CommandError(f"Prometheus {space}/{name}:{port} does not answer like a Prometheus")
    found: dict[tuple[str, str], float] = defaultdict(float)
    for one in rows(answer, "data", "result"):
        labels, value = table(one, "metric"), one.get("value")
        # where the scrape does not honour labels, `pod` is the exporter's pod, and `exported_pod` the one with the GPU
        exported = text(labels, "exported_pod")
        pod = (
            (text(labels, "exported_namespace"), exported)
            if exported
            else (text(labels, "namespace"), text(labels, "pod"))
        )
        if pod[1] and isinstance(value, list) and value:
            found[pod] += _sample(value[-1])
    return dict(found)


def _sample(value: object) -> float:
    """A sample's value: Prometheus writes numbers as text, also `NaN` and `+Inf`."""
    try:
        found = float(str(value))
    except ValueError:
        return 0.0
    return found if isfinite(found) else 0.0


def account_of(seen: Seen, host: Callable[[], Target], prometheus: str, span: timedelta) -> Account:
    """Return the account of a snapshot. What Prometheus does not know is a gap; the rest is complete."""
    since = seen.at - span
    if not prometheus:
        return account(seen, since, why_none=f"{NOT_ASKED} (PROMETHEUS=namespace/service:port asks them)")
    service = service_of(prometheus)
    try:
        return account(seen, since, measured(host(), service, span))
    except CommandError as error:
        return account(seen, since, why_none=error.cause)


# --- formats ----------------------------------------------------------------------------------------------------------


def _cells(row: Spent) -> tuple[str | float | None, ...]:
    hours = (row.quota, row.asked, row.given, row.used, row.idle, row.of_quota)
    return (row.team, row.queue, *(None if value is None else round(value, 4) for value in hours))


def as_json(found: Account) -> str:
    entries = [{**dict(zip(KEYS, _cells(row), strict=True)), "farBelowQuota": row.far_below} for row in found.rows]
    whole = {"since": found.since.isoformat(), "until": found.until.isoformat(), "rows": entries, "gaps": found.gaps}
    return json.dumps(whole, indent=2)


def as_csv(found: Account) -> str:
    """The account for a spreadsheet. Unknown values are empty; a text that it would take for a formula is quoted."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(KEYS)
    for row in found.rows:
        writer.writerow([_plain(cell) for cell in _cells(row)])
    return out.getvalue()


def _plain(cell: str | float | None) -> str | float | None:
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@", "\t") else cell


def as_table(found: Account) -> Table:
    """The account for people: GPU hours with one decimal."""
    span = f"{found.since.astimezone():%Y-%m-%d %H:%M} to {found.until.astimezone():%Y-%m-%d %H:%M %Z}"
    result = Table(title=f"GPU hours, {span}", title_justify="left", box=None, pad_edge=False)
    for place, head in enumerate(HEADS):
        result.add_column(head, justify="left" if place < 2 else "right", no_wrap=True)
    for row in found.rows:
        hours = (row.quota, row.asked, row.given, row.used, row.idle)
        share = "-" if row.of_quota is None else f"{row.of_quota:.0%}{' !' if row.far_below and not row.queue else ''}"
        name = "" if row.queue else row.team
        result.add_row(name, row.queue, *("-" if value is None else f"{value:.1f}" for value in hours), share)
    return result
