"""A deal's call scripts with its data filled in, and what a manager writes down while he talks.

Read from the store, without asking amoCRM; what is written down goes into the outbox, as from other pages of a deal.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from datetime import date, datetime
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

from flask import abort
from flask_babel import gettext as _

from amo_bridge.channels.mail import facts
from amo_bridge.crm.account import Account, Field
from amo_bridge.crm.records import ContactRecord
from amo_bridge.engine.deal_view import Viewer
from amo_bridge.engine.manual_edits import FieldValues, ManualEdits
from amo_bridge.errors import UnknownName
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.mirror.contacts import ContactIndex
from amo_bridge.mirror.deals import Mirror
from amo_bridge.rules.deal import BUILT_IN_FIELDS, Deal
from amo_bridge.storage.secrets import small_state
from amo_bridge.text.names import normalise, same_name
from amo_bridge.text.scripts import Script, Scripts
from amo_bridge.web.accounts import AccountView
from amo_bridge.web.context import audit, who

PAGE = "script"
_NUMBER = re.compile(r"-?\d{1,15}(?:\.\d{1,6})?", re.ASCII)
LONGEST_NOTE = 2_000
"""Of what is written down at one place."""
Input = Literal["text", "long", "number", "date", "choice", "choices", "switch"]
INPUTS: Mapping[str, Input] = {
    "text": "text", "url": "text", "streetaddress": "text", "textarea": "long", "numeric": "number",
    "monetary": "number", "date": "date", "select": "choice", "radiobutton": "choice", "multiselect": "choices",
    "checkbox": "switch",
}  # fmt: skip
"""Type of a deal's field → what it is filled in by. Others (files, links to other cards) a script can't fill."""
Outcome = Literal["saved", "again", "nothing", "wrong", "meanwhile", "dry"]
"""«again»: this page has been saved already; «wrong» is told beside the fields; «meanwhile» somebody else has filled
one; «dry»: the bridge changes nothing."""


class FieldInput(NamedTuple):
    """A field of the deal as the page asks for it. ``now``: what is in it; of several choices one per line."""

    field: Field
    kind: Input
    now: str
    is_secret: bool


@dataclass
class Written:
    """What came with the form. ``answers``: step → the number of its answer; ``values``: field → what is to be in it;
    ``was``: what stood there when the page was opened; ``notes``: (step, place) → words. ``mark``: another one for each
    page that is opened."""

    answers: Mapping[int, int]
    values: Mapping[str, str]
    was: Mapping[str, str]
    notes: Mapping[tuple[int, int], str]
    comment: str
    mark: str
    mistakes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ScriptService:
    """One deal. ``at`` ends the request with 404 when the account or the deal is not known."""

    page: AccountView
    account: Account
    deal: Deal

    @classmethod
    def at(cls, page: AccountView, deal_id: int) -> ScriptService:
        return cls.known(page, deal_id) or abort(404)

    @classmethod
    def known(cls, page: AccountView, deal_id: int) -> ScriptService | None:
        kept = small_state(page.config, page.bridge.environment).accounts.read(page.config.account.url)
        record = Mirror(page.account_store).record(deal_id) if kept else None
        if kept is None or record is None:
            return None
        names = Account.from_json(kept["account"])
        viewer = Viewer(names, page.config.account.url, secret=page.config.bridge.secret_fields)
        return cls(page, names, viewer.deal(record))

    @property
    def names(self) -> list[str]:
        return self._scripts.names

    def filled(self, name: str) -> Script:
        """Raises KeyError for a name that is not among ``names``, BadTemplate."""
        return self._scripts.filled(name, self.facts())

    def facts(self, unsubscribe: str = "") -> dict[str, Any]:
        """What a template may speak of."""
        # As in letters.
        names = [*BUILT_IN_FIELDS, *(one.name for one in self.account.fields())]
        return facts(self.deal, self._client, {normalise(name): name for name in names}, unsubscribe)

    # --- what is written down ---

    def inputs(self, script: Script) -> dict[str, FieldInput | None]:
        """The fields that a script fills, by the name that it calls them; None for one that it can't."""
        asked = [name for step in script.steps for name in step.asked("field")]
        return {name: self._input(name) for name in dict.fromkeys(asked)}

    def write_down(self, name: str, script: Script, written: Written) -> Outcome:
        """Save fields and a note, if that can be; ``written.mistakes`` says what is wrong, by the field's name."""
        if self.page.config.bridge.dry_run:
            return "dry"
        values, is_late = [], False
        for asked, one in self.inputs(script).items():
            if one is None or asked not in written.values:
                continue
            wanted = _folded(written.values[asked])
            if wanted == _folded(written.was.get(asked, "")):
                continue
            if _folded(one.now) not in (_folded(written.was.get(asked, "")), wanted) and not one.is_secret:
                is_late = True
                written.mistakes[asked] = _("Пока вы говорили, кто-то записал: %(now)s", now=one.now or "—")
                continue
            try:
                values.append(FieldValues(one.field, _wire(one, wanted, self.account.timezone)))
            except ValueError as error:
                written.mistakes[asked] = str(error)
        if written.mistakes:
            return "meanwhile" if is_late else "wrong"
        note = "\n".join(self._note(script, written))
        edits = ManualEdits(self.page.account_store, self.page.clock, PAGE)
        if not values and not note:
            return "nothing"
        if not edits.answer(self.deal.id, values, note, who(), written.mark):
            return "again"
        audit("script.answer", f"Сделка {self.deal.id}: записан разговор по скрипту «{name}»")
        return "saved"

    def _note(self, script: Script, written: Written) -> Iterator[str]:
        """The note's lines; none if there is nothing to be told."""
        lines = []
        for step in script.steps:
            answers = step.answers
            chosen = written.answers.get(step.number)
            if chosen is not None and 0 <= chosen < len(answers):
                lines.append(f"{step.title or script.title} — {answers[chosen].lines[0]}")
            for place, asked in enumerate(step.asked("note")):
                if words := written.notes.get((step.number, place), "").strip()[:LONGEST_NOTE]:
                    lines.append(f"{asked}: {words}")
        if comment := written.comment.strip()[:LONGEST_NOTE]:
            lines.append(comment)
        if lines:
            yield f"Разговор по скрипту «{script.title}»"
            yield from lines

    def _input(self, name: str) -> FieldInput | None:
        try:
            found = self.account.field(name)
        except UnknownName:
            return None
        kind = INPUTS.get(found.type)
        if kind is None:
            return None
        secret = any(same_name(found.name, one) for one in self.page.config.bridge.secret_fields)
        return FieldInput(found, kind, "" if secret else _shown(self.deal.value(found.name)), secret)

    @property
    def _scripts(self) -> Scripts:
        return Scripts(self.page.config.scripts_folder)

    @property
    def _client(self) -> ContactRecord:
        """The main contact, as far as the index knows it; without a name else."""
        number = self.deal.main_contact_id or 0
        known = ContactIndex(self.page.account_store).get([number]).get(number)
        if known is None:
            return ContactRecord(id=number)
        surname = normalise(known.surname).split()
        first = " ".join(word for word in known.name.split() if normalise(word) not in surname)
        return ContactRecord(id=number, name=known.name, first_name=first, last_name=known.surname)


