"""The faults that can be switched on: what each does, and how one is described."""

from __future__ import annotations

import fnmatch
import random
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

HTTP_FAULTS: Mapping[str, str] = {
    "status": "answers `status` (429, 500, 502, 503, 504) and does nothing; 5xx is an HTML page",
    "lost_answer": "does what was asked, then closes the connection without an answer",
    "slow": "does what was asked and answers after `ms` milliseconds",
    "slow_write_lands_late": "answers 504 at once and does what was asked `ms` milliseconds later",
    "refuse_before": "closes the connection before doing anything",
    "html_403": "answers nginx's page 403 Forbidden, as for a blocked address",
    "unpaid_402": "answers 402 Payment Required, as for an unpaid account",
    "blocked_page": "answers 200 with the HTML page of a blocked account",
    "filters_off": "the account has no API filtering: filters of lists are silently ignored",
}
HOOK_FAULTS: Mapping[str, str] = {
    "hook_drop": "the hook is never sent",
    "hook_duplicate": "the hook is sent twice, each time with another X-Amocrm-Requestid",
    "hook_reorder": "the hook is sent after the next one to the same address (alone: after `seconds`)",
    "hook_delay": "the hook is sent `seconds` later by the sandbox's clock",
    "hook_lose_status": "only status_lead hooks are never sent",
}
STATUSES = (429, 500, 502, 503, 504)


class BadFault(ValueError):
    """The description of a fault makes no sense; the text says why."""


@dataclass
class Fault:
    """One switched-on fault. It strikes with ``probability``, at most ``count`` times (None: without end).

    ``method`` and ``path`` (a glob, e.g. ``/api/v4/leads*``) narrow HTTP faults, ``setting`` (a glob, e.g.
    ``*_lead``) narrows hook faults. People's clicks are spared unless ``people`` is set. The same ``seed`` gives
    the same strikes for the same sequence of requests.
    """

    id: int
    kind: str
    probability: float = 1.0
    count: int | None = None
    method: str = "*"
    path: str = "*"
    setting: str = "*"
    status: int = 503
    ms: int = 1000
    seconds: int = 5
    people: bool = False
    seed: int = 0
    struck: int = 0
    _random: random.Random = field(default_factory=random.Random, repr=False)
    _guard: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @classmethod
    def read(cls, number: int, told: Mapping[str, Any]) -> Fault:
        """Checks what the control endpoint was told. Raises BadFault."""
        unknown = set(told) - set(FIELDS)
        if unknown:
            raise BadFault(f"unknown keys {sorted(unknown)}; known are {sorted(FIELDS)}")
        for name, value in told.items():
            if not isinstance(value, FIELDS[name]) or (isinstance(value, bool) and name != "people"):
                raise BadFault(f"{name}: {value!r} is of a wrong type")
        kind = told.get("kind")
        if kind not in HTTP_FAULTS and kind not in HOOK_FAULTS:
            raise BadFault(f"kind is one of {[*HTTP_FAULTS, *HOOK_FAULTS]}")
        if kind == "status" and told.get("status", 503) not in STATUSES:
            raise BadFault(f"status is one of {list(STATUSES)}")
        if not 0 <= told.get("probability", 1) <= 1:
            raise BadFault("probability is between 0 and 1")
        fault = cls(number, **told)
        fault._random.seed(fault.seed)
        return fault

    def shown(self) -> dict[str, Any]:
        return {"id": self.id, **{name: getattr(self, name) for name in FIELDS}, "struck": self.struck}

    def fits_request(self, method: str, path: str) -> bool:
        return fnmatch.fnmatchcase(method, self.method.upper()) and fnmatch.fnmatchcase(path, self.path)

    def fits_hook(self, setting: str) -> bool:
        wanted = "status_lead" if self.kind == "hook_lose_status" else self.setting
        return fnmatch.fnmatchcase(setting, wanted)

    def strikes(self) -> bool:
        """Throws the dice; a strike uses up one of ``count``."""
        with self._guard:
            if self.count is not None and self.struck >= self.count:
                return False
            if self._random.random() >= self.probability:
                return False
            self.struck += 1
            return True


FIELDS: Mapping[str, type | tuple[type, ...]] = {
    "kind": str,
    "probability": (int, float),
    "count": (int, type(None)),
    "method": str,
    "path": str,
    "setting": str,
    "status": int,
    "ms": int,
    "seconds": int,
    "people": bool,
    "seed": int,
}
