"""Experiments: each one file, each returning a `Record` that the report can draw."""
