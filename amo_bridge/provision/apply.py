"""Taking the steps of a plan: one request each, in an order in which every step finds what it needs.

A step whose answer was lost raises CrmUncertain; the whole is then begun anew by comparing with the account, so that
nothing is created twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

from tenacity import Retrying, retry_if_exception, stop_after_attempt

from amo_bridge.crm.client import CrmClient
from amo_bridge.errors import CrmRefused, CrmTemporary, CrmUncertain
from amo_bridge.provision.plan import (
    NewChoices,
    NewField,
    NewLossReasons,
    NewPipeline,
    NewStage,
    NewTags,
    Step,
    loss_reason_by_hand,
)

PIPELINES = "/api/v4/leads/pipelines"
COLOURS = ("#c1e0ff", "#fffd7f", "#ffdbdb", "#ebffb1", "#f9deff", "#ffeab2", "#d6eaff", "#87f2c0", "#ccc8f9", "#e6e8ea")
"""A choice from amoCRM's fixed list (amoCRM docs, leads_pipelines)."""
MOST_TRIES = 5
FIRST_SORT, SORT_STEP = 20, 10


class CarryOut:
    """Raises CrmError when a step can't be taken: then the rest has not been tried."""

    def __init__(self, client: CrmClient) -> None:
        self._client = client
        self._ways: Mapping[type[Step], Callable[[Any], list[str] | None]] = {
            NewPipeline: self._pipeline,
            NewStage: self._stage,
            NewField: self._field,
            NewChoices: self._choices,
            NewTags: self._tags,
            NewLossReasons: self._loss_reasons,
        }
        self._colour = count()

    def __call__(self, step: Step) -> list[str]:
        """Take the step; what is left of it for people to do (Russian)."""
        return self._ways[type(step)](step) or []

    def _pipeline(self, step: NewPipeline) -> None:
        stages = [
            {"name": name, "sort": FIRST_SORT + SORT_STEP * place, "color": self._next_colour()}
            for place, name in enumerate(step.stages)
        ]
        number = len(list(self._client.pages(PIPELINES, None, "pipelines"))) + 1
        body = {"name": step.name, "sort": number, "is_main": False, "is_unsorted_on": True}
        self._post(PIPELINES, [{**body, "_embedded": {"statuses": stages}}])

    def _stage(self, step: NewStage) -> None:
        body = {"name": step.name, "sort": step.sort, "color": self._next_colour()}
        self._post(f"{PIPELINES}/{step.pipeline.id}/statuses", [body])

    def _field(self, step: NewField) -> None:
        shape = step.wanted.shape
        body: dict[str, Any] = {"name": step.wanted.name, "type": shape.type}
        if shape.choices:
            body["enums"] = [{"value": value, "sort": place} for place, value in enumerate(shape.choices, 1)]
        self._post(f"/api/v4/{step.wanted.entity}/custom_fields", [body])

    def _choices(self, step: NewChoices) -> None:
        # The list that is sent replaces the old one: what is not sent would be gone, and so would deals' values.
        old = [{"id": one.id, "value": one.value, "sort": place} for place, one in enumerate(step.field.enums, 1)]
        new = [{"value": value, "sort": place} for place, value in enumerate(step.choices, len(old) + 1)]
        body = {"id": step.field.id, "enums": old + new}
        self._surely(lambda: self._client.patch(f"/api/v4/{step.field.entity}/custom_fields", [body]))

    def _tags(self, step: NewTags) -> None:
        self._post("/api/v4/leads/tags", [{"name": name} for name in step.names])

    def _loss_reasons(self, step: NewLossReasons) -> list[str]:
        try:
            self._post("/api/v4/leads/loss_reasons", [{"name": name} for name in step.names])
        except CrmRefused:
            return [loss_reason_by_hand(name) for name in step.names]
        return []

    def _post(self, path: str, bodies: list[dict[str, Any]]) -> None:
        self._surely(lambda: self._client.post(path, bodies))

    def _surely(self, send: Callable[[], object]) -> None:
        """Again when amoCRM was only busy; the budget does the waiting. Never when it may have been written."""
        Retrying(retry=retry_if_exception(_was_not_applied), stop=stop_after_attempt(MOST_TRIES), reraise=True)(send)

    def _next_colour(self) -> str:
        return COLOURS[next(self._colour) % len(COLOURS)]


def _was_not_applied(error: BaseException) -> bool:
    return isinstance(error, CrmTemporary) and not isinstance(error, CrmUncertain)
