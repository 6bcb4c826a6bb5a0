"""Calls of a stand-in PBX: who is rung first, who answers, how it ends."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from amo_bridge.standins.timeline import Timeline
from amo_bridge.standins.vendor import ActionField, ClientAction

Outcome = Literal[
    "talked", "manager_rejects", "manager_busy", "manager_no_answer", "client_busy", "client_rejects",
    "client_no_answer", "no_such_number",
]  # fmt: skip
OUTCOMES: Mapping[Outcome, str] = {
    "talked": "поговорили",
    "manager_rejects": "менеджер сбросил",
    "manager_busy": "у менеджера занято",
    "manager_no_answer": "менеджер не взял трубку",
    "client_busy": "у клиента занято",
    "client_rejects": "клиент сбросил",
    "client_no_answer": "клиент не ответил",
    "no_such_number": "номера не существует",
}
Moment = Literal["began", "manager_answered", "client_rings", "client_answered", "ended", "recorded"]

CAUSES: Mapping[Outcome, str] = {
    "talked": "NORMAL_CLEARING",
    "manager_rejects": "CALL_REJECTED",
    "manager_busy": "USER_BUSY",
    "manager_no_answer": "NO_ANSWER",
    "client_busy": "USER_BUSY",
    "client_rejects": "CALL_REJECTED",
    "client_no_answer": "NO_ANSWER",
    "no_such_number": "UNALLOCATED_NUMBER",
}
"""Why it ended, in the words of FreeSWITCH, which onlinePBX passes on."""

RECORD_SECONDS = 40
"""A record is ready so long after the call (Zadarma's documentation)."""
HISTORY_SECONDS = 60
"""A call stands in the history so long after its end (seen at onlinePBX)."""


@dataclass(frozen=True)
class CallScript:
    """How a call goes. ``talk``: seconds of talk. ``ring``: seconds until somebody answers or refuses. ``patience``:
    seconds that are rung in vain."""

    outcome: Outcome = "talked"
    talk: int = 45
    ring: int = 5
    patience: int = 30

    @classmethod
    def read(cls, settings: Mapping[str, Any]) -> CallScript:
        """From the controls. Raises ValueError (Russian)."""
        for name, value in settings.items():
            if name == "outcome" and value not in get_args(Outcome):
                raise ValueError(f"outcome: одно из {', '.join(OUTCOMES)}")
            if name not in ("outcome", "talk", "ring", "patience"):
                raise ValueError(f"{name}: такого ключа нет; есть outcome, talk, ring, patience")
            if name != "outcome" and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
                raise ValueError(f"{name}: нужно целое число секунд")
        return cls(**settings)


@dataclass
class SwitchedCall:
    """A call at the PBX. ``number``: counts all calls. ``client``: digits with the country's code. ``extension``: the
    colleague's number, empty if nobody was reached. Moments are Unix seconds."""

    number: int
    direction: Literal["in", "out"]
    client: str
    extension: str
    line: str
    script: CallScript
    began: float
    external_id: str = ""
    manager_at: float | None = None
    client_at: float | None = None
    client_rang_at: float | None = None
    ended: float | None = None
    notes: dict[str, str] = field(default_factory=dict)

    @property
    def outcome(self) -> Outcome:
        return self.script.outcome

    @property
    def talk(self) -> int:
        """Seconds for which client and colleague have talked."""
        both = max(self.manager_at or 0, self.client_at or 0)
        has_talked = self.ended is not None and self.manager_at is not None and self.client_at is not None
        return round((self.ended or 0) - both) if has_talked else 0

    @property
    def duration(self) -> int:
        return round((self.ended or self.began) - self.began)

    @property
    def cause(self) -> str:
        if self.direction == "in" and self.outcome != "talked":
            return "ORIGINATOR_CANCEL"
        return CAUSES[self.outcome]


class Switchboard:
    """All calls of one PBX. ``tell(call, moment)`` is called whenever something has happened to one."""

    def __init__(self, timeline: Timeline, tell: Callable[[SwitchedCall, Moment], None]) -> None:
        self.timeline = timeline
        self.calls: list[SwitchedCall] = []
        self.scripts: deque[CallScript] = deque()
        self.by_client: dict[str, CallScript] = {}
        self.default = CallScript()
        self._tell = tell
        self._numbers = itertools.count(1)

    def call_back(self, extension: str, client: str, line: str, external_id: str = "") -> SwitchedCall:
        """Ring the colleague, then the client: by the script of this number, else the next one, else the default."""
        script = self.by_client.get(digits(client)) or (self.scripts.popleft() if self.scripts else self.default)
        call = self._new("out", client, extension, line, script, external_id)
        at = self.timeline.at
        if script.outcome.startswith("manager_"):
            wait = script.patience if script.outcome == "manager_no_answer" else script.ring
            at(wait, lambda: self._end(call))
            return call
        at(script.ring, lambda: self._manager_answers(call))
        return call

    def call_in(self, client: str, extension: str, line: str, script: CallScript) -> SwitchedCall:
        """A client rings the agency. Any outcome but «talked» is a missed call."""
        call = self._new("in", client, extension, line, script, "")
        call.client_at = call.began
        if script.outcome == "talked":
            self.timeline.at(script.ring, lambda: self._manager_answers(call))
        else:
            self.timeline.at(script.patience, lambda: self._end(call))
        return call

    def hang_up(self, number: int) -> bool:
        """End a call that goes on; False if there is none."""
        call = next((one for one in self.calls if one.number == number and one.ended is None), None)
        if call is not None:
            self._end(call)
        return call is not None

    def going_on(self) -> list[SwitchedCall]:
        """Calls that have not ended."""
        return [call for call in self.calls if call.ended is None]

    def history(self) -> list[SwitchedCall]:
        """Ended calls, as far as the history shows them by now; oldest first."""
        now = self.timeline.now()
        return [call for call in self.calls if call.ended is not None and call.ended + HISTORY_SECONDS <= now]

    def has_record(self, call: SwitchedCall) -> bool:
        """Can the record be asked for by now?"""
        return call.talk > 0 and (call.ended or 0) + RECORD_SECONDS <= self.timeline.now()

    def _new(
        self, direction: Literal["in", "out"], client: str, extension: str, line: str, script: CallScript, mark: str
    ) -> SwitchedCall:
        now = self.timeline.now()
        call = SwitchedCall(
            next(self._numbers), direction, digits(client), extension, line, script, now, external_id=mark
        )
        self.calls.append(call)
        self._tell(call, "began")
        return call

    def _manager_answers(self, call: SwitchedCall) -> None:
        if call.ended is not None:
            return
        call.manager_at = self.timeline.now()
        self._tell(call, "manager_answered")
        if call.direction == "in":
            self.timeline.at(call.script.talk, lambda: self._end(call))
            return
        call.client_rang_at = self.timeline.now()
        self._tell(call, "client_rings")
        script = call.script
        match script.outcome:
            case "talked":
                self.timeline.at(script.ring, lambda: self._client_answers(call))
            case "client_no_answer":
                self.timeline.at(script.patience, lambda: self._end(call))
            case "no_such_number":
                self.timeline.at(0, lambda: self._end(call))
            case _:
                self.timeline.at(script.ring, lambda: self._end(call))

    def _client_answers(self, call: SwitchedCall) -> None:
        if call.ended is None:
            call.client_at = self.timeline.now()
            self._tell(call, "client_answered")
            self.timeline.at(call.script.talk, lambda: self._end(call))

    def _end(self, call: SwitchedCall) -> None:
        if call.ended is not None:
            return
        call.ended = self.timeline.now()
        self._tell(call, "ended")
        if call.talk > 0:
            self.timeline.at(RECORD_SECONDS, lambda: self._tell(call, "recorded"))


def digits(text: str) -> str:
    """Nothing but the digits."""
    return "".join(char for char in text if char.isdigit())


# What a person does at the page of the stand-ins.

MISSED = "missed"
_SOON = 2


def pbx_actions(board: Switchboard, line: str, extension: str = "100") -> tuple[ClientAction, ...]:
    """A client rings; and how the next call back of the bridge is to go."""

    def call(fields: Mapping[str, str]) -> str:
        is_missed = fields.get("how") == MISSED
        client, seconds = digits(fields.get("client", "")), int(digits(fields.get("talk", "")) or 30)
        if not client:
            raise ValueError("нужен номер, с которого звонят")
        script = CallScript("client_no_answer" if is_missed else "talked", seconds, _SOON, seconds)
        with board.timeline.lock:
            board.call_in(client, "" if is_missed else extension, line, script)
        return f"звонок с {client} начался, кончится через {seconds if is_missed else seconds + _SOON} с"

    def plan(fields: Mapping[str, str]) -> str:
        outcome = fields.get("outcome", "talked")
        script = CallScript.read({"outcome": outcome, "talk": int(digits(fields.get("talk", "")) or 30), "ring": _SOON})
        with board.timeline.lock:
            board.default = script
        return f"звонки, которые закажет мост, пойдут так: {OUTCOMES[script.outcome]}"

    return (
        ClientAction(
            "ring",
            "Клиент звонит",
            (
                ActionField("client", "с номера", "79000000101"),
                ActionField(
                    "how", "чем кончится", "talked", {"talked": "поговорят", MISSED: "никто не возьмёт трубку"}
                ),
                ActionField("talk", "секунд", "10"),
            ),
            call,
        ),
        ClientAction(
            "plan",
            "Когда мост закажет звонок клиенту",
            (
                ActionField("outcome", "будет так", "talked", {str(key): words for key, words in OUTCOMES.items()}),
                ActionField("talk", "секунд разговора", "30"),
            ),
            plan,
        ),
    )


SILENCE = (b"\xff\xfb\x90\x00" + bytes(413)) * 40
"""A second of an MP3 in which nothing is heard."""
