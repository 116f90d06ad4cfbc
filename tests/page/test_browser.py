"""The page in a real browser: what it shows, that nothing in it runs that is not ours, keys, and how it keeps up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from page.facts import Data, facts
from page.onefile import one_file
from page.server import Server
from seen.why import Why
from tests.page.browser import Page, browsing, program
from tests.page.world import EVIL, NOW, many, node, seen, some, team, unit
from tests.serving import serving

BROWSER = program()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine: apt-get install chromium"),
]

WAITS = Why(id="x", team="ml", namespace="default", pod="b", cause="its queue is at its limit", fix="run `make up`")
TEXT = "document.body.innerText"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    assert BROWSER is not None
    with browsing(BROWSER, tmp_path_factory.mktemp("profile")) as found:
        yield found


class Live:
    """A server whose snapshot a test can change."""

    def __init__(self, now: Mapping[str, Data]) -> None:
        self.now = now
        self.server = Server(0, lambda: self.now, every=0.05)


@contextmanager
def living(now: Mapping[str, Data]) -> Iterator[Live]:
    found = Live(now)
    with serving(found.server):
        yield found


@pytest.fixture
def live(page: Page) -> Iterator[Live]:
    page.wrong.clear()
    with living(facts(some(), [WAITS])) as found:
        page.go(found.server.url)
        page.until("document.querySelectorAll('#teams tbody tr').length", lambda count: count == 5)
        yield found


def test_it_shows_what_the_snapshot_says(page: Page, live: Live) -> None:
    text = str(page.run(TEXT))
    for words in (
        "node gpu-0 1 of its 8 GPUs is unhealthy",
        "make fence STACK=prod NODE=gpu-0",
        "team research its API is down: no answer in time",
        "GPU 0: 2 pages are retired.",
        "ml default/b its queue is at its limit",
        "Pool a100 3.8 of 16 GPUs used",
        "fenced: Xid 79",
        "v0.16.8, 2 of 2 ready",
        "host: events could not be read: forbidden",
    ):
        assert words in text
    assert text.index("Faults") < text.index("Pods that wait") < text.index("Pool a100")
    assert page.run("document.querySelector('#waiting code').textContent") == "make up"
    assert page.run("document.title") == "(7) prod: GPU tenancy"
    assert page.wrong == []


def test_a_fraction_is_a_part_of_its_tile(page: Page, live: Live) -> None:
    heights = page.run(
        "[...document.querySelectorAll('[data-key=\"gpu-0 nvidia.com/gpu 1\"] .part')].map(e => e.style.height)"
    )
    assert heights == ["50%", "30%"]


def test_teams_are_told_apart_without_colour(page: Page, live: Live) -> None:
    marks = page.run("[...document.querySelectorAll('#teams .key')].map(e => e.textContent)")
    assert len(set(marks)) == len(marks) == 5
    words = page.run("[...document.querySelectorAll('#faults .word')].map(e => e.textContent)")
    assert set(words) == {"✖ fault", "▲ look", "? not seen"}


def test_it_updates_by_itself_and_keeps_the_focus(page: Page, live: Live) -> None:
    page.run("document.querySelector('[data-key=\"gpu-0 nvidia.com/gpu 3\"]').focus()")
    page.run("document.querySelector('#teams details').open = true")
    live.now = {**facts(replace(some(), stack="other")), "faults": []}
    page.until("document.title", lambda title: title == "other: GPU tenancy")
    pools = some().pools[:1]
    live.now = facts(replace(some(), pools=pools))
    page.until(TEXT, lambda text: "Pool l4" not in str(text))
    assert page.run("document.activeElement.dataset.key") == "gpu-0 nvidia.com/gpu 3"
    assert page.run("document.querySelector('#teams details').open") is True


def test_keys_go_from_tile_to_tile_and_say_what_holds_them(page: Page, live: Live) -> None:
    page.run("document.querySelector('.tile').focus()")
    page.key("ArrowRight")
    about = "document.getElementById('about').textContent"
    assert page.run(about) == "gpu-0, nvidia.com/gpu 1: ml 0.5 (default/train-0), vision 0.3 (default/notebook), GPU-1"
    page.key("ArrowDown")
    assert page.run(about) == "gpu-1, nvidia.com/gpu 1: free"
    assert page.run("document.querySelectorAll('.tiles:nth-child(2) .tile[tabindex=\"0\"]').length") == 3
    page.key("/")
    assert page.run("document.activeElement.id") == "filter"
    page.run("document.getElementById('filter').value = 'vision'")
    page.run("document.getElementById('filter').dispatchEvent(new Event('input'))")
    assert page.run("[...document.querySelectorAll('#teams tbody tr')].length") == 1
    page.run("document.getElementById('filter').value = ''")


def test_names_of_tenants_are_text_and_never_markup(page: Page) -> None:
    page.wrong.clear()
    evil = team(EVIL, api=f"down: {EVIL}", pool=EVIL)
    found = facts(seen(stack=EVIL, teams=(evil,)), [replace(WAITS, team=EVIL, pod=EVIL, cause=EVIL, fix=EVIL)])
    with living(found) as live:
        page.go(live.server.url)
        page.until("document.querySelectorAll('#teams tbody tr').length", lambda count: count == 1)
        assert page.run("document.querySelectorAll('img').length") == 0
        assert EVIL in str(page.run(TEXT))
        assert page.wrong == []


def test_nothing_else_may_run_in_it(page: Page, live: Live) -> None:
    page.run("const s = document.createElement('script'); s.textContent = 'window.ran = 1'; document.body.append(s)")
    assert page.run("window.ran") is None
    assert any("Content Security Policy" in wrong for wrong in page.wrong)


def test_a_server_that_has_ended_is_said(page: Page) -> None:
    with living(facts(some())) as found:
        page.go(found.server.url)
        page.until("document.querySelectorAll('#teams tbody tr').length", lambda count: count == 5)
    page.until(
        "document.getElementById('when').textContent", lambda text: "the dashboard's server has ended" in str(text)
    )
    assert "Pool a100" in str(page.run(TEXT))


def test_the_one_file_shows_the_same_without_a_server(page: Page, tmp_path: Path) -> None:
    page.wrong.clear()
    evil = team(EVIL, api="up")
    out = tmp_path / "out.html"
    out.write_text(one_file(facts(replace(some(), teams=(*some().teams, evil)), [WAITS])), encoding="utf-8")
    page.go(out.as_uri())
    page.until("document.querySelectorAll('#teams tbody tr').length", lambda count: count == 6)
    text = str(page.run(TEXT))
    assert "Pool a100 3.8 of 16 GPUs used" in text
    assert EVIL in text
    assert page.run("document.getElementById('when').textContent").endswith("it does not update")
    assert page.wrong == []


def test_a_hundred_teams_are_drawn_once_and_left_alone_while_nothing_changes(page: Page) -> None:
    """Lag comes from drawing what is there already: with the same facts no element is made anew."""
    with living(facts(many())) as live:
        page.go(live.server.url)
        page.until("document.querySelectorAll('.tile').length", lambda count: count == 800)
        page.run("for (const tile of document.querySelectorAll('.tile')) tile.old = true")
        live.now = facts(replace(many(), at=NOW.replace(second=30)))
        page.until("data.at", lambda at: "05:00:30" in str(at))
        assert page.run("[...document.querySelectorAll('.tile')].every(tile => tile.old)") is True
        grown = many()
        more = replace(grown.pools[0], nodes=(*grown.pools[0].nodes, node("new", unit(0, node="new"))))
        live.now = facts(replace(grown, pools=(more,), at=NOW.replace(second=40)))
        page.until("document.querySelectorAll('.tile').length", lambda count: count == 801)
