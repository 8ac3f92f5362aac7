"""Which ICU stays are likely those of one patient, where a table does not say: train and test must not share patients.

In the eICU demo as YAIB prepares it patients' numbers are left out, and a patient's stays have numbers near each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["likely_patients"]

NEAR_IDS = 3000  # chosen: with ages shuffled among stays, 1 to 7 pairs are as near and alike by chance, of 76 found
WEIGHT_SHARE = 0.1  # chosen: weights of one patient's stays may differ as much


def likely_patients(static: pd.DataFrame) -> NDArray[np.int64]:
    """A number for each stay, the same for stays that are likely of one patient, (n,), in the order of the table.

    Alike are stays of equal age, sex and height, weights within a tenth of each other or one unknown, and ids not more than `NEAR_IDS`
    apart. `static` has stay_id, age, sex, height and weight; a stay without age, sex or height stands alone.
    """
    place = {name: number for number, name in enumerate(static.columns)}
    rows = static.to_numpy(dtype=object)
    group = np.arange(len(rows))

    def root(one: int) -> int:
        while group[one] != one:
            one = int(group[one])
        return one

    alike: dict[tuple[object, ...], list[int]] = {}
    for number, row in enumerate(rows):
        key = tuple(row[place[name]] for name in ("age", "sex", "height"))
        if not any(value is None or value != value for value in key):  # NaN is not equal to itself
            alike.setdefault(key, []).append(number)
    for members in alike.values():
        for k, first in enumerate(members):
            for second in members[k + 1 :]:
                near = abs(int(rows[first][place["stay_id"]]) - int(rows[second][place["stay_id"]])) <= NEAR_IDS
                if near and same_weight(rows[first][place["weight"]], rows[second][place["weight"]]):
                    group[root(second)] = root(first)
    return np.array([root(number) for number in range(len(rows))])


def same_weight(first: float, second: float) -> bool:
    """Whether two weights may be one patient's."""
    if first != first or second != second:
        return True
    return abs(first - second) <= WEIGHT_SHARE * max(first, second)
