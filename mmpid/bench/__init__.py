"""Benchmarks: speed, stability, and comparisons with other packages."""
