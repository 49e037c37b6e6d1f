"""What can go wrong, and the exit code that says so.

CxError
├── UsageError      2  a parameter, notebook, edition, study file, mapping or column that does not exist or fit
├── GateClosed      3  the data are not fit to be reported
├── NoData          4  nothing in the period
├── RenderError     5  page or paper could not be made
├── NotPublishable  7  a publishing gate closed: the report is kept aside
├── NotebookFailed  1  a notebook stopped; what ran is kept
└── KernelDied    138  the process of a notebook died
"""

from __future__ import annotations


class CxError(Exception):
    """An error that is shown as one clear line: what is wrong, where, what is allowed, what to do."""

    exit_code = 1


class NotWritten(CxError):
    """The report could not be written to its folder."""

    exit_code = 5


class NotebookFailed(CxError):
    """A notebook stopped at a cell."""

    exit_code = 1


class UsageError(CxError, ValueError):
    """Something that was asked for does not exist or does not fit."""

    exit_code = 2


class GateClosed(CxError):
    """The data check stopped the report."""

    exit_code = 3


class NoData(CxError):
    """The period holds no rows."""

    exit_code = 4


class RenderError(CxError):
    """Page or paper could not be made."""

    exit_code = 5


class NotPublishable(CxError):
    """A publishing gate closed: what was made must not be read as a report."""

    exit_code = 7


class KernelDied(CxError):
    """The process that ran a notebook died."""

    exit_code = 138
