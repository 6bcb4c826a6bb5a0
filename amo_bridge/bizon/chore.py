"""The worker's chore: reports that are due, one after the other.

A vendor may take its time, and the worker has amoCRM's hooks to answer: the asking is done by a thread beside it, the
worker only looks whether that is over. A thread whose bridge dies or loses the lead is forgotten with what it fetched:
the report stands in the store as waiting.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from amo_bridge.bizon.client import BizonError
from amo_bridge.bizon.reports import BizonReports, Report
from amo_bridge.bizon.taking import Taking
from amo_bridge.errors import BridgeError, UnknownName
from amo_bridge.webinars.exports import ExportError

log = structlog.get_logger()


class BizonChore:
    """``fetch`` asks Bizon365 and raises BizonError; ``again`` asks the worker for this chore once more."""

    def __init__(
        self, reports: BizonReports, fetch: Callable[[str], bytes], taking: Taking, again: Callable[[], None]
    ) -> None:
        self._reports = reports
        self._fetch = fetch
        self._taking = taking
        self._again = again
        self._errand: _Errand | None = None

    def run(self) -> None:
        """Raises StoreUnavailable; then what was fetched is dealt with by the next run."""
        errand = self._errand
        if errand is None:
            if (report := self._reports.due()) is not None:
                self._errand = _Errand(report, self._fetch, self._again)
                self._errand.start()
            return
        if errand.is_over:
            self._deal_with(errand)
            self._errand = None
            self._again()

    def _deal_with(self, errand: _Errand) -> None:
        report = errand.report
        try:
            self._taking.take(report, errand.brought())
        except BizonError as error:
            log.warning("report not fetched", webinar=report.webinar_id, error=str(error))
            self._reports.later(report, str(error), error.retry_after)
        except (ExportError, UnknownName) as error:
            # Contacts that are not read yet, a report that is not filled yet, a name that the account has lost.
            log.warning("report not taken", webinar=report.webinar_id, error=str(error))
            self._reports.later(report, str(error))
        except BridgeError:
            # The store is gone, or somebody else leads.
            raise
        except Exception as error:
            # A report that meets a bug must not hold up everything else.
            log.exception("report failed", webinar=report.webinar_id)
            self._reports.later(report, f"ошибка моста: {error!r}")


class _Errand:
    """One asking, under way."""

    def __init__(self, report: Report, fetch: Callable[[str], bytes], over: Callable[[], None]) -> None:
        self.report = report
        self.is_over = False
        self._fetch = fetch
        self._over = over
        self._content = b""
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="bizon", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def brought(self) -> bytes:
        """What was fetched. Raises what the asking raised."""
        if self._error is not None:
            raise self._error
        return self._content

    def _run(self) -> None:
        try:
            self._content = self._fetch(self.report.webinar_id)
        except Exception as error:  # noqa: BLE001 - raised again where it is looked at
            self._error = error
        self.is_over = True
        self._over()
