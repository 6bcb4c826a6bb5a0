"""The worker's chore of imports: one step at a time, asked for again while there is more to do."""

from __future__ import annotations

from collections.abc import Callable

from amo_bridge.engine.imports.runner import Importer


class ImportChore:
    """``again`` asks the worker for this chore once more, after everything else had its turn."""

    def __init__(self, importer: Importer, again: Callable[[], None]) -> None:
        self._importer = importer
        self._again = again
        # At the start, and after a step that broke off, nobody knows what became of what was being sent.
        self._is_unsure = True

    def run(self) -> None:
        """Raises what the step raises: the worker waits it out and asks again."""
        if self._is_unsure:
            self._importer.recover()
        self._is_unsure = True
        moved = self._importer.step()
        self._is_unsure = False
        if moved:
            self._again()
