"""What the web UI shows of a node whose log, database and processes are stopped, slowed and refused in turn: what
everything else says, on a page that was open before and on one that is opened then.

Screenshots go to the folder PAGE_SHOTS, for people to look at.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from selenium import webdriver

from tests.faults.proxy import afflicted
from tests.patience import WAIT_S
from tests.watched_node import (
    DEPENDENCIES,
    KINDS,
    Watched,
    is_ready_everywhere,
    is_told_everywhere,
    stopped,
    watched_node,
)

pytestmark = [pytest.mark.browser, pytest.mark.kafka, pytest.mark.postgres, pytest.mark.processes]

SEEN = """
const seen = (selector) => [...document.querySelectorAll(selector)].filter((each) => each.checkVisibility());
return ["#health", "#trouble p", "#live", "main .badge", "main"].map(
  (selector) => seen(selector).map((each) => each.textContent));
"""
PHONE = {"width": 360, "height": 800, "deviceScaleFactor": 1, "mobile": False}


class Page:
    """The web UI of one node, as it can be seen."""

    def __init__(self, driver: webdriver.Chrome, address: str) -> None:
        self._driver = driver
        self._address = address

    def open(self, place: str = "") -> None:
        """As a person opens it who was not there before."""
        self._driver.get("about:blank")
        self._driver.get(f"{self._address}/{place}")

    def go(self, place: str) -> None:
        """To another page, as by a link."""
        self._driver.execute_script("location.hash = arguments[0]", place)

    def health(self) -> Mapping[str, object]:
        """Whether it is ready, and the reasons: all sentences of the banner but the last one, of its progress."""
        (word, *_), sentences, *_ = self._seen()
        return {"ready": word == "ready", "reasons": sentences[:-1]}

    def badge(self) -> str:
        """The first one below the head: of the overview and of the page of the node, its state."""
        badges = self._seen()[3]
        return badges[0] if badges else ""

    def connection(self) -> str:
        return self._seen()[2][0]

    def words(self) -> str:
        """All that is shown, head and menu apart."""
        return " ".join(self._seen()[1] + self._seen()[4])

    def shots(self, name: str) -> None:
        """Pictures, on a desk and on a phone."""
        folder = os.environ.get("PAGE_SHOTS")
        if not folder:
            return
        Path(folder).mkdir(parents=True, exist_ok=True)
        self._driver.save_screenshot(f"{folder}/health-{name}.png")
        self._driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)
        self._driver.save_screenshot(f"{folder}/health-{name}-phone.png")
        self._driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})

    def _seen(self) -> list[list[str]]:
        return self._driver.execute_script(SEEN)  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory, new_databases: Callable[[], str]) -> Iterator[Watched]:
    with watched_node(tmp_path_factory.mktemp("matrix"), new_databases()) as found:
        yield found


@pytest.fixture(scope="module")
def page(browser: webdriver.Chrome, watched: Watched) -> Page:
    """Open on the overview, and one of all that tells how the node does."""
    page = Page(browser, watched.api)
    page.open()
    watched.others["page"] = page.health
    return page


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_shown_everywhere(page: Page, word: str) -> None:
    """The overview that was open, the page of the node, and each as it is opened now."""
    until(lambda: page.badge() == word)
    page.go("#/node")
    until(lambda: page.badge() == word)
    page.open("#/node")
    until(lambda: page.badge() == word)
    page.open()
    until(lambda: "Loading." not in page.words())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", DEPENDENCIES)
def test_what_a_dependency_does_is_shown_as_everything_else_tells_it_and_so_is_its_return(
    name: str, kind: str, watched: Watched, page: Page
) -> None:
    with afflicted([getattr(watched, name)], KINDS[kind]):
        is_told_everywhere(watched, {name}, DEPENDENCIES[name])
        page.shots(f"{name}-{kind}")
        is_shown_everywhere(page, "not ready")
        is_told_everywhere(watched, {name}, DEPENDENCIES[name])
        page.shots(f"{name}-{kind}-opened")
    is_ready_everywhere(watched)
    is_shown_everywhere(page, "ready")
    until(lambda: page.connection() == "connected")


def test_processes_that_are_stopped_are_shown(watched: Watched, page: Page) -> None:
    with stopped(watched, "order"), stopped(watched, "execute"):
        is_told_everywhere(watched, {"silent"}, "order runs, and has said nothing", findings=2)
        page.shots("processes-stopped")
        is_shown_everywhere(page, "not ready")
    is_ready_everywhere(watched)
    is_shown_everywhere(page, "ready")


@pytest.mark.parametrize("place", ["", "#/node", "#/blocks"])
def test_a_node_that_hangs_is_not_shown_as_it_was(watched: Watched, page: Page, place: str) -> None:
    page.open(place)
    until(lambda: page.health()["ready"])
    with stopped(watched, "api"):
        until(lambda: page.words().startswith("The node does not answer. What is shown is older."))
        assert not page.health()["ready"]
        assert page.connection() == "reconnecting"
        page.shots(f"api-stopped-{place.strip('#/')}")
    until(lambda: page.health()["ready"])
    until(lambda: page.connection() == "connected")
    page.open()
