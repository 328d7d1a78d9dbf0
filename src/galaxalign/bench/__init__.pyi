from .config import (
    Benchmark as Benchmark,
    Cell as Cell,
    Pretraining as Pretraining,
    load_benchmark as load_benchmark,
)
from .digest import (
    cell_digest as cell_digest,
    forget_files as forget_files,
)
from .estimate import (
    print_estimate as print_estimate,
)
from .report import (
    Report as Report,
    report_files as report_files,
)
from .run import (
    Runner as Runner,
)
