"""Connections of the working process: waitress in one thread, with time limits and limits of memory.

What waitress leaves open is added here: time limits of headers, bodies and answers, a limit of connections and of the
bytes that wait in memory and on disk, worker threads that only hooks and health checks get, an end in order.
"""

from __future__ import annotations

import errno
import logging
import os
import resource
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol, cast

from gunicorn.workers.base import Worker
from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher
from waitress.utilities import build_http_date

log = logging.getLogger(__name__)

# Worker threads. Pages may be slow, and an upload may be meant to be: amoCRM waits two seconds for an answer, and
# whoever asks whether the process lives kills it when it does not say so.
PAGE_THREADS, HOOK_THREADS = 8, 4
AT_ONCE = ("/hooks/", "/in/", "/health")

# Seconds. A person's browser sends a header in one piece; only an attack, or a broken line, needs longer.
IDLE, HEADER = 15.0, 10.0
# A body or an answer may take so long, and longer as long as it moves at this pace (bytes a second).
TRANSFER, PACE = 20.0, 4 * 1024

MOST_CONNECTIONS = 4000
MOST_HEADER = 32 * 1024
# Three files of a webinar, and the form around them. Each page has a smaller limit of its own.
MOST_BODY = 61 * 1024 * 1024
# Of all bodies that are being received or wait for a thread, together.
MOST_BUFFERED = 256 * 1024 * 1024
# The whole answer is taken over from the worker thread, however slowly it is read: the largest is some megabytes.
MOST_ANSWER = 256 * 1024 * 1024

# File descriptors: what the bridge itself needs, and the bodies and answers that lie in temporary files.
OWN_DESCRIPTORS, WANTED_DESCRIPTORS = 1024, MOST_CONNECTIONS + 2048
# How many are accepted in one turn of the loop, and how many more than allowed there may be before all are refused.
ACCEPTED_AT_ONCE, SPARE = 64, 128
# Seconds for requests on their way when the process is to end; what amoCRM is asked has its own time afterwards.
DRAIN = 10.0

BUSY = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Answer(Protocol):
    @property
    def status(self) -> str: ...

    @property
    def headers(self) -> Mapping[str, str]: ...

    @property
    def body(self) -> bytes: ...


class ShortRequest(Protocol):
    """A request on the short way. All but ``answer`` is called in the thread of the connections."""

    def take(self, body: bytes, answer: Callable[[Any], None]) -> None:
        """Begin to work at it; returns at once. ``answer`` may be called by any thread, once."""

    def late(self) -> Answer:
        """What is said when it was not answered in time."""

    def answered(self, status: str) -> None:
        """The answer is about to be sent to the client."""


class ShortWay(Protocol):
    """What answers some requests without a worker thread and without WSGI: amoCRM's webhooks. ``longest_wait``: seconds
    that such a request may wait for its answer."""

    @property
    def longest_wait(self) -> float: ...

    def way_for(self, path: str, length: int) -> ShortRequest | None:
        """None: this POST goes the usual way."""


class WaitressWorker(Worker):
    """gunicorn's arbiter starts it, watches it and starts it again; waitress serves."""

    def run(self) -> None:
        (listening,) = self.sockets
        short_way: ShortWay | None = getattr(self.wsgi, "short_way", None)
        server = Server(self.wsgi, cast(Any, listening).sock, most_connections(), short_way)
        while self.alive and self.ppid == os.getppid():
            self.notify()
            server.turn()
        server.stop_listening()
        until = time.monotonic() + DRAIN
        while server.is_working and time.monotonic() < until:
            self.notify()
            server.turn()
        server.end()

    def handle_exit(self, sig: int, frame: Any) -> None:
        """SIGTERM. The loop looks at ``alive`` at least once a second."""
        self.alive = False


