"""A deal moves to a stage (or leaves one) without a file → it is put back, and the mover is told which file.

``named``: the file's whole name, without the extension; ``name_starts_with``: how it begins. Names are compared
without regard to case, «ё», quotes, signs and transliteration. Does nothing if the file is there, the condition of
``when`` does not hold, the mover has a role that may pass, or the deal has moved on already. A lost deal may leave.
Covers A101 (leaving «Исполнение» without «Отчет по проекту "…"»); M6.
"""

from __future__ import annotations

from amo_bridge.events import StageEntered
from amo_bridge.rules import Deal, Gate, Lack, RollBack, Skip, WantedFile, handler


class StageNeedsFile(Gate, WantedFile):
    pass


@handler(on=StageEntered, options=StageNeedsFile, gate=True, needs={"files"}, sends={"notices"})
def stage_needs_file(event: StageEntered, deal: Deal, options: StageNeedsFile) -> Skip | RollBack:
    if passes := options.lets_pass(event, deal):
        return passes
    if options.is_there(deal):
        return Skip("нужный файл приложен")
    return options.put_back(event, deal, [Lack("приложите файл", options.wanted(deal))])
