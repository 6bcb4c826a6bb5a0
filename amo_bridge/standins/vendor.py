"""Stand-in: a vendor's addresses, its own words for refusals, its webhooks with their repeats."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import requests
from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from amo_bridge.standins.faults import WEBHOOK_FAULTS, VendorFaults
from amo_bridge.standins.timeline import Timeline

WEBHOOK_TIMEOUT_SECONDS = 10
MOST_KEPT = 2000


@dataclass(frozen=True)
class VendorWebhook:
    """``event``: its name, by which faults find it. ``forged``: the headers with a wrong proof;
    ``forged_body``: the body with one, where the proof stands there."""

    event: str
    url: str
    body: bytes
    headers: Mapping[str, str]
    forged: Mapping[str, str] = field(default_factory=dict)
    method: str = "POST"
    forged_body: bytes = b""


@dataclass(frozen=True)
class WebhookAttempt:
    """One try to deliver. ``status``: None if nobody answered; then ``answer`` says why."""

    number: int
    vendor: str
    event: str
    url: str
    body: bytes
    headers: Mapping[str, str]
    attempt: int
    at: float
    status: int | None
    answer: str

    def shown(self) -> dict[str, Any]:
        """For the controls."""
        return {**vars(self), "body": self.body.decode("utf-8", "replace"), "headers": dict(self.headers)}


@dataclass(frozen=True)
class VendorCall:
    """A request that came in, as the log keeps it."""

    number: int
    method: str
    path: str
    parameters: Mapping[str, str]


@dataclass(frozen=True)
class ActionField:
    """A field of a form. ``choices``: value → what people call it."""

    name: str
    title: str
    default: str = ""
    choices: Mapping[str, str] = field(default_factory=dict)
    is_long: bool = False


@dataclass(frozen=True)
class ClientAction:
    """What a client can do at a vendor. ``do(fields)`` returns what has happened, in words (Russian), or raises
    ValueError."""

    name: str
    title: str
    fields: tuple[ActionField, ...]
    do: Callable[[Mapping[str, str]], str]


class StandIn:
    """One vendor. Subclasses add their addresses in ``register``, and say refusals in the vendor's words."""

    name: ClassVar[str]
    title: ClassVar[str]
    hint: ClassVar[str] = ""
    """What an admin does to connect the bridge (Russian)."""
    pasted: ClassVar[tuple[str, ...]] = ()
    """Settings that a person pastes into the vendor's cabinet; the others the bridge sets, or they are given."""
    repeats: ClassVar[tuple[float, ...]] = ()
    """Seconds until the next try of a webhook that was not accepted."""

    def __init__(self, timeline: Timeline, faults: VendorFaults) -> None:
        self.timeline = timeline
        self.faults = faults
        self.url = ""
        self.attempts: list[WebhookAttempt] = []
        self.requests: list[VendorCall] = []
        self._numbers = itertools.count(1)
        self._held: list[VendorWebhook] = []

    def register(self, routes: Blueprint) -> None:
        """Add the vendor's addresses."""
        raise NotImplementedError

    def limited(self) -> ResponseReturnValue:
        """«Too often», as the vendor says it."""
        raise NotImplementedError

    def unauthorised(self) -> ResponseReturnValue:
        """«Wrong key», as the vendor says it."""
        raise NotImplementedError

    def is_accepted(self, status: int, answer: str) -> bool:
        """Has the webhook been taken?"""
        return 200 <= status < 300

    def repeat_headers(self, attempt: int) -> Mapping[str, str]:
        """What a repeat of a webhook carries beside."""
        return {}

    def settings(self) -> dict[str, Any]:
        """Keys, webhook address and whatever an admin needs to connect; for the page and the controls."""
        return {}

    def configure(self, settings: Mapping[str, Any]) -> None:
        """What the vendor's cabinet sets. Raises ValueError (Russian)."""
        raise ValueError(f"{self.title}: в кабинете ничего не настраивается")

    def actions(self) -> tuple[ClientAction, ...]:
        """What a client can do here."""
        return ()

    def log_request(self, path: str) -> None:
        """Keep what was asked."""
        self.requests.append(
            VendorCall(next(self._numbers), request.method, path, {**request.args.to_dict(), **request.form.to_dict()})
        )
        del self.requests[:-MOST_KEPT]

    def send(self, webhook: VendorWebhook, after: float = 0) -> None:
        """Deliver it in so many seconds; faults and repeats included."""
        fault = self.faults.strike(WEBHOOK_FAULTS, self.name, webhook.event)
        kind = fault.kind if fault else ""
        if kind == "hook_drop":
            return
        if kind == "hook_reorder":
            self._held.append(webhook)
            return
        if kind == "hook_wrong_proof":
            headers, body = {**webhook.headers, **webhook.forged}, webhook.forged_body or webhook.body
            webhook = VendorWebhook(webhook.event, webhook.url, body, headers)
        times = 2 if kind == "hook_duplicate" else 1
        delay = after + (fault.seconds if fault and kind == "hook_delay" else 0)
        held, self._held = self._held, []
        for one in (*[webhook] * times, *held):
            self.timeline.at(delay, self._delivery(one, 1), asks_others=True)

    def _delivery(self, webhook: VendorWebhook, attempt: int) -> Callable[[], None]:
        def deliver() -> None:
            status, answer = self.post(webhook, attempt)
            is_taken = status is not None and self.is_accepted(status, answer)
            if not is_taken and attempt <= len(self.repeats):
                self.timeline.at(self.repeats[attempt - 1], self._delivery(webhook, attempt + 1), asks_others=True)

        return deliver

    def post(self, webhook: VendorWebhook, attempt: int = 1) -> tuple[int | None, str]:
        """Ask at once: (status, answer); (None, why) if nobody answered."""
        headers = {**webhook.headers, **(self.repeat_headers(attempt) if attempt > 1 else {})}
        status: int | None = None
        try:
            answered = requests.request(
                webhook.method,
                webhook.url,
                data=webhook.body,
                headers=headers,
                timeout=WEBHOOK_TIMEOUT_SECONDS,
                allow_redirects=False,
            )
            status, answer = answered.status_code, answered.text
        except requests.RequestException as error:
            answer = type(error).__name__
        with self.timeline.lock:
            number = next(self._numbers)
            self.attempts.append(
                WebhookAttempt(
                    number,
                    self.name,
                    webhook.event,
                    webhook.url,
                    webhook.body,
                    headers,
                    attempt,
                    self.timeline.now(),
                    status,
                    answer,
                )
            )
            del self.attempts[:-MOST_KEPT]
        return status, answer


def known_settings(settings: Mapping[str, Any], known: Sequence[str]) -> None:
    """Raises ValueError (Russian) for a key that isn't known."""
    for name in settings:
        if name not in known:
            raise ValueError(f"{name}: такого ключа нет; есть {', '.join(known)}")
