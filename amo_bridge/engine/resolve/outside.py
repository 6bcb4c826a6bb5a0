"""Actions outside amoCRM → effects for the ports: people become user ids, everything else is told in words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from amo_bridge.crm.records import DealRecord
from amo_bridge.engine.effects import Effect, Kind
from amo_bridge.engine.resolve.terms import Terms, Way
from amo_bridge.rules.actions import (
    Action,
    JoinAudience,
    LeaveAudience,
    Notify,
    Person,
    RecordViolation,
    SendLetter,
    SendSms,
    StartAutoDial,
    StartSeries,
    StopAutoDial,
    StopSeries,
    StoreFile,
)
from amo_bridge.rules.deal import Deal


class OutsideWays:
    """``can_be_told``: is there a way to tell this user something?"""

    def __init__(self, terms: Terms, can_be_told: Callable[[int], bool]) -> None:
        self._terms = terms
        self._can_be_told = can_be_told
        self.ways: Mapping[type[Action], Way] = {
            SendLetter: self._send_letter,
            Notify: self._notify,
            JoinAudience: self._join_audience,
            LeaveAudience: self._leave_audience,
            SendSms: self._send_sms,
            StartAutoDial: self._start_auto_dial,
            StopAutoDial: self._stop_auto_dial,
            StartSeries: self._start_series,
            StopSeries: self._stop_series,
            RecordViolation: self._record_violation,
            StoreFile: self._store_file,
        }

    def _send_letter(self, action: SendLetter, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        body: dict[str, Any] = {
            "template": action.template,
            "service": action.service,
            "thread": action.thread,
            "no_address": None if action.no_address is None else self._terms.user_id(action.no_address, record),
        }
        return [_effect("send_letter", deal, body, f"письмо клиенту «{action.template}»", at)]

    def _notify(self, action: Notify, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        """One for each person: a channel of one may fail. Whoever is away has a deputy; a user's id is somebody who has
        just done something, so he is there."""
        people = self._people(action.to, record, at)
        told = {"text": action.text, "urgent": action.urgent, "about": deal.name, "url": deal.url}
        return [
            _effect(
                "notify", deal, {"user_id": user} | told,
                f"уведомление «{action.text}» — {self._terms.user_name(user)}", at,
            )
            for user in people
        ]  # fmt: skip

    def free_notice(
        self, text: str, to: Iterable[Person], about: str, record: DealRecord, at: datetime
    ) -> list[dict[str, Any]]:
        """The bodies of a notice about no deal."""
        told = {"text": text, "urgent": False, "about": about, "url": ""}
        return [{"user_id": user} | told for user in self._people(to, record, at)]

    def _people(self, to: Iterable[Person], record: DealRecord, at: datetime) -> dict[int, None]:
        return dict.fromkeys(
            user if isinstance(person, int) else self._terms.present(user, at)
            for person in to
            for user in [self._terms.user_id(person, record)]
        )

    def tell_if_possible(self, action: Notify, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        """Only those whom a notice reaches: for what is told by a task already."""
        return [one for one in self._notify(action, deal, record, at) if self._can_be_told(one.body["user_id"])]

    def _join_audience(self, action: JoinAudience, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        words = f"клиент включён в аудиторию «{action.audience}»"
        return [_effect("join_audience", deal, {"audience": action.audience}, words, at)]

    def _leave_audience(self, action: LeaveAudience, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        words = f"клиент исключён из аудитории «{action.audience}»"
        return [_effect("leave_audience", deal, {"audience": action.audience}, words, at)]

    def _send_sms(self, action: SendSms, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        return [_effect("send_sms", deal, {"text": action.text}, f"SMS клиенту «{action.text}»", at)]

    def _start_auto_dial(self, action: StartAutoDial, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        body = {"stage": list(deal.stage.key), "user_id": record.responsible_user_id}
        return [_effect("start_auto_dial", deal, body, "автодозвон включён", at)]

    def _stop_auto_dial(self, action: StopAutoDial, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        return [_effect("stop_auto_dial", deal, {"because": action.because}, "автодозвон выключен", at)]

    def _start_series(self, action: StartSeries, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        body = {"series": action.series, "stage": list(deal.stage.key)}
        return [_effect("start_series", deal, body, f"серия писем «{action.series}» начата", at)]

    def _stop_series(self, action: StopSeries, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        body = {"series": action.series, "because": action.because}
        words = f"серия писем «{action.series}» остановлена" if action.series else "все серии писем остановлены"
        return [_effect("stop_series", deal, body, words, at)]

    def _record_violation(self, action: RecordViolation, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        user = self._terms.user_id(action.person, record)
        body = {
            "user_id": user, "clause": action.clause, "penalty": action.penalty, "why": action.why,
            "at": int(at.timestamp()), "deal_name": deal.name,
        }  # fmt: skip
        fine = "" if action.penalty is None else f", штраф {action.penalty}"
        words = f"нарушение пункта {action.clause} — {self._terms.user_name(user)}{fine}"
        return [_effect("record_violation", deal, body, words, at)]

    def _store_file(self, action: StoreFile, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        body = {
            "file_name": action.file_name, "file_uuid": action.file_uuid, "folder": action.folder,
            "link_field": action.link_field,
        }  # fmt: skip
        return [_effect("store_file", deal, body, f"копия файла «{action.file_name}» в папке «{action.folder}»", at)]


def _effect(kind: Kind, deal: Deal, body: Mapping[str, Any], words: str, at: datetime) -> Effect:
    return Effect(kind, deal.id, body, words, not_before=at.timestamp())
