"""Stays that are likely of one patient are found, and no division of stays parts them."""

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("torch")

from medsim_perception.ehr.patients import likely_patients


def table(**changes):
    columns = {
        "stay_id": [100, 900, 50_000, 1000, 1100],
        "age": [60.0, 60.0, 60.0, 60.0, 61.0],
        "sex": ["Male", "Male", "Male", "Female", "Male"],
        "height": [180.0, 180.0, 180.0, 180.0, 180.0],
        "weight": [80.0, 83.0, 80.0, 80.0, 80.0],
    }
    return pd.DataFrame({**columns, **changes})


def groups(static):
    return likely_patients(static).tolist()


def test_stays_alike_with_near_ids_are_one_patients_and_others_are_not():
    assert groups(table()) == [0, 0, 2, 3, 4]


def test_weights_too_far_apart_part_them_and_unknown_ones_do_not():
    assert groups(table(weight=[80.0, 95.0, 80.0, 80.0, 80.0]))[:2] == [0, 1]
    assert groups(table(weight=[80.0, np.nan, 80.0, 80.0, 80.0]))[:2] == [0, 0]


def test_a_stay_of_unknown_height_stands_alone():
    assert groups(table(height=[np.nan, np.nan, 180.0, 180.0, 180.0]))[:2] == [0, 1]


def test_likeness_is_carried_from_stay_to_stay():
    static = table(stay_id=[100, 2900, 5800, 1000, 1100])
    assert len(set(groups(static)[:3])) == 1  # the first and the third are not near, the second is near to both


def test_no_fold_of_the_real_stays_parts_a_patient():
    pytest.importorskip("sklearn")
    from sklearn.model_selection import StratifiedGroupKFold

    from medsim_perception.real_data import icu_demo

    try:
        tables = icu_demo("mortality24")
    except FileNotFoundError as absent:
        pytest.skip(str(absent))
    patients = likely_patients(tables.static)
    died = tables.outcome.set_index("stay_id")["label"].reindex(tables.static["stay_id"]).to_numpy()
    assert 50 < len(patients) - len(set(patients.tolist())) < 200
    for train, test in StratifiedGroupKFold(5, shuffle=True, random_state=0).split(died, died, patients):
        assert not set(patients[train]) & set(patients[test])
