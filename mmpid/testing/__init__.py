"""Checks to run before a night of training: what was looked at, and what would break."""

from mmpid.testing.data import check_data
from mmpid.testing.report import CheckReport, Finding

__all__ = ["CheckReport", "Finding", "check_data"]
