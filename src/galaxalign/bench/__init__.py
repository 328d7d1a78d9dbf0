"""Compares methods: the cells of a configuration, sealed test galaxies, gates, tables and figures."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
