"""What we write says what it is, and units of angle are known by their usual names."""

from __future__ import annotations

import pytest

from galaxalign.data.tables.columns import degrees_per, meaning
from galaxalign.errors import InputError


def test_every_class_has_a_probability() -> None:
    assert meaning("probability_edge_on").ucd == "stat.probability"
    assert meaning("ra").unit == "deg"
    assert meaning("whatever") == meaning("")


@pytest.mark.parametrize(
    ("unit", "degrees"),
    [("deg", 1), ("", 1), ("Rad", 57.29577951308232), ("hourangle", 15), ("h", 15), ("arcsec", 1 / 3600)],
)
def test_units_of_angle(unit: str, degrees: float) -> None:
    assert degrees_per(unit, "ra", "t.fits") == degrees


def test_another_unit_is_refused() -> None:
    with pytest.raises(InputError, match=r"t\.fits gives ra in 'h:m:s'.*give numbers in degrees"):
        degrees_per("h:m:s", "ra", "t.fits")


def test_a_scaled_unit_as_astropy_writes_it_is_converted():
    assert degrees_per("15 deg", "ra", "a.vot") == 15
    assert degrees_per("15deg", "ra", "a.vot") == 15
