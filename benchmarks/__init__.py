"""Repeatable side-by-side measurements. Ratios within one run, medians of rounds, CPU as well as wall time."""
