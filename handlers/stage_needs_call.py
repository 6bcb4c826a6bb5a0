"""A deal moves to a stage (or leaves one) without a recorded call → it is put back, and the mover is told.

``seconds``: how long a talk must be; ``recorded``: whether its recording must be there. Calls on the cards of the deal,
its contacts and its company count. Does nothing if there is such a call, the condition of ``when`` does not hold, the
mover has a role that may pass, or the deal has moved on already. Leaving a stage by losing the deal is let through.
Covers M2 («Связались с клиентом» without a recorded call), M12.
"""

from __future__ import annotations

from amo_bridge.events import StageEntered
from amo_bridge.rules import Deal, Gate, Lack, RollBack, Skip, WantedCall, handler


class StageNeedsCall(Gate, WantedCall):
    pass


@handler(on=StageEntered, options=StageNeedsCall, gate=True, sends={"notices"})
def stage_needs_call(event: StageEntered, deal: Deal, options: StageNeedsCall) -> Skip | RollBack:
    if passes := options.lets_pass(event, deal):
        return passes
    if any(options.fits(call) for call in deal.calls):
        return Skip("нужный звонок есть")
    return options.put_back(event, deal, [Lack(f"нужен {options.in_words}")])
