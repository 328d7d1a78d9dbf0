from .catalogs import (
    Catalog as Catalog,
    read_catalog as read_catalog,
    sky_pairs as sky_pairs,
)
from .images import Preprocessing as Preprocessing
from .splits import (
    Split as Split,
    audit as audit,
    read_split as read_split,
)
