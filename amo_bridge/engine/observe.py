"""What is different on a deal: a fresh read compared with the mirror.

A hook is a door bell, not a letter: it repeats, overtakes its elder and gets lost. So rules about stages and fields
hear of a change when the deal *is* different, whoever rang and however often.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

from amo_bridge.crm.account import Account
from amo_bridge.crm.field_reader import FieldReader
from amo_bridge.crm.records import DealRecord
from amo_bridge.engine.people import People
from amo_bridge.events import (
    DealAdded,
    DealMoved,
    DealObserved,
    DealReported,
    DealRestored,
    FieldChanged,
    ResponsibleChanged,
    StageEntered,
)
from amo_bridge.mirror.deals import Mirrored

# amoCRM tries to deliver a hook for some hour and a half (amoCRM docs, webhooks-format).
REDELIVERED_WITHIN = timedelta(hours=2)


class Observer:
    """Turns (what was, what is, what the hook said) into observed events. ``secret``: fields whose values
    are not told."""

    def __init__(self, account: Account, people: People, secret: Iterable[str] = ()) -> None:
        self._account = account
        self._people = people
        self._reader = FieldReader(account, secret=secret)

    def changes(self, before: Mirrored | None, now: DealRecord, told: DealReported) -> list[DealObserved]:
        mover = self._mover(now, told)
        common: dict[str, Any] = {
            "at": now.updated_at or told.at,
            "deal_id": now.id,
            # The token's own user is the integration's account: a task for it would be read by nobody.
            "user_id": None if mover == self._account.current_user_id else mover,
            "user_is": self._people.names_of(mover, now),
        }
        return [
            *self._stage(before, now, told, common),
            *self._fields(before, now, told, common),
            *self._owner(before, now, common),
        ]

    def copy(self, before: Mirrored | None, now: DealRecord, told: DealReported) -> Mirrored:
        """What the mirror will know of the deal from now on."""
        moved_at = told.at or now.updated_at or now.created_at
        if before:
            return before.became(now, moved_at)
        # Seen for the first time in mid-life: it has been where it is since nobody knows when.
        return Mirrored(now, moved_at if _came_by(now, told) else now.created_at)

    def _stage(
        self, before: Mirrored | None, now: DealRecord, told: DealReported, common: dict[str, Any]
    ) -> Iterator[StageEntered]:
        stage = (now.pipeline_id, now.status_id)
        came_from: tuple[int, int] | None
        if before is not None:
            came_from = before.stage
            entered = came_from != stage or isinstance(told, DealRestored)
        else:
            came_from = self._told_origin(told) or self._where_it_was_made(told, stage)
            entered = _came_by(now, told)
        if not entered:
            return
        yield StageEntered(
            stage=stage,
            stage_name=self._account.stage_of(*stage).title,
            from_stage=came_from,
            from_stage_name=self._account.stage_of(*came_from).title if came_from else "",
            is_new=before is None and came_from is None and _is_new(now, told),
            **common,
        )

    def _told_origin(self, told: DealReported) -> tuple[int, int] | None:
        """Where a deal that the mirror does not know came from, by the hook's words. Account hooks don't tell the old
        pipeline: it is taken for the present one, if that has such a stage."""
        pipeline = told.old_pipeline_id or told.pipeline_id
        if told.old_status_id is None or pipeline is None or told.old_status_id == told.status_id:
            return None
        known = self._account.has_stage(pipeline, told.old_status_id)
        return (pipeline, told.old_status_id) if known else None

    def _where_it_was_made(self, told: DealReported, stage: tuple[int, int]) -> tuple[int, int] | None:
        """The stage on which a new deal was made that has been moved since, before its «added» was heard of."""
        if not isinstance(told, DealAdded) or told.pipeline_id is None or told.status_id is None:
            return None
        made_on = (told.pipeline_id, told.status_id)
        return made_on if made_on != stage and self._account.has_stage(*made_on) else None

    def _fields(
        self, before: Mirrored | None, now: DealRecord, told: DealReported, common: dict[str, Any]
    ) -> Iterator[FieldChanged]:
        if before is None and not _is_new(now, told):
            # Seen for the first time in mid-life: what is filled now may have been filled a year ago.
            return
        old = self._reader.texts(before.record) if before else {}
        new = self._reader.texts(now)
        for name in [*new, *(gone for gone in old if gone not in new)]:
            if old.get(name) != new.get(name):
                yield FieldChanged(field_name=name, old=old.get(name), new=new.get(name), **common)

    def _owner(self, before: Mirrored | None, now: DealRecord, common: dict[str, Any]) -> Iterator[ResponsibleChanged]:
        if before and before.record.responsible_user_id != now.responsible_user_id:
            yield ResponsibleChanged(
                old=before.record.responsible_user_id,
                new=now.responsible_user_id,
                old_is=self._people.names_of(before.record.responsible_user_id, now),
                new_is=self._people.names_of(now.responsible_user_id, now),
                **common,
            )

    def _mover(self, now: DealRecord, told: DealReported) -> int | None:
        """Who did it. The hook's word counts if it speaks of this very change, else the deal's own; 0 is a robot.

        Two people may change a deal within one second: a hook that knows another stage speaks of the other's change.
        """
        speaks_of_it = told.at == now.updated_at and told.status_id in (None, now.status_id)
        user = told.user_id if speaks_of_it and told.user_id is not None else now.updated_by
        return user or None


def _came_by(now: DealRecord, told: DealReported) -> bool:
    """Did a deal that the mirror does not know come onto its stage by what the hook tells?"""
    return isinstance(told, DealMoved | DealRestored) or _is_new(now, told)


def _is_new(now: DealRecord, told: DealReported) -> bool:
    """Is a deal that the mirror does not know a new one? Its «added» may come later than another hook, or never."""
    if isinstance(told, DealAdded | DealRestored):
        return isinstance(told, DealAdded)
    return (told.at or now.updated_at) - now.created_at < REDELIVERED_WITHIN
