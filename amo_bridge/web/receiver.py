"""Short way of amoCRM's webhooks: taken in where connections are read, without a thread or Flask.

Only what is plainly a webhook with a right secret goes this way; everything else, refusals too, is left to
``web/webhooks.py``. What is said here is byte for byte what is said there (tests/web/test_receiver.py).
"""

from __future__ import annotations

from collections.abc import Callable
from queue import Empty, SimpleQueue
from time import perf_counter
from typing import BinaryIO

from amo_bridge.engine.inbox import PATIENCE
from amo_bridge.errors import StoreUnavailable
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.logs import log
from amo_bridge.runtime.account import AccountRuntime
from amo_bridge.runtime.host import Application

HOOKS = "/hooks/amocrm/"
# A bulk move of 250 deals with all their fields is some 1–2 MB.
MOST_BYTES = 8 * 1024 * 1024
NOT_KEPT, COME_AGAIN = "база не отвечает", {"Retry-After": "60"}

# Nothing but our own files. Pico's pictures (arrows, check marks) are data: inside its style sheet.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
}
"""What every answer tells the browser not to do."""


@dataclass(frozen=True)
class HookAnswer:
    status: str
    headers: dict[str, str]
    body: bytes = b""


TAKEN = HookAnswer(
    "204 NO CONTENT", {"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store", **HEADERS}
)
REFUSED = HookAnswer(
    "503 SERVICE UNAVAILABLE",
    {"Content-Type": "text/plain; charset=utf-8", **COME_AGAIN, **HEADERS},
    NOT_KEPT.encode(),
)


class HookReceiver:
    """See ``server.connections.ShortWay``."""

    longest_wait = PATIENCE

    def __init__(self, application: Application) -> None:
        self._application = application

    def way_for(self, path: str, length: int) -> Hook | None:
        """``path``: as WSGI has it, in Latin-1."""
        secret = path[len(HOOKS) :]
        if not path.startswith(HOOKS) or length > MOST_BYTES or "/" in secret or not secret.isascii():
            return None
        account = self._application.receiver(secret)
        return None if account is None else Hook(account)

    def answer_now(self, path: str, stream: BinaryIO) -> HookAnswer | None:
        """Take in a webhook in a thread of its own, which waits; None if that can't be done now."""
        if self.way_for(path, 0) is None:
            return None
        body = stream.read(MOST_BYTES + 1)
        hook = self.way_for(path, len(body))
        if hook is None:
            stream.seek(0)
            return None
        answers: SimpleQueue[HookAnswer] = SimpleQueue()
        hook.take(body, answers.put)
        try:
            answer = answers.get(timeout=self.longest_wait)
        except Empty:
            answer = hook.late()
        hook.answered(answer.status)
        return answer


class Hook:
    """One webhook on its way into the inbox of the account whose secret it knew."""

    def __init__(self, account: AccountRuntime) -> None:
        self._account = account
        self._began = perf_counter()

    def take(self, body: bytes, answer: Callable[[HookAnswer], None]) -> None:
        """``answer`` is called by the inbox's writer when the bytes are on disk, or are known not to be."""

        def settle(result: None, error: Exception | None) -> None:
            answer(TAKEN if error is None else self._refused(error))

        self._account.put_later(body, settle)

    def late(self) -> HookAnswer:
        """It has waited for its time. It may still be committed a moment later; a repeated hook is recognised."""
        return self._refused(StoreUnavailable("база не ответила за отведённое время"))

    def _refused(self, error: Exception) -> HookAnswer:
        log.error("hook not accepted", error=str(error))
        return REFUSED

    def answered(self, status: str) -> None:
        """Count it: the answer is about to be sent."""
        self._account.meters.hook_answered(int(status[:3]), perf_counter() - self._began)
