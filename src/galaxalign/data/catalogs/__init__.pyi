from .catalog import (
    Catalog as Catalog,
    as_catalog as as_catalog,
)
from .fingerprint import (
    IdHashes as IdHashes,
)
from .groups import (
    found_in as found_in,
    numbered as numbered,
    positions as positions,
    same_galaxy as same_galaxy,
)
from .pictures import (
    check_store as check_store,
    iter_pictures as iter_pictures,
    load_pictures as load_pictures,
)
from .position_checks import (
    PositionLook as PositionLook,
    half_lacking as half_lacking,
    lacking as lacking,
    lacking_note as lacking_note,
    positions_unused as positions_unused,
    sky_doubts as sky_doubts,
)
from .prepare import (
    prepare_store as prepare_store,
)
from .reader import (
    read_catalog as read_catalog,
)
from .scan import (
    CatalogScan as CatalogScan,
    scan_catalog as scan_catalog,
)
from .sky import (
    RADIUS as RADIUS,
    SAME_OBJECT as SAME_OBJECT,
    arcsec as arcsec,
    nearest as nearest,
    out_of_range as out_of_range,
    separation as separation,
    sky_pairs as sky_pairs,
)
from .store import (
    IMAGES as IMAGES,
    Pictures as Pictures,
    open_store as open_store,
)
