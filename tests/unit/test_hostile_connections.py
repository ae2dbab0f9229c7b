"""What a hostile client does to a connection, done to each of the servers that a node has."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from math import ceil
from pathlib import Path

import pytest

import serving.connection as connection_module
from serving.exchange import READ_AHEAD_BYTES_MAX
from serving.limits import PIECES_MAX, SHARE, TOLD_MAX, Limits
from tests.http_servers import API, LARGE, METRICS, NAMES, OTHER, PIECE, TCP, TLS, UNIX, Served, rest_of, served

PATIENT = Limits(connections_max=4, head_s=30, body_bytes_max=0, body_s=30, answer_s=30, idle_s=5, stall_s=30)
BODY_MAX = 1_000
WITH_BODIES = Limits(connections_max=4, head_s=30, body_bytes_max=BODY_MAX, body_s=30, idle_s=5)
SOON_S = 0.1
IN_CLEAR = [name for name in NAMES if name[1] != TLS]
"""Over TLS nobody can end one side alone."""
BY_ADDRESS = [name for name in NAMES if name[1] != UNIX]
"""At a Unix socket all are one caller."""

Serve = Callable[[Limits], Served]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of what is served; nobody writes there."""
    return tmp_path_factory.mktemp("served")


@pytest.fixture(params=NAMES, ids=" over ".join)
def serve(request: pytest.FixtureRequest, folder: Path) -> Iterator[Serve]:
    """Starts the server of a name, with limits."""
    name, through = request.param
    with ExitStack() as stack:
        yield lambda limits: stack.enter_context(served(name, through, limits, folder))


def answers(at: Served, *sent: bytes, is_half_closed: bool = False) -> list[tuple[int, bytes]]:
    """(status, body) of what comes back until the server closes."""
    with at.connect() as connection:
        for part in sent:
            connection.sendall(part)
        if is_half_closed:
            connection.shutdown(1)
        return parsed(rest_of(connection))


def parsed(text: bytes) -> list[tuple[int, bytes]]:
    """Of answers one after another, each with its length."""
    found = []
    while text:
        head, _, text = text.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in lines[1:])
        length = int(fields[b"content-length"])
        found.append((int(lines[0].split()[1]), text[:length]))
        text = text[length:]
    return found


def code(answer: tuple[int, bytes]) -> tuple[int, str]:
    return answer[0], json.loads(answer[1])["code"]


def is_served(at: Served) -> bool:
    """Whether the next caller gets an answer."""
    return answers(at, at.get(headers="Connection: close\r\n"))[0][0] == 200


def is_served_soon(at: Served) -> bool:
    """The same where the time for a head is short."""
    try:
        return is_served(at)
    except (OSError, IndexError):
        return False


@pytest.mark.parametrize("serve", IN_CLEAR, indirect=True, ids=" over ".join)
@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: a\r\nX: "])
def test_a_head_that_does_not_become_whole_is_not_waited_for(serve: Serve, sent: bytes) -> None:
    at = serve(Limits(connections_max=4, head_s=SOON_S))
    with ExitStack() as stack:
        held = [stack.enter_context(at.connect()) for _ in range(3)]
        for each in held:
            with suppress(ConnectionError):
                each.sendall(sent)
        assert [rest_of(each) for each in held] == [b""] * 3
    assert any(is_served_soon(at) for _ in range(100))


@pytest.mark.parametrize("serve", IN_CLEAR, indirect=True, ids=" over ".join)
def test_a_second_head_that_does_not_become_whole_is_not_waited_for(serve: Serve) -> None:
    at = serve(Limits(connections_max=4, head_s=SOON_S))
    assert [status for status, _ in answers(at, at.get() + b"GET / HT")] == [200]


@pytest.mark.parametrize("serve", IN_CLEAR, indirect=True, ids=" over ".join)
def test_a_head_in_drops_is_not_waited_for_any_longer(serve: Serve) -> None:
    at = serve(Limits(connections_max=4, head_s=SOON_S))
    with at.connect() as connection:
        connection.settimeout(0.01)
        sent = 0
        while True:
            try:
                connection.sendall(b"G")
                sent += 1
                if not connection.recv(1):
                    break
            except TimeoutError:
                continue
            except ConnectionError:
                break
        assert sent > 1


