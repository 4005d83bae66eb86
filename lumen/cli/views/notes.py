"""What is said after a batch: what was not done and why, and where the results lie."""

from __future__ import annotations

from lumen.batch.plan import Plan
from lumen.batch.report import Report, Status
from lumen.batch.skipping import AGAIN
from lumen.config import BatchOptions
from lumen.text import printable

MOST_REASONS = 5


def notes_after(plan: Plan, report: Report, options: BatchOptions) -> tuple[list[str], str]:
    """Return what was not done and why, line by line, and where the results lie."""
    reasons = report.reasons.most_common()
    told = [_told(report, status, reason) for (status, reason), _ in reasons[:MOST_REASONS]]
    if len(reasons) > MOST_REASONS:
        told.append(f"... and for {len(reasons) - MOST_REASONS} more reasons; -v names each file with its own")
    return plan.passed_over.lines() + told, _place(report, options)


def _told(report: Report, status: Status, reason: str) -> str:
    """Return why files were skipped or what was done, without advice that would do more than people mean by it."""
    count, example = report.reasons[status, reason], printable(report.examples[status, reason])
    if report.total == 1:
        return f"1 {status}: {printable(reason)}"
    if reason.endswith(AGAIN):
        advice = (
            "name it alone with --existing overwrite to make it again"
            if count == 1
            else "--existing overwrite would make all of them again; name a picture to make only that one again"
        )
        reason = reason.removesuffix(AGAIN) + advice
    return f"{count} {status}: {f'{example}: ' if count == 1 else ''}{printable(reason)}"


def _place(report: Report, options: BatchOptions) -> str:
    """Return where the results lie, or would; nothing if there are none."""
    if options.output is None:
        if not report.counts["done"]:
            return ""
        is_one = report.counts["done"] == 1
        replaced = "the picture itself was replaced" if is_one else "the pictures themselves were replaced"
        if options.backup is None:
            return f"{replaced} without a backup"
        return f"{replaced}; the {'original is' if is_one else 'originals are'} in {printable(options.backup)}"
    is_there = report.counts["done"] or report.counts["skipped"]
    if not is_there and not report.counts["planned"]:
        return ""
    if report.total == 1 and report.result is not None:
        return f"the result {'is' if is_there else 'would be'} {printable(report.result)}"
    return f"the results {'are' if is_there else 'would be'} in {printable(options.output)}"
