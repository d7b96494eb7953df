"""Benchmarks: how fast, how steady, against whom."""
