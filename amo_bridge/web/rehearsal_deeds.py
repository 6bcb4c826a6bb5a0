"""What pages and programs alike do about rehearsals; all of it is written down."""

from __future__ import annotations

from amo_bridge.runtime.worker import REHEARSALS
from amo_bridge.web.here import account, who, write_down


def ask(days: int, deal_id: int | None) -> int:
    """The rehearsal's number. The leader's process plays it. Raises NotRehearsed."""
    here = account()
    number = here.rehearsals.ask(days, deal_id, who())
    write_down("rehearsal.ask", f"Репетиция № {number}: дней {days}" + (f", сделка {deal_id}" if deal_id else ""))
    here.bridge.hurry(REHEARSALS)
    return number


def stop(number: int) -> None:
    """Raises NotRehearsed."""
    here = account()
    here.rehearsals.stop(number)
    write_down("rehearsal.stop", f"Репетиция № {number} остановлена")
    here.bridge.hurry(REHEARSALS)
