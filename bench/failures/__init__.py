"""The catalogue of everything that can go wrong, and the document made from it: ``python -m bench.failures``."""
