"""Folders as they lie on disk: one reader a layout, one function that recognizes it and opens the data."""

from mmpid.datasets.readers.read import read

__all__ = ["read"]