def test_a_connection_with_nothing_to_say_is_closed(serve: Serve) -> None:
    at = serve(Limits(connections_max=4, head_s=30, idle_s=SOON_S))
    assert [status for status, _ in answers(at, at.get())] == [200]


@pytest.mark.parametrize("part", ["target", "header"])
def test_a_head_beyond_its_bound_is_refused(serve: Serve, part: str) -> None:
    at = serve(PATIENT)
    filling = "y" * (2 * PATIENT.head_bytes_max)
    sent = at.get("/" + filling) if part == "target" else at.get(headers=f"X: {filling}\r\n")
    assert [code(each) for each in answers(at, sent)] == [(431, "head_too_large")]
    assert is_served(at)


def test_connections_beyond_the_last_place_get_an_answer_and_many_more_are_closed(serve: Serve) -> None:
    at = serve(PATIENT)
    with ExitStack() as stack:
        held = [stack.enter_context(at.connect()) for _ in range(3)]  # three quarters: this caller's places
        told = [stack.enter_context(at.connect()) for _ in range(ceil(SHARE * TOLD_MAX))]
        told[0].sendall(at.get())
        told[-1].sendall(at.get())
        assert [code(parsed(rest_of(each))[0]) for each in (told[0], told[-1])] == [(503, "back_pressure")] * 2
        last = [stack.enter_context(at.reached()) for _ in range(3)]
        assert rest_of(last[2]) == b""
        held[0].sendall(at.get())
        assert held[0].recv(100).startswith(b"HTTP/1.1 200 ")
    assert is_served(at)


@pytest.mark.parametrize("serve", BY_ADDRESS, indirect=True, ids=" over ".join)
def test_a_caller_who_takes_all_that_he_can_takes_no_place_of_another(serve: Serve) -> None:
    at = serve(PATIENT)
    with ExitStack() as stack:
        for _ in range(3 + ceil(SHARE * TOLD_MAX)):
            stack.enter_context(at.connect())
        assert rest_of(stack.enter_context(at.reached())) == b""
        other = stack.enter_context(at.connect(caller=OTHER))
        other.sendall(at.get())
        assert other.recv(100).startswith(b"HTTP/1.1 200 ")
        told = stack.enter_context(at.connect(caller=OTHER))
        told.sendall(at.get("/healthz"))
        assert parsed(rest_of(told)) == [(200, b'{"alive":true}')]


@pytest.mark.parametrize("serve", [name for name in NAMES if name[1] == TLS], indirect=True, ids=" over ".join)
def test_handshakes_that_do_not_end_take_no_more_than_the_places_of_their_caller(serve: Serve) -> None:
    at = serve(PATIENT)
    with ExitStack() as stack:
        held = [stack.enter_context(at.reached()) for _ in range(3 + ceil(SHARE * TOLD_MAX))]
        assert rest_of(stack.enter_context(at.reached())) == b""
        assert at.tls is not None
        first = stack.enter_context(at.tls.wrap_socket(held[0]))
        first.sendall(at.get())
        assert first.recv(100).startswith(b"HTTP/1.1 200 ")
        for each in held[1:4]:
            each.close()
        wait_until_free(at)


@pytest.mark.parametrize("serve", [name for name in NAMES if name[1] == TLS], indirect=True, ids=" over ".join)
@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"\x16\x03\x01\x02\x00\x01"])
def test_a_handshake_that_is_none_is_not_waited_for(serve: Serve, sent: bytes) -> None:
    at = serve(Limits(connections_max=4, head_s=SOON_S))
    with ExitStack() as stack:
        for each in [stack.enter_context(at.reached()) for _ in range(3)]:
            with suppress(ConnectionError):
                each.sendall(sent)
            rest_of(each)
    assert any(is_served_soon(at) for _ in range(100))


def test_who_was_refused_and_leaves_gives_his_place_back(serve: Serve) -> None:
    at = serve(Limits(connections_max=16, head_s=30))
    assert {code(answers(at, b"?\r\n\r\n")[0]) for _ in range(40)} == {(400, "malformed")}


def test_that_it_lives_is_answered_where_all_places_are_taken(serve: Serve) -> None:
    at = serve(PATIENT)
    with ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(at.connect())
        assert answers(at, at.get("/healthz")) == [(200, b'{"alive":true}')]


def test_requests_one_after_another_are_all_answered_in_order(serve: Serve) -> None:
    at = serve(PATIENT)
    last = at.get("/nothing", headers="Connection: close\r\n")
    assert [status for status, _ in answers(at, at.get() * 3 + last)] == [200, 200, 200, 404]


