"""Tables in and out: CSV, Parquet, FITS, VOTable, HATS; whole or a piece at a time."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
