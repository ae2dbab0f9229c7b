"""The page, walked through in headless chromium on a live chain of four validators under load.

Screenshots go to the folder PAGE_SHOTS, for people to look at; without it to pytest's own.
"""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from struct import pack
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from cli.main import run_line
from lab.demo.local_committee import LocalCommittee
from ledger.commands import CreateAsset, CreateObject, Transfer, UpdateObject
from node.embedded.broker import free_ports
from node.home.keystore import load_key
from node.home.layout import Home
from tests.api_node import TO, ApiNode, document
from tests.patience import WAIT_S

pytestmark = [pytest.mark.browser]
HOSTILE = "</td><script>document.title='owned'</script><img src=x onerror=document.title='owned'>\u202e"
MENU = (
    "Overview",
    "Validators",
    "Blocks",
    "Transactions",
    "Objects",
    "Assets",
    "Balances",
    "Checkpoints",
    "Drills",
    "Evidence",
    "Peers",
    "This node",
)
CONTRAST_MIN = 4.5

CONTRASTS = """
const channel = (c) => { c /= 255; return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
const shade = (rgb) => 0.2126 * channel(rgb[0]) + 0.7152 * channel(rgb[1]) + 0.0722 * channel(rgb[2]);
const rgb = (text) => text.match(/[0-9.]+/g).map(Number);
const ground = (node) => {
  for (let at = node; at; at = at.parentElement) {
    const color = rgb(getComputedStyle(at).backgroundColor);
    if (color.length < 4 || color[3] > 0) return color;
  }
  return [255, 255, 255];
};
return [...document.querySelectorAll("body *")].filter((node) => node.checkVisibility() && [...node.childNodes].some(
  (child) => child.nodeType === 3 && child.textContent.trim())).filter((node) => !node.closest("svg")).map((node) => {
  const [a, b] = [shade(rgb(getComputedStyle(node).color)), shade(ground(node))].sort((x, y) => y - x);
  return [(a + 0.05) / (b + 0.05), node.tagName + "." + node.className + ": " + node.textContent.slice(0, 40)];
});
"""
DRAWN = """
return document.querySelector(`svg[aria-label^="${arguments[0]}:"]:has(polyline.line, circle.dot, rect.bar)`) !== null;
"""
OVERFLOWING = """
const scrolls = (node) => node && (getComputedStyle(node).overflowX !== "visible" || scrolls(node.parentElement));
const width = window.innerWidth;
const beyond = ({ width: own, right }) => own > 0 && right > width + 0.5;
const wide = [...document.querySelectorAll("body *")].filter((node) => node.checkVisibility()
  && !scrolls(node.parentElement) && beyond(node.getBoundingClientRect())).map((node) => node.outerHTML.slice(0, 80));
return document.documentElement.scrollWidth > width ? ["document", ...wide] : wide;
"""
UNNAMED = """
return [...document.querySelectorAll("button, a, input, svg[role=img], meter")].filter((node) =>
  node.checkVisibility() && !(node.textContent.trim() || node.getAttribute("aria-label") || node.labels?.length)
).map((node) => node.outerHTML);
"""


@dataclass
class Chain:
    """Four validators, the first one's API, and what was put into the ledger."""

    api: ApiNode
    page: str
    object: str
    transaction: str
    rejected: str

    def places(self) -> dict[str, str]:
        """Every page, by the name of its picture."""
        menu = ("validators", "blocks", "transactions", "objects", "assets", "balances", "checkpoints", "drills")
        others = ("evidence", "peers", "node", "rejections", "transfers", "writes")
        return {
            "overview": "",
            **{name: f"#/{name}" for name in (*menu, *others)},
            "drill": "#/drill/1",
            "block": "#/block/2",
            "transaction": f"#/transaction/{self.transaction}",
            "rejected": f"#/transaction/{self.rejected}",
            "address": f"#/address/{TO.hex()}",
            "asset": f"#/asset/{self.api.asset.hex()}",
            "object": f"#/object/{self.object}",
        }


