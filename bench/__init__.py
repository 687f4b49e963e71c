"""The project's benchmarks: ``python -m bench``; what is measured and how stands in ``docs/benchmarks.md``."""
