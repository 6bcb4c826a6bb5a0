"""Faults of the vendors: switched on by the controls, they strike requests and webhooks."""

from __future__ import annotations

import fnmatch
import itertools
import random
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

REQUEST_FAULTS: Mapping[str, str] = {
    "limited": "отказ «слишком часто», как его говорит этот сервис",
    "unauthorised": "отказ «ключ или токен не тот», как его говорит этот сервис",
    "broken": "500 и страница вместо ответа; ничего не сделано",
    "lost_answer": "всё сделано, а соединение оборвано без ответа",
    "refuse_before": "соединение оборвано, ничего не сделано",
}
WEBHOOK_FAULTS: Mapping[str, str] = {
    "hook_drop": "вебхук не уходит вовсе",
    "hook_duplicate": "вебхук уходит дважды",
    "hook_delay": "вебхук уходит на seconds секунд позже",
    "hook_reorder": "вебхук уходит после следующего за ним",
    "hook_wrong_proof": "вебхук уходит с чужой подписью",
}
KINDS = {**REQUEST_FAULTS, **WEBHOOK_FAULTS}


class BadVendorFault(ValueError):
    """The description of a fault makes no sense; the text (Russian) says why."""


@dataclass
class VendorFault:
    """``vendor``, ``path`` (within the vendor, of webhooks the event's name): globs. ``count``: how often it strikes,
    None without end. ``probability``: how likely it strikes what fits."""

    id: int
    kind: str
    vendor: str = "*"
    path: str = "*"
    count: int | None = 1
    seconds: float = 60
    probability: float = 1.0
    struck: int = 0


class VendorFaults:
    """Those that are switched on. Safe to use from any thread."""

    def __init__(self, seed: int = 1) -> None:
        self._chance = random.Random(seed)
        self._guard = threading.Lock()
        self._numbers = itertools.count(1)
        self._faults: list[VendorFault] = []

    def add(self, kind: str, **settings: Any) -> VendorFault:
        """Switch one on. Raises BadVendorFault."""
        if kind not in KINDS:
            raise BadVendorFault(f"kind: одно из {', '.join(KINDS)}")
        number = (int, float)
        known = {"vendor": str, "path": str, "count": (int, type(None)), "seconds": number, "probability": number}
        for name, value in settings.items():
            if name not in known:
                raise BadVendorFault(f"{name}: такого ключа нет; есть {', '.join(known)}")
            if not isinstance(value, known[name]) or isinstance(value, bool):  # type: ignore[arg-type]
                raise BadVendorFault(f"{name}: {value!r} сюда не годится")
        with self._guard:
            fault = VendorFault(next(self._numbers), kind, **settings)
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """Switch all off."""
        with self._guard:
            self._faults.clear()

    def shown(self) -> list[dict[str, Any]]:
        """For the controls."""
        with self._guard:
            return [asdict(fault) for fault in self._faults]

    def strike(self, kinds: Mapping[str, str], vendor: str, path: str) -> VendorFault | None:
        """The first one of these kinds that fits; it is counted."""
        with self._guard:
            for fault in self._faults:
                fits = fnmatch.fnmatchcase(vendor, fault.vendor) and fnmatch.fnmatchcase(path, fault.path)
                is_left = fault.count is None or fault.struck < fault.count
                if fault.kind in kinds and fits and is_left and self._chance.random() < fault.probability:
                    fault.struck += 1
                    return fault
        return None