@pytest.fixture(scope="module")
def chain() -> Iterator[Chain]:
    with TemporaryDirectory(prefix="momus-", ignore_cleanup_errors=True) as folder:
        home = Path(folder) / "chain"
        init = ["init", "--home", str(home), "--validators", "4", "--dev", "--checkpoint-ms", "2000"]
        assert run_line(init) == 0
        homes = sorted(file.parent for file in home.glob("*/momus.toml"))
        ports = free_ports(8)
        environments = [
            {
                "MOMUS_API__PORT": str(api),
                "MOMUS_METRICS__PORT": str(metrics),
                "MOMUS_API__RATE_PER_S": "1000",
                "MOMUS_POSTGRES__URL": "embedded",
            }
            for api, metrics in zip(ports[:4], ports[4:], strict=True)
        ]
        with LocalCommittee(homes, environments) as committee:
            place = Home(homes[0])
            key = load_key(next(home.rglob("client.json")), None)
            committee.nodes[0].wait_running(["api"], WAIT_S)
            page = f"http://127.0.0.1:{ports[0]}/"
            api = ApiNode(committee.nodes[0], page + "v1", place.genesis(), key)
            yield from _filled(api, page, homes[0])


def _filled(api: ApiNode, page: str, home: Path) -> Iterator[Chain]:
    """Some of everything, and payments for as long as the tests take."""
    assert api.asset  # before there is another
    made = api.post(api.sign(CreateObject("note", "text/plain", HOSTILE.encode(), None))).json()
    thing = made["objects"][0]["object"]
    update = UpdateObject(bytes.fromhex(thing), 1, "application/json", json.dumps({"a": HOSTILE}).encode())
    assert api.post(api.sign(update)).json()["state"] == "executed"
    assert api.post(api.sign(CreateAsset(HOSTILE[:60], 2, api.key.address))).json()["state"] == "executed"
    poor = api.post(api.sign(Transfer(api.asset, TO, pack(">q", 2**60)))).json()
    assert run_line(["drill", "--home", str(home)]) == 0
    evidence = home / "evidence"
    evidence.mkdir(exist_ok=True)
    (evidence / f"evidence-{'a' * 16}.json").write_text(json.dumps({"what": "evidence", "validator": HOSTILE}))
    ended = threading.Event()

    def pay() -> None:
        while not ended.wait(0.2):
            with suppress(httpx.TransportError):  # one test ends the API
                httpx.post(api.base + "/batches", json={"transactions": [document(api.sign()) for _ in range(20)]})

    with ThreadPoolExecutor(1) as pool:
        paying = pool.submit(pay)
        try:
            yield Chain(api, page, thing, made["digest"], poor["digest"])
        finally:
            ended.set()
            paying.result()


class Walker:
    """Goes from page to page as a person does, and sees to it that nothing goes wrong on the way."""

    def __init__(self, driver: webdriver.Chrome, chain: Chain, shots: Path) -> None:
        self.driver = driver
        self.chain = chain
        self._shots = shots

    def open(self, place: str) -> None:
        self.driver.get("about:blank")
        self.driver.get(self.chain.page + place)
        self.until(lambda: self.text("main h1") != "")

    def text(self, selector: str) -> str:
        return str(self.run("return document.querySelector(arguments[0])?.textContent ?? ''", selector))

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def texts(self, selector: str) -> list[str]:
        return list(self.run("return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)", selector))

    def run(self, script: str, *arguments: str) -> Any:
        return self.driver.execute_script(script, *arguments)

    def complaints(self) -> list[Any]:
        """What the browser has logged since it was asked last."""
        return list(self.driver.get_log("browser"))  # type: ignore[no-untyped-call]

    def until(self, condition: Callable[[], Any], seconds: float = WAIT_S) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, self.text("main")[:2_000]
            time.sleep(0.05)

    def check(self, name: str) -> None:
        """Keep a picture; no complaint of the browser, nothing unnamed, nothing that cannot be read."""
        self.driver.save_screenshot(str(self._shots / f"{name}.png"))
        assert self.complaints() == []
        assert self.run(UNNAMED) == []
        pale = [each for each in self.run(CONTRASTS) if each[0] < CONTRAST_MIN]
        assert pale == []
        assert self.driver.title.endswith("Momus"), "what somebody wrote was run"
        assert self.run(OVERFLOWING) == [], "the page is wider than the window"


@pytest.fixture
def walker(browser: webdriver.Chrome, chain: Chain, tmp_path: Path) -> Walker:
    shots = Path(os.environ.get("PAGE_SHOTS", tmp_path))
    shots.mkdir(parents=True, exist_ok=True)
    browser.set_window_size(1360, 1000)
    return Walker(browser, chain, shots)


