from .appearance import (
    THRESHOLD as THRESHOLD,
    Signatures as Signatures,
    look_alikes as look_alikes,
    signatures as signatures,
)
from .assign_parts import (
    make_folds as make_folds,
    make_split as make_split,
)
from .audit import (
    Pairs as Pairs,
    Rows as Rows,
    check_classes as check_classes,
    check_pairs as check_pairs,
    check_positions as check_positions,
    findings as findings,
    gather as gather,
    same_ids as same_ids,
    same_values as same_values,
    sky_pairs_of as sky_pairs_of,
    split_groups as split_groups,
)
from .leaks import (
    LeakGuard as LeakGuard,
    leak_sentence as leak_sentence,
    refuse_leaks as refuse_leaks,
    refuse_leaks_across as refuse_leaks_across,
)
from .picture_audit import (
    check_pictures as check_pictures,
    same_pictures as same_pictures,
    survey_pictures as survey_pictures,
)
from .splits import (
    PARTS as PARTS,
    Split as Split,
    read_split as read_split,
)
