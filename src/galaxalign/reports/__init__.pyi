from .audit_page import (
    MEANINGS as MEANINGS,
    page as page,
)
from .benchmark_page import (
    write_benchmark_report as write_benchmark_report,
)
from .run_report import (
    RunFiles as RunFiles,
    next_steps as next_steps,
    write_report as write_report,
)
