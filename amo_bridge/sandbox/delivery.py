"""Sends the account's webhooks: what a request changed becomes bodies, the bodies go to whoever subscribed."""

from __future__ import annotations

import itertools
import threading
import uuid
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from flask import Flask, Response, g, has_request_context

from amo_bridge.sandbox import faults
from amo_bridge.sandbox.changes import Change
from amo_bridge.sandbox.digital_pipeline import pipeline_hooks
from amo_bridge.sandbox.faults import Faults
from amo_bridge.sandbox.webhook_bodies import hooks_of
from amo_bridge.sandbox.webhook_entities import HookAccount
from amo_bridge.sandbox.webhook_sender import Parcel, WebhookSender
from amo_bridge.sandbox.world import World

EXTENSION = "sandbox.delivery"
INVALID_WINDOW = 2 * 3600
INVALID_ALLOWED = 100
"""More invalid answers within two hours than this switch a webhook off (amoCRM docs, webhooks-format)."""


class Delivery:
    """From changes to parcels, and what answers mean for the webhook."""

    def __init__(self, world: World, weather: Faults) -> None:
        self._world = world
        self._weather = weather
        self._account = HookAccount(world)
        self._numbers = itertools.count(1)
        self._guard = threading.Lock()
        self._invalid: defaultdict[int, deque[int]] = defaultdict(deque)
        self.courier = WebhookSender(world.clock, self._is_wanted, self._answered)

    def changed(self, change: Change) -> None:
        """Listens to the world: changes of one request are gathered, any other is sent by itself."""
        self._account.remember(change)
        if has_request_context():
            g.setdefault("sandbox_changes", []).append(change)
        else:
            self.send_for([change])

    def send_for(self, changes: Sequence[Change]) -> None:
        """Queues the hooks of changes that belong together."""
        with self._world.lock:
            parcels = [*self._account_parcels(changes), *self._pipeline_parcels(changes)]
        self.courier.send(itertools.chain.from_iterable(self._weathered(one) for one in parcels))

    def forget(self) -> None:
        """Throws away the queue, the log and the counts of bad answers."""
        self.courier.forget()
        with self._guard:
            self._invalid.clear()

    def _account_parcels(self, changes: Sequence[Change]) -> Iterator[Parcel]:
        subscribed = [hook for hook in self._world.table("webhooks").values() if not hook["disabled"]]
        if not subscribed:
            return
        for hook in hooks_of(changes, self._account):
            for webhook in subscribed:
                if hook.setting in webhook["settings"]:
                    yield self._parcel(webhook["id"], webhook["destination"], hook.setting, hook.body)

    def _pipeline_parcels(self, changes: Iterable[Change]) -> Iterator[Parcel]:
        for change in changes:
            for destination, name, body in pipeline_hooks(change, self._world):
                yield replace(self._parcel(None, destination, name, body), is_once=True)

    def _parcel(self, webhook_id: int | None, destination: str, setting: str, body: bytes) -> Parcel:
        return Parcel(next(self._numbers), webhook_id, destination, setting, body, str(uuid.uuid4()))

    def _weathered(self, parcel: Parcel) -> list[Parcel]:
        """What becomes of a parcel under the faults that are switched on."""
        fault = self._weather.for_hook(parcel.setting)
        if fault is None:
            return [parcel]
        now = self._world.clock.now()
        if fault.kind == "hook_duplicate":
            return [parcel, replace(parcel, request_id=str(uuid.uuid4()))]
        if fault.kind in ("hook_delay", "hook_reorder"):
            is_held = fault.kind == "hook_reorder"
            return [replace(parcel, due_at=now + fault.seconds, is_held=is_held)]
        self.courier.log.add(parcel, now, "lost", error=f"fault {fault.kind}")
        return []

    def _is_wanted(self, parcel: Parcel) -> bool:
        if parcel.webhook_id is None:
            return True
        with self._world.lock:
            webhook = self._world.table("webhooks").get(parcel.webhook_id)
            return webhook is not None and not webhook["disabled"]

    def _answered(self, parcel: Parcel, is_valid: bool) -> None:
        if is_valid or parcel.webhook_id is None:
            return
        now = self._world.clock.now()
        with self._guard:
            times = self._invalid[parcel.webhook_id]
            times.append(now)
            while times[0] <= now - INVALID_WINDOW:
                times.popleft()
            is_too_much = len(times) > INVALID_ALLOWED
            if is_too_much:
                times.clear()
        if is_too_much:
            self._disable(parcel.webhook_id)

    def _disable(self, webhook_id: int) -> None:
        with self._world.lock:
            webhooks = self._world.table("webhooks")
            if webhook_id in webhooks:
                webhooks[webhook_id] = {**webhooks[webhook_id], "disabled": True}
                self._world.save()


def of(app: Flask) -> Delivery:
    delivery: Delivery = app.extensions[EXTENSION]
    return delivery


def register(app: Flask, world: World) -> None:
    delivery = Delivery(world, faults.of(app))
    app.extensions[EXTENSION] = delivery
    world.subscribe(delivery.changed)

    @app.after_request
    def send_hooks(answer: Response) -> Response:
        changes: list[Change] = g.pop("sandbox_changes", [])
        if changes:
            delivery.send_for(changes)
        return answer


def counts(delivery: Delivery) -> dict[str, Any]:
    """How many attempts ended how, and what still waits."""
    waiting = delivery.courier.waiting()
    return {
        "outcomes": delivery.courier.log.outcomes(),
        "waiting": len(waiting),
        "next_attempt_at": waiting[0].due_at if waiting else None,
    }
