"""Links of the web UI lead somewhere: whatever page shows them, below a proxy's path too."""

import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from selenium import webdriver

from tests.api_node import ApiNode, api_node
from tests.patience import WAIT_S

pytestmark = pytest.mark.browser
PREFIX = "/ledger/of/ours/"
LINKS = """
return [...document.querySelectorAll('main a[href], nav a[href], footer a[href]')].map((a) => a.getAttribute('href'))
"""
TEXT = "return document.querySelector(arguments[0])?.textContent ?? ''"


@pytest.fixture(scope="module")
def node() -> Iterator[ApiNode]:
    with api_node() as node:
        node.new_object()
        node.post(node.sign(valid_for_ms=1_000))
        yield node


@pytest.fixture(scope="module")
def below(node: ApiNode) -> Iterator[str]:
    """The web UI as a proxy serves it that knows no other path."""

    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not self.path.startswith(PREFIX):
                self.send_error(404)
                return
            wanted = node.base.removesuffix("v1") + self.path.removeprefix(PREFIX)
            with httpx.stream("GET", wanted, timeout=WAIT_S) as answer:
                self.send_response(answer.status_code)
                self.send_header("Content-Type", answer.headers["content-type"])
                self.end_headers()
                for part in answer.iter_bytes():
                    self.wfile.write(part)
                    self.wfile.flush()

        def log_message(self, format: str, *args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}{PREFIX}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def opened(browser: webdriver.Chrome, url: str) -> str:
    """The heading of a page."""
    browser.get("about:blank")
    browser.get(url)
    until(lambda: browser.execute_script(TEXT, "main h1"))
    return str(browser.execute_script(TEXT, "main h1"))


def test_every_link_that_a_page_shows_leads_to_one_below_the_path_of_a_proxy(
    browser: webdriver.Chrome, below: str
) -> None:
    seen: set[str] = set()
    kinds: dict[str, int] = {}
    waiting = [""]
    while waiting:
        link = waiting.pop()
        heading = opened(browser, below + link)
        assert not heading.startswith(("No such", "Nothing")), link
        until(lambda: browser.execute_script(TEXT, "#live") == "connected")
        time.sleep(0.3)  # lists come after the heading
        for found in browser.execute_script(LINKS):
            kind = found.split("/")[1] if found.startswith("#/") else found
            if found.startswith("#/") and found not in seen and kinds.get(kind, 0) < 4:
                kinds[kind] = kinds.get(kind, 0) + 1
                seen.add(found)
                waiting.append(found)
            elif not found.startswith("#"):
                assert httpx.get(below + found).status_code == 200, found
    assert {"block", "transaction", "address", "asset", "object", "peers"} <= kinds.keys()