@pytest.mark.parametrize(
    "sent",
    [
        b"\r\n\r\n\x00",
        b"\x00\x01\x02\r\n\r\n",
        bytes(range(256)) * 4,
        b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / JTTP/1.1\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: a\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX : a\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET nothing HTTP/1.1\r\nHost: a\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 30\r\n\r\n{}",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + b"9" * 5_000 + b"\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\nHost: a\n\n",
        b"GET / HTTP/1.1\r\nHost: a\nX: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: a\rY: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\tchunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused_and_the_next_is_served(serve: Serve, sent: bytes) -> None:
    at = serve(WITH_BODIES)
    found = answers(at, sent + at.get())
    assert [code(each) for each in found] == [(400, "malformed")]
    assert is_served(at)


def test_two_lengths_of_a_body_do_not_hide_a_second_request(serve: Serve) -> None:
    """As it would come through a proxy that believes the other length."""
    at = serve(WITH_BODIES)
    hidden = at.get()
    lengths = f"Content-Length: {5 + len(hidden)}\r\nTransfer-Encoding: chunked\r\n"
    sent = at.get(method="POST", headers=lengths) + b"0\r\n\r\n" + hidden
    assert [code(each) for each in answers(at, sent)] == [(400, "malformed")]


@pytest.mark.parametrize(
    "end", [b"0\r\n\n", b"0\r\nX: a\r\n\r\n", b"0\r\nX: a\n\n", b"1\r\nx\r\n0\r\nX: a\r\n\n", b"1\r\nx\n0\r\n\r\n"]
)
def test_chunks_that_end_in_any_other_way_hide_no_second_request(serve: Serve, end: bytes) -> None:
    at = serve(WITH_BODIES)
    sent = at.get(method="POST", headers="Transfer-Encoding: chunked\r\n")
    found = answers(at, sent + end + at.get())
    assert (len(found), found[0][0]) in {(1, 400), (1, 405)}
    assert is_served(at)


def test_a_refusal_after_a_request_for_the_head_alone_has_its_body(serve: Serve) -> None:
    at = serve(PATIENT)
    with at.connect() as connection:
        connection.sendall(at.get("/nothing", method="HEAD") + b"?\r\n\r\n")
        last = rest_of(connection).rpartition(b"\r\n\r\n")[2]
    assert json.loads(last)["code"] == "malformed"


def test_nothing_that_follows_the_last_request_is_read(serve: Serve) -> None:
    at = serve(WITH_BODIES)
    for last in (at.get(headers="Connection: close\r\n"), at.get(version="1.0")):
        for more in (b"\r\n", b"?\r\n\r\n", at.get()):
            assert [status for status, _ in answers(at, last + more)] == [200]
            assert [status for status, _ in answers(at, last, more)] == [200]


@pytest.mark.parametrize("to", ["websocket", "h2c", "TLS/1.2"])
def test_no_other_protocol_is_changed_to(serve: Serve, to: str) -> None:
    at = serve(PATIENT)
    sent = at.get(headers=f"Upgrade: {to}\r\nConnection: Upgrade\r\n"), at.get(headers="Connection: close\r\n")
    assert [status for status, _ in answers(at, b"".join(sent))] == [200, 200]


def test_an_answer_to_who_waits_with_his_body_is_the_last(serve: Serve) -> None:
    """Nobody knows whether what follows is that body or the next request."""
    at = serve(WITH_BODIES)
    with at.connect() as connection:
        connection.sendall(at.get("/nothing", method="POST", headers="Content-Length: 5\r\nExpect: 100-continue\r\n"))
        head, _, _ = rest_of(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 404 ")
    assert b"connection: close" in head.lower()


@pytest.mark.parametrize("authority", ["http://a", "HTTPS://other:9"])
def test_a_target_may_name_a_host(serve: Serve, authority: str) -> None:
    at = serve(PATIENT)
    sent = at.get(authority + at.short), at.get(authority, headers="Connection: close\r\n")
    assert [status for status, _ in answers(at, *sent)] == [200, 404]


@pytest.mark.parametrize("framing", ["Content-Length: 1\r\n", "Transfer-Encoding: chunked\r\n"])
def test_no_body_is_taken_where_none_is_allowed(serve: Serve, framing: str) -> None:
    at = serve(PATIENT)
    found = answers(at, at.get(headers=framing) + b"1\r\nx\r\n0\r\n\r\n" + at.get())
    assert [code(each) for each in found] == [(413, "body_too_large")]
    assert is_served(at)


@pytest.mark.parametrize("length", [BODY_MAX + 1, 10**15])
def test_a_body_beyond_its_bound_is_refused_unread(serve: Serve, length: int) -> None:
    at = serve(WITH_BODIES)
    found = answers(at, at.get(method="POST", headers=f"Content-Length: {length}\r\n"))
    assert [code(each) for each in found] == [(413, "body_too_large")]


def statuses(at: Served, refusal: int) -> tuple[int, ...]:
    """What a body beyond a bound is answered with: who takes no POST may say that at once, and reads no more of it."""
    return (refusal,) if at.name == API else (405, refusal)


def test_a_body_in_chunks_beyond_its_bound_is_cut_off(serve: Serve) -> None:
    at = serve(WITH_BODIES)
    chunk = b"64\r\n" + b"x" * 100 + b"\r\n"
    found = answers(at, at.get(method="POST", headers="Transfer-Encoding: chunked\r\n") + 11 * chunk)
    assert found[0][0] in statuses(at, 413)
    assert len(found) == 1


def test_a_body_in_tiny_pieces_is_cut_off(serve: Serve) -> None:
    """Each costs as much work as a large one."""
    at = serve(Limits(connections_max=4, head_s=30, body_bytes_max=10**6, body_s=30))
    sent = at.get(method="POST", headers="Transfer-Encoding: chunked\r\n") + 2 * PIECES_MAX * b"1\r\nx\r\n"
    found = answers(at, sent)
    assert found[0][0] in statuses(at, 413)
    assert len(found) == 1


def test_a_body_that_does_not_become_whole_is_not_waited_for(serve: Serve) -> None:
    at = serve(Limits(connections_max=4, head_s=30, body_bytes_max=BODY_MAX, body_s=SOON_S, idle_s=30))
    (found,) = answers(at, at.get(method="POST", headers="Content-Length: 9\r\n") + b"123")
    assert found[0] in statuses(at, 408)


def test_a_body_that_nobody_reads_is_thrown_away_and_the_next_request_answered(serve: Serve) -> None:
    at = serve(WITH_BODIES)
    sent = at.get("/nothing", method="POST", headers="Content-Length: 9\r\n")
    last = at.get(headers="Connection: close\r\n")
    assert [status for status, _ in answers(at, sent, b"123", b"456789" + last)] == [404, 200]


@pytest.mark.parametrize("serve", IN_CLEAR, indirect=True, ids=" over ".join)
def test_who_says_that_he_ends_still_gets_his_answer(serve: Serve) -> None:
    at = serve(PATIENT)
    assert [status for status, _ in answers(at, at.get(), is_half_closed=True)] == [200]


@pytest.mark.parametrize("serve", IN_CLEAR, indirect=True, ids=" over ".join)
def test_who_ends_in_the_middle_of_a_head_is_closed(serve: Serve) -> None:
    at = serve(PATIENT)
    assert answers(at, at.get()[:-2], is_half_closed=True) == []
    assert answers(at, b"", is_half_closed=True) == []


@pytest.mark.parametrize("limits", [Limits(4, 30, stall_s=SOON_S), Limits(4, 30, answer_s=SOON_S)])
def test_who_takes_nothing_of_an_answer_is_let_go(serve: Serve, limits: Limits) -> None:
    at = serve(limits)
    with at.connect(receive_bytes=4_096) as connection:
        connection.sendall(at.get(at.large))
        with ExitStack() as stack:
            others = [stack.enter_context(at.connect(4_096)) for _ in range(2)]
            for each in others:
                each.sendall(at.get(at.large))
            wait_until_free(at, places=3)
        assert len(rest_of(connection)) < LARGE * PIECE


def wait_until_free(at: Served, places: int = 1) -> None:
    """Until so many have been let go: as long as all places are taken, the next caller is told so."""
    is_free = False
    while not is_free:
        with ExitStack() as stack:
            for _ in range(places - 1):
                stack.enter_context(at.connect())
            is_free = is_served(at)


def test_who_takes_an_answer_in_drops_is_let_go_when_its_time_is_over(serve: Serve) -> None:
    at = serve(Limits(connections_max=1, head_s=30, answer_s=SOON_S, stall_s=30))
    with at.connect(receive_bytes=4_096) as connection:
        connection.sendall(at.get(at.large))
        taken = 0
        while not is_served(at):
            taken += len(connection.recv(1_000))
        assert taken + len(rest_of(connection)) < LARGE * PIECE


def test_a_large_answer_is_whole_for_who_takes_it(serve: Serve) -> None:
    at = serve(PATIENT)
    ((status, body),) = answers(at, at.get(at.large, headers="Connection: close\r\n"))
    assert (status, len(body) >= LARGE * PIECE) == (200, True)


def test_an_older_version_of_http_is_answered_and_closed(serve: Serve) -> None:
    at = serve(PATIENT)
    assert [status for status, _ in answers(at, at.get(version="1.0"))] == [200]


@pytest.mark.parametrize("name", [API, METRICS])
def test_who_asks_for_the_head_alone_gets_it(name: str, folder: Path) -> None:
    with served(name, TCP, PATIENT, folder) as at, at.connect() as connection:
        connection.sendall(at.get(method="HEAD", headers="Connection: close\r\n"))
        head, _, body = rest_of(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert body == b""


def test_a_body_is_waited_for_only_once_it_is_wanted(folder: Path) -> None:
    size = 2 * READ_AHEAD_BYTES_MAX
    limits = Limits(connections_max=4, head_s=30, body_bytes_max=size)
    with served(API, TCP, limits, folder) as at, at.connect() as connection:
        headers = f"Content-Length: {size}\r\nExpect: 100-continue\r\nConnection: close\r\n"
        connection.sendall(at.get(method="POST", headers=headers))
        assert connection.recv(1_000).startswith(b"HTTP/1.1 100 ")
        connection.sendall(bytes(size))
        assert rest_of(connection).endswith(str(size).encode())


def test_an_answer_that_goes_out_before_the_body_is_in_is_whole(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "LINGER_S", SOON_S)
    at = serve(WITH_BODIES)
    with at.connect(receive_bytes=4_096) as connection:
        connection.sendall(at.get(at.large, headers="Content-Length: 9\r\nConnection: close\r\n") + b"123")
        assert len(rest_of(connection)) > LARGE * PIECE


# --- what is counted, and what every answer says ---

REFUSED: dict[str, tuple[bytes, int]] = {
    "malformed": (b"?\r\n\r\n", 400),
    "head": (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * (2 * PATIENT.head_bytes_max) + b"\r\n\r\n", 431),
    "large body": (b"POST /v1/short HTTP/1.1\r\nHost: a\r\nContent-Length: 9999\r\n\r\n", 413),
    "slow body": (b"POST /v1/short HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n123", 408),
    "bad chunk": (b"POST /v1/short HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
}


@pytest.mark.parametrize("what", REFUSED)
def test_each_answer_counts_once_and_with_its_status(what: str, folder: Path) -> None:
    sent, status = REFUSED[what]
    counted: list[int] = []
    limits = Limits(connections_max=4, head_s=30, body_bytes_max=BODY_MAX, body_s=SOON_S)
    with served(API, TCP, limits, folder, lambda scope, status, took_s: counted.append(status)) as at:
        assert [status for status, _ in answers(at, at.get() + sent)] == [200, status]
    assert counted == [200, status]


def test_who_finds_no_place_counts(folder: Path) -> None:
    counted: list[int] = []
    with ExitStack() as stack:
        at = stack.enter_context(
            served(API, TCP, PATIENT, folder, lambda scope, status, took_s: counted.append(status))
        )
        for _ in range(3):
            stack.enter_context(at.connect())
        assert code(answers(at, at.get())[0]) == (503, "back_pressure")
    assert counted == [503]


@pytest.mark.parametrize("sent", [None, b"?\r\n\r\n", b"GET /nothing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"])
def test_every_answer_says_that_its_type_is_not_to_be_guessed(serve: Serve, sent: bytes | None) -> None:
    at = serve(PATIENT)
    with at.connect() as connection:
        connection.sendall(sent or at.get(headers="Connection: close\r\n"))
        head = rest_of(connection).partition(b"\r\n\r\n")[0].lower()
    assert head.count(b"x-content-type-options: nosniff") == 1
    assert head.count(b"date: ") == 1
