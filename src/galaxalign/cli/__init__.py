"""The command line."""

from galaxalign.cli.program import app, main

__all__ = ["app", "main"]
