"""GalaxAlign: galaxies, the words for them and their schematic symbols in one space.

Every verb of the command line is a function here: `galaxalign.train(...)`, `galaxalign.search(...)`.
A name is imported at its first use, so that `galaxalign --help` stays fast.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, _names = lazy_loader.attach_stub(__name__, __file__)
__all__ = ["__version__", *_names]