def most_connections() -> int:
    """How many connections this process has descriptors for, after asking for more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(WANTED_DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    if soft == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return min(MOST_CONNECTIONS, max(soft // 3, soft - OWN_DESCRIPTORS))


class Connection(HTTPChannel):  # type: ignore[misc]
    """``free_since``: since when it has had nothing to do for us; ``began``: when the request that is being received
    began; ``answered``: since when its answer waits to be read, and how long it was then."""

    will_close: bool
    requests: list[HTTPRequestParser]

    def __init__(self, *arguments: Any, **more: Any) -> None:
        self.free_since = time.monotonic()
        self.began = self.free_since
        self.answered: tuple[float, int] | None = None
        super().__init__(*arguments, **more)

    def received(self, data: bytes) -> bool:
        if self.request is None:
            self.began = time.monotonic()
        return bool(super().received(data))

    def service(self) -> None:
        super().service()
        self.free_since = time.monotonic()

    @property
    def is_worked_at(self) -> bool:
        """Is a request of it whole, and not answered yet? Then nothing depends on the client."""
        return bool(self.requests)

    @property
    def is_receiving_body(self) -> bool:
        return self.request is not None and bool(self.request.headers_finished)

    @property
    def buffered(self) -> int:
        """The bytes of bodies that are kept for it."""
        waiting = list(self.requests)
        if self.request is not None:
            waiting.append(self.request)
        return sum(request.body_bytes_received for request in waiting)

    def is_too_slow(self, now: float) -> bool:
        if self.is_worked_at:
            self.answered = None
            return False
        if self.total_outbufs_len:
            since, length = self.answered = self.answered or (now, self.total_outbufs_len)
            return now > since + TRANSFER + length / PACE
        self.answered = None
        request = self.request
        if request is None:
            return now > self.free_since + IDLE
        if request.headers_finished:
            return bool(now > self.began + HEADER + TRANSFER + request.body_bytes_received / PACE)
        # Empty lines begin a header anew for ever: what counts is when it had nothing to do.
        return now > min(self.began, self.free_since + IDLE) + HEADER

    def tell(self, request: HTTPRequestParser, answer: Answer) -> None:
        """Answer the oldest request. In the loop's own thread."""
        is_last = request.connection_close or request.version != "1.1"
        if self.connected:
            head = _head(request.version if request.version in ("1.0", "1.1") else "1.0", answer, is_last=is_last)
            with self.outbuf_lock:
                self.outbufs[-1].append(head + answer.body)
                self.total_outbufs_len += len(head) + len(answer.body)
            self._flush_exception(self._flush_some)
        request.close()
        with self.requests_lock:
            if is_last:
                self.close_when_flushed = True
                for waiting in self.requests[1:]:
                    waiting.close()
                self.requests = []
            else:
                self.requests.pop(0)
                if self.connected and self.requests:
                    self.server.add_task(self)
                elif self.connected and self._waits_for_continue:
                    self.send_continue()
        self.last_activity = time.time()
        self.free_since = time.monotonic()

    @property
    def _waits_for_continue(self) -> bool:
        request = self.request
        return request is not None and request.expect_continue and request.headers_finished and not self.sent_continue

    def give_up(self, answer: bytes) -> None:
        """Close it in the next turn of the loop: its descriptor must not be given to another within this one."""
        if not self.will_close:
            if not self.total_outbufs_len and not self.is_worked_at and self.request is not None:
                _tell(self.socket, answer)
            self.will_close = True


class Waiting:
    """A request that went the short way and has no answer yet. ``until``: when it must have one."""

    __slots__ = ("answer", "connection", "parsed", "request", "until")

    def __init__(self, connection: Connection, parsed: HTTPRequestParser, request: ShortRequest, until: float) -> None:
        self.connection, self.parsed, self.request, self.until = connection, parsed, request, until
        self.answer: Answer | None = None


