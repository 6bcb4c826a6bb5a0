"""Webhooks for changes: one request's bodies to every subscription that wants them."""

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
from amo_bridge.sandbox.webhook_sender import OutgoingWebhook, WebhookSender
from amo_bridge.sandbox.world import World

EXTENSION = "sandbox.delivery"
INVALID_WINDOW_SECONDS = 2 * 3600
MAX_INVALID_ANSWERS = 100
"""More invalid answers within two hours than this switch a webhook off (amoCRM docs, webhooks-format)."""


class Delivery:
    """Turns changes into webhooks, and disables a subscription after too many invalid answers."""

    def __init__(self, world: World, faults: Faults) -> None:
        self._world = world
        self._faults = faults
        self._account = HookAccount(world)
        self._numbers = itertools.count(1)
        self._guard = threading.Lock()
        self._invalid: defaultdict[int, deque[int]] = defaultdict(deque)
        self.sender = WebhookSender(world.clock, self._is_wanted, self._answered)

    def changed(self, change: Change) -> None:
        """Gather the changes of one request; send for any other at once. Listener of the world."""
        self._account.remember(change)
        if has_request_context():
            g.setdefault("sandbox_changes", []).append(change)
        else:
            self.send_for([change])

    def send_for(self, changes: Sequence[Change]) -> None:
        """Queues the hooks of changes that belong together."""
        with self._world.lock:
            webhooks = [*self._account_webhooks(changes), *self._pipeline_webhooks(changes)]
        self.sender.send(itertools.chain.from_iterable(self._with_faults(webhook) for webhook in webhooks))

    def forget(self) -> None:
        """Throws away the queue, the log and the counts of bad answers."""
        self.sender.forget()
        with self._guard:
            self._invalid.clear()

    def _account_webhooks(self, changes: Sequence[Change]) -> Iterator[OutgoingWebhook]:
        subscriptions = [hook for hook in self._world.table("webhooks").values() if not hook["disabled"]]
        if not subscriptions:
            return
        for hook in hooks_of(changes, self._account):
            for subscription in subscriptions:
                if hook.setting in subscription["settings"]:
                    yield self._webhook(subscription["id"], subscription["destination"], hook.setting, hook.body)

    def _pipeline_webhooks(self, changes: Iterable[Change]) -> Iterator[OutgoingWebhook]:
        for change in changes:
            for destination, name, body in pipeline_hooks(change, self._world):
                yield replace(self._webhook(None, destination, name, body), is_once=True)

    def _webhook(self, webhook_id: int | None, destination: str, setting: str, body: bytes) -> OutgoingWebhook:
        return OutgoingWebhook(next(self._numbers), webhook_id, destination, setting, body, str(uuid.uuid4()))

    def _with_faults(self, webhook: OutgoingWebhook) -> list[OutgoingWebhook]:
        """What becomes of a webhook under the faults that are switched on."""
        fault = self._faults.for_hook(webhook.setting)
        if fault is None:
            return [webhook]
        now = self._world.clock.now()
        if fault.kind == "hook_duplicate":
            return [webhook, replace(webhook, request_id=str(uuid.uuid4()))]
        if fault.kind in ("hook_delay", "hook_reorder"):
            is_held = fault.kind == "hook_reorder"
            return [replace(webhook, due_at=now + fault.seconds, is_held=is_held)]
        self.sender.log.add(webhook, now, "lost", error=f"fault {fault.kind}")
        return []

    def _is_wanted(self, webhook: OutgoingWebhook) -> bool:
        if webhook.webhook_id is None:
            return True
        with self._world.lock:
            subscription = self._world.table("webhooks").get(webhook.webhook_id)
            return subscription is not None and not subscription["disabled"]

    def _answered(self, webhook: OutgoingWebhook, is_valid: bool) -> None:
        if is_valid or webhook.webhook_id is None:
            return
        now = self._world.clock.now()
        with self._guard:
            times = self._invalid[webhook.webhook_id]
            times.append(now)
            while times[0] <= now - INVALID_WINDOW_SECONDS:
                times.popleft()
            is_too_much = len(times) > MAX_INVALID_ANSWERS
            if is_too_much:
                times.clear()
        if is_too_much:
            self._disable(webhook.webhook_id)

    def _disable(self, webhook_id: int) -> None:
        with self._world.lock:
            subscriptions = self._world.table("webhooks")
            if webhook_id in subscriptions:
                subscriptions[webhook_id] = {**subscriptions[webhook_id], "disabled": True}
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
    waiting = delivery.sender.waiting()
    return {
        "outcomes": delivery.sender.log.outcomes(),
        "waiting": len(waiting),
        "next_attempt_at": waiting[0].due_at if waiting else None,
    }