def _folded(text: str) -> str:
    return text.replace("\r\n", "\n").strip()


def _shown(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "1" if value else ""
        case datetime():
            return value.date().isoformat()
        case date():
            return value.isoformat()
        case tuple():
            return "\n".join(map(str, value))
    return str(value)


def _wire(one: FieldInput, text: str, zone: str) -> tuple[object, ...]:
    """What amoCRM takes. Raises ValueError in words."""
    if not text and one.kind != "switch":
        return ()
    match one.kind:
        case "switch":
            return (text == "1",)
        case "number":
            plain = text.replace(",", ".").replace("\xa0", "").replace(" ", "")
            if not _NUMBER.fullmatch(plain):
                raise ValueError(_("Здесь нужно число"))
            return (plain,)
        case "date":
            try:
                day = date.fromisoformat(text)
                return (int(datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).timestamp()),)
            except (ValueError, OverflowError):
                raise ValueError(_("Здесь нужен день, например 2026-12-31")) from None
        case "choice" | "choices":
            return tuple(_choices(one.field, text.split("\n")))
    if len(text) > LONGEST_NOTE:
        raise ValueError(_("Слишком длинно: до %(n)s знаков", n=LONGEST_NOTE))
    return (text,)


def _choices(wanted: Field, texts: Sequence[str]) -> Iterator[str]:
    for text in filter(None, texts):
        choice = next((one.value for one in wanted.enums if one.value == text), None)
        if choice is None:
            raise ValueError(_("Такого варианта нет: %(text)s", text=text))
        yield choice
