"""Benchmarks: run by hand, never as tests; each prints one table."""