def test_the_overview_follows_the_chain(walker: Walker) -> None:
    walker.open("")
    before = _height(walker)
    walker.until(lambda: _height(walker) > before + 5)
    walker.until(lambda: walker.text("#live") == "connected")
    walker.until(lambda: walker.text("#health") == "ready", WAIT_S)
    walker.until(lambda: len(walker.all("circle.dot")) > 5)
    for name in ("Height", "Time to finality", "Transactions a second", "From proposal to SQL"):
        walker.until(partial(_has_chart, walker, name))
    assert len(walker.all("rect.bar")) > 1
    assert {f"validator-{n}" for n in (1, 2, 3, 4)} <= set(walker.texts("main table td"))
    assert walker.text("#chain").endswith("validator-1")
    time.sleep(6)  # for the picture: charts with something in them
    walker.check("overview")


def _has_chart(walker: Walker, name: str) -> bool:
    """Drawn, with a label that says what is on it."""
    return bool(walker.run(DRAWN, name))


def _is_shown(walker: Walker, title: str) -> bool:
    return walker.text("main h1") == title and bool(walker.texts("main tbody tr"))


def _height(walker: Walker) -> int:
    return int("".join(digit for digit in walker.texts(".tile-value")[1] if digit.isdecimal()))


def _first(walker: Walker) -> str:
    return walker.text("main tbody td")


def test_every_page_of_the_menu_shows_what_there_is(walker: Walker) -> None:
    walker.open("")
    assert tuple(walker.texts("nav a")) == MENU
    for name, link in zip(MENU[1:], walker.all("nav a")[1:], strict=True):
        link.click()
        walker.until(partial(_is_shown, walker, name))
        assert link.get_attribute("aria-current") == "page"
        walker.check(name.lower().replace(" ", "-"))


def test_lists_go_back_and_follow_the_chain(walker: Walker) -> None:
    walker.open("#/blocks")
    before = _first(walker)
    walker.until(lambda: _first(walker) != before)
    buttons = {each.text: each for each in walker.all(".pages button")}
    buttons["Older"].click()
    walker.until(lambda: buttons["Newest"].is_enabled())
    then = _first(walker)
    time.sleep(2)
    assert _first(walker) == then
    buttons["Newest"].click()
    walker.until(lambda: not buttons["Newest"].is_enabled())


def test_what_somebody_wrote_is_shown_and_never_run(walker: Walker) -> None:
    walker.open(f"#/object/{walker.chain.object}")
    walker.until(lambda: "<script>" in walker.text("main pre"))
    walker.until(lambda: len(walker.all("main tbody tr")) == 2)
    walker.check("object")
    walker.open("#/assets")
    walker.until(lambda: "<script>" in walker.text("main table"))
    walker.open("#/evidence")
    walker.until(lambda: walker.all("main td button"))
    walker.all("main td button")[0].click()
    walker.until(lambda: "<script>" in walker.text("main pre"))
    walker.check("evidence-file")


@pytest.mark.parametrize(
    "kind",
    [
        "transaction",
        "rejected",
        "address",
        "asset",
        "block",
        "transfers",
        "rejections",
        "objects",
        "writes",
        "balances",
    ],
)
def test_things_are_shown_with_links_to_what_they_belong_to(walker: Walker, kind: str) -> None:
    walker.open(walker.chain.places()[kind])
    walker.until(lambda: walker.all("main .hash a"))
    walker.check(kind)


def test_an_object_is_found_from_the_menu_and_its_owner_from_it(walker: Walker) -> None:
    walker.open("#/objects")
    walker.until(lambda: walker.all("main td:first-child .hash a"))
    walker.all("main td:first-child .hash a")[0].click()
    walker.until(lambda: _is_shown(walker, "Object"))
    assert walker.text("nav a[aria-current]") == "Objects"
    walker.all("main dd .hash a")[0].click()
    walker.until(lambda: _is_shown(walker, "Address"))
    assert walker.text("nav a[aria-current]") == "Balances"


