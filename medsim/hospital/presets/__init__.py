"""Hospitals with a source for each of their numbers.

    from medsim.hospital.presets import preset

    config = preset("metropolitan")
    print(config.sources["units.icu.stays"])

``medsim hospital presets NAME`` prints one. Every source is one of: a publication that was looked up; "chosen: why"; "from memory, to be
verified: what". They are hospitals of the kinds that they are named after, not any one hospital. Research simulation, not medical advice.
"""

from collections.abc import Callable

from medsim.hospital.flow.config import HospitalConfig
from medsim.hospital.presets.academic_centre import academic_centre
from medsim.hospital.presets.district_general import district_general
from medsim.hospital.presets.metropolitan import metropolitan
from medsim.hospital.presets.stroke_unit import stroke_unit

__all__ = ["PRESETS", "academic_centre", "district_general", "metropolitan", "preset", "stroke_unit"]

PRESETS: dict[str, Callable[[], HospitalConfig]] = {
    "district-general": district_general,
    "academic-centre": academic_centre,
    "metropolitan": metropolitan,
    "stroke-unit": stroke_unit,
}


def preset(name: str) -> HospitalConfig:
    """Return a preset by name.

    Raises:
        ValueError: there is none of that name.
    """
    if name not in PRESETS:
        raise ValueError(f"no preset is called {name!r}; there are {', '.join(PRESETS)}")
    return PRESETS[name]()