class Server(TcpWSGIServer):  # type: ignore[misc]
    """The connections of one listening socket. ``most``: how many there may be."""

    channel_class = Connection

    def __init__(self, application: Any, listener: socket.socket, most: int, short_way: ShortWay | None = None) -> None:
        self._most = most
        self._short_way = short_way
        # In the order in which they came, so also of their ends.
        self._waiting: deque[Waiting] = deque()
        self._settled: list[tuple[Waiting, Answer]] = []
        self._settled_guard = threading.Lock()
        self._at_once = ThreadedTaskDispatcher()
        self._pages = ThreadedTaskDispatcher()
        self._looked = 0.0
        self._told_full = 0.0
        # How long the queue is, it would say for each request.
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)
        adjustments = Adjustments(
            sockets=[listener],
            ident="",
            max_request_header_size=MOST_HEADER,
            max_request_body_size=MOST_BODY,
            outbuf_high_watermark=MOST_ANSWER,
            # Flask's own ProxyFix reads them, if there is a proxy to be believed.
            clear_untrusted_proxy_headers=False,
            log_socket_errors=False,
        )
        name = (listener.family, listener.type, listener.proto, listener.getsockname())
        super().__init__(
            application,
            map={},
            _sock=listener,
            dispatcher=self._pages,
            adj=adjustments,
            sockinfo=name,
            bind_socket=False,
        )
        self._at_once.set_thread_count(HOOK_THREADS)
        self._pages.set_thread_count(PAGE_THREADS)

    def turn(self) -> None:
        """Wait up to a second for something to do, and do it."""
        if time.monotonic() > self._looked + 1:
            self._looked = time.monotonic()
            self.look_for_slow()
        wasyncore.loop(timeout=self._pause(), use_poll=True, map=self._map, count=1)
        self._tell_settled()

    def readable(self) -> bool:
        return bool(self.accepting)

    def handle_accept(self) -> None:
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                accepted = self.socket.accept()
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE):
                    self._make_room()
                return
            self._let_in(*accepted)

    def _let_in(self, connection: socket.socket, address: Any) -> None:
        many = len(self.active_channels)
        if many >= self._most:
            self._make_room()
        if many >= self._most + SPARE:
            _tell(connection, BUSY)
            connection.close()
            return
        try:
            self.set_socket_options(connection)
            self.channel_class(self, connection, self.fix_addr(address), self.adj, map=self._map)
        except OSError:
            # It is gone already.
            connection.close()

    def _make_room(self) -> None:
        """Give up those that have sent nothing whole for the longest time: whoever means it sends his header at once,
        so he is let in, however many hold connections open."""
        if time.monotonic() > self._told_full + 60:
            self._told_full = time.monotonic()
            log.warning("connections are full (%d): those that send nothing are closed", self._most)
        idle = [one for one in self._channels() if not (one.is_worked_at or one.is_receiving_body or one.will_close)]
        idle.sort(key=lambda one: one.free_since)
        for one in idle[: max(1, self._most // 20)]:
            one.give_up(BUSY)

    def add_task(self, task: Connection) -> None:
        path = getattr(task.requests[0], "path", "")
        if self._goes_short_way(task, path):
            return
        (self._at_once if path.startswith(AT_ONCE) else self._pages).add_task(task)

    # --- the short way ---

    def _goes_short_way(self, connection: Connection, path: str) -> bool:
        parsed = connection.requests[0]
        if self._short_way is None or parsed.error or parsed.command != "POST":
            return False
        request = self._short_way.way_for(path, parsed.body_bytes_received)
        if request is None:
            return False
        waiting = Waiting(connection, parsed, request, time.monotonic() + self._short_way.longest_wait)
        self._waiting.append(waiting)
        request.take(parsed.get_body_stream().read(), lambda answer: self._settle(waiting, answer))
        return True

    def _settle(self, waiting: Waiting, answer: Answer) -> None:
        """By whoever knows the answer; it is told in the loop's own thread, which is woken once for many."""
        with self._settled_guard:
            self._settled.append((waiting, answer))
            is_first = len(self._settled) == 1
        if is_first:
            try:
                self.pull_trigger()
            except OSError:
                # The server is at its end.
                return

    def _pause(self) -> float:
        """Seconds until something must be looked at."""
        waiting = self._waiting
        return min(1.0, max(0.0, waiting[0].until - time.monotonic())) if waiting else 1.0

    def _tell_settled(self) -> None:
        with self._settled_guard:
            settled, self._settled = self._settled, []
        for waiting, answer in settled:
            self._tell_answer(waiting, answer)
        while self._waiting and (self._waiting[0].answer or self._waiting[0].until <= time.monotonic()):
            waiting = self._waiting.popleft()
            if waiting.answer is None:
                self._tell_answer(waiting, waiting.request.late())

    def _tell_answer(self, waiting: Waiting, answer: Answer) -> None:
        # It may have been told already that it was too late.
        if waiting.answer is None:
            waiting.answer = answer
            waiting.request.answered(answer.status)
            waiting.connection.tell(waiting.parsed, answer)

    def look_for_slow(self) -> None:
        """Give up what is too slow, and the largest bodies when they are too much together."""
        now = time.monotonic()
        for one in self._channels():
            if one.is_too_slow(now):
                one.give_up(TOO_SLOW)
                # Whoever reads nothing would never be ready to be told of the end.
                one.handle_close()
        kept = sum(one.buffered for one in self._channels())
        if kept > MOST_BUFFERED:
            log.warning("bodies of %d bytes are waiting: the largest unfinished ones are refused", kept)
            for one in sorted(self._channels(), key=lambda one: -one.buffered):
                if kept > MOST_BUFFERED and not one.is_worked_at:
                    kept -= one.buffered
                    one.give_up(BUSY)

    # --- the end ---

    def stop_listening(self) -> None:
        """Let nobody in, and let go who has sent nothing whole."""
        self.accepting = False
        self.del_channel()
        self.socket.close()
        for one in self._channels():
            if not one.is_worked_at and not one.total_outbufs_len:
                one.will_close = True

    @property
    def is_working(self) -> bool:
        """Is there anything to answer still?"""
        return any(one.is_worked_at or one.total_outbufs_len for one in self._channels())

    def end(self) -> None:
        for dispatcher in (self._at_once, self._pages):
            dispatcher.shutdown(timeout=1)
        wasyncore.close_all(self._map)

    def _channels(self) -> Iterator[Connection]:
        return iter(list(self.active_channels.values()))


def _head(version: str, answer: Answer, *, is_last: bool) -> bytes:
    """Status line and headers as waitress writes them."""
    headers = {**answer.headers, "Date": build_http_date(time.time())}
    if not answer.status.startswith("204"):
        headers["Content-Length"] = str(len(answer.body))
    if is_last:
        headers["Connection"] = "close"
    lines = [f"HTTP/{version} {answer.status}", *(f"{name}: {headers[name]}" for name in sorted(headers))]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _tell(connection: socket.socket, answer: bytes) -> None:
    """Say it if there is room for it: nobody is waited for."""
    try:
        connection.setblocking(False)
        connection.send(answer)
    except OSError:
        return
