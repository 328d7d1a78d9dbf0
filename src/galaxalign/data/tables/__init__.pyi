from .arrow import (
    MISSING as MISSING,
    CellKinds as CellKinds,
    to_frame as to_frame,
)
from .columns import (
    degrees_per as degrees_per,
)
from .files import (
    TABLE_SUFFIXES as TABLE_SUFFIXES,
    cell_text as cell_text,
    check_output as check_output,
    refuse_address as refuse_address,
    table_suffix as table_suffix,
    write_json as write_json,
    write_text as write_text,
)
from .hats import (
    is_hats as is_hats,
    open_hats as open_hats,
)
from .reader import (
    PIECE as PIECE,
    TableFile as TableFile,
    open_table as open_table,
    read_table as read_table,
)
from .votable import (
    parquet_metadata as parquet_metadata,
)
from .writer import (
    TableWriter as TableWriter,
    described as described,
    write_table as write_table,
)
