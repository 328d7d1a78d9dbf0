"""What a galaxy looks like, and the words, symbols and simulated images made from that.

`Morphology` is the one value from which all three come; a taxonomy ties classes and answers to it."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
