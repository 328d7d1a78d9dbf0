from .bootstrap import (
    counts as counts,
    from_sums as from_sums,
    mean_columns as mean_columns,
    mean_from_sums as mean_from_sums,
    percentiles as percentiles,
    rates as rates,
    resampled_sums as resampled_sums,
    summands as summands,
)
from .by_bin import (
    by_column as by_column,
)
from .cost import (
    Meter as Meter,
    parameters as parameters,
)
from .figures import (
    confusion_matrix as confusion_matrix,
    learning_curves as learning_curves,
    reliability_bins as reliability_bins,
    reliability_diagram as reliability_diagram,
    save_figure as save_figure,
    wilson_interval as wilson_interval,
)
from .label_errors import (
    improbable_labels as improbable_labels,
)
from .metrics import (
    classification_metrics as classification_metrics,
    evaluate_predictions as evaluate_predictions,
)
from .plates import (
    contact_sheet as contact_sheet,
    plate as plate,
    retrieval_panel as retrieval_panel,
)
from .retrieval import (
    retrieval_metrics as retrieval_metrics,
    retrieval_scores as retrieval_scores,
)