def test_a_hash_is_copied_whole(walker: Walker) -> None:
    walker.open("#/transactions")
    walker.until(lambda: walker.all("main .copy"))
    walker.run("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
    expected = walker.run("return document.querySelector('main .hash a').title")
    walker.run("document.querySelector('main .copy').click()")
    walker.until(lambda: walker.run("return window.copied ?? ''") == expected)
    assert len(expected) == 64


def test_peers_are_shown_with_where_they_answer_and_how_far_they_are(walker: Walker) -> None:
    walker.open("#/peers")
    walker.until(lambda: walker.texts("main td .badge").count("fresh") == 4)
    first, *others = walker.texts("main td:first-child")
    assert first.startswith("validator-1this node")
    assert [each[:11] for each in others] == [f"validator-{n}" for n in (2, 3, 4)]
    answers = walker.text("main tbody tr td:nth-child(8)")
    assert answers.startswith(f"API {walker.chain.page.rstrip('/')}")


def test_a_drill_shows_how_long_recovery_took(walker: Walker) -> None:
    walker.open("#/drills")
    walker.until(lambda: walker.all("main td a"))
    walker.all("main td a")[0].click()
    walker.until(lambda: walker.text("main h1") == "Drill 1")
    told = dict(zip(walker.texts("main dt"), walker.texts("main dd"), strict=True))
    assert told["Verdict"] == "passed"
    assert told["Recovery time"].endswith(" s")
    walker.check("drill")


def _is_at(walker: Walker, place: str) -> bool:
    return walker.driver.current_url.endswith(place)


def test_search_finds_whatever_it_is(walker: Walker) -> None:
    chain = walker.chain
    places = {
        "2": "#/block/2",
        chain.transaction: f"#/transaction/{chain.transaction}",
        chain.object: f"#/object/{chain.object}",
        chain.api.asset.hex().upper(): f"#/asset/{chain.api.asset.hex()}",
        TO.hex(): f"#/address/{TO.hex()}",
    }
    for wanted, place in places.items():
        walker.open("")
        box = walker.all("#wanted")[0]
        box.clear()
        box.send_keys(wanted + Keys.ENTER)
        walker.until(partial(_is_at, walker, place))
    walker.open("")
    walker.all("#wanted")[0].send_keys("nonsense" + Keys.ENTER)
    walker.until(lambda: walker.text("main h1") == "Nothing found")


def test_a_keyboard_is_enough(walker: Walker) -> None:
    walker.open("")
    walker.driver.switch_to.active_element.send_keys(Keys.TAB)
    focused = walker.driver.switch_to.active_element
    assert focused.get_attribute("class") == "skip"
    for _ in range(40):
        walker.driver.switch_to.active_element.send_keys(Keys.TAB)
        if walker.driver.switch_to.active_element.text == "Blocks":
            break
    walker.driver.switch_to.active_element.send_keys(Keys.ENTER)
    walker.until(lambda: walker.text("main h1") == "Blocks")
    walker.until(lambda: walker.driver.switch_to.active_element.tag_name == "main")


@pytest.mark.parametrize(("theme", "width"), [("light", 320), ("dark", 360), ("light", 500)])
def test_a_phone_shows_every_page(walker: Walker, theme: str, width: int) -> None:
    # A window of chromium gets no narrower than 500.
    shape = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    walker.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", shape)
    try:
        _walk(walker, theme, f"phone-{width}-{theme}")
    finally:
        walker.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_every_page_is_there_in_the_dark(walker: Walker) -> None:
    _walk(walker, "dark", "dark")


def _walk(walker: Walker, theme: str, name: str) -> None:
    walker.open("")
    walker.run("localStorage.setItem('theme', arguments[0])", theme)
    try:
        for kind, place in walker.chain.places().items():
            walker.open(place)
            walker.until(lambda: walker.all("main .card"))
            walker.until(lambda: walker.text("main h1") and not walker.text("main h1").startswith("No such"))
            if kind == "overview":
                walker.until(partial(_has_chart, walker, "Time to finality"))
            walker.check(f"{name}-{kind}")
    finally:
        walker.run("localStorage.clear()")


def test_a_node_that_is_gone_is_told_of(walker: Walker) -> None:
    walker.open("")
    walker.until(lambda: walker.text("#live") == "connected")
    pid = walker.chain.api.node.kill_9("api")
    walker.until(lambda: walker.text("#live") == "reconnecting")
    walker.until(lambda: walker.text("#live") == "connected", WAIT_S)
    assert pid > 0
    walker.complaints()  # that a connection was refused, which is so
