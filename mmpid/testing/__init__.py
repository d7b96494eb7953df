"""Checks to run before a night of training: what was looked at, and what would break."""

from mmpid.testing.data import check_data
from mmpid.testing.encoder import check_encoder
from mmpid.testing.report import CheckReport, Finding

__all__ = ["CheckReport", "Finding", "check_data", "check_encoder"]
