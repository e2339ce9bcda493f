"""The bench: recipes of sources, tables and their claims, papers, the ledger and what records runs in it."""

from fewshotgan.bench.advice import Advice, advise

__all__ = ["Advice", "advise"]
