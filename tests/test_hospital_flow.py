"""What happens to patients in a hospital: nobody is lost, time is counted exactly, chance does not depend on decisions."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from medsim.hospital.draws import key_of
from medsim.hospital.flow.config import Arrivals, HospitalConfig, Stay, Unit
from medsim.hospital.flow.hospitals import Hospitals
from medsim.hospital.flow.model import FlowModel
from medsim.hospital.flow.rules import next_arrival_h, residual_stay_h
from medsim.hospital.harm import NO_HARM, HarmModel
from tests.hospitals import queue, small_hospital


def play(config: HospitalConfig, *, seed: int = 1, hours: float = 168.0, act: Callable[[Any], int] | None = None) -> FlowModel:
    """Play an episode on SimPy; by default every agent takes the first patient that it may."""
    model = FlowModel(config, key_of(seed), horizon_h=hours)
    model.run()
    while model.request is not None:
        legal = np.flatnonzero(model.request.mask)
        model.answer(int(legal[min(1, len(legal) - 1)]) if act is None else act(model.request))
        model.run()
    return model


def nothing(request: Any) -> int:
    return 0


EXTREMES: dict[str, HospitalConfig] = {
    "nobody comes": small_hospital(arrivals=(Arrivals(name="none", unit="triage", rates_per_h=(0.0,)),)),
    "nobody works": small_hospital(
        units=tuple(
            replace(u, clinicians=(0,) * 24 if u.clinicians else (), nurses=(0,) if u.nurses else ()) for u in small_hospital().units
        ),
        float_nurses=0,
    ),
    "no beds": small_hospital(units=tuple(replace(u, beds=0, start_share=0.0) for u in small_hospital().units), flexible_beds=0),
    "ten times too many": small_hospital(
        arrivals=tuple(replace(a, rates_per_h=tuple(10.0 * r for r in a.rates_per_h)) for a in small_hospital().arrivals)
    ),
    "as it is": small_hospital(),
}  # fmt: skip


@pytest.mark.parametrize("act", [None, nothing], ids=["first legal", "nothing"])
@pytest.mark.parametrize("name", EXTREMES)
def test_whatever_happens_nobody_is_lost_and_littles_law_holds(name: str, act: Any) -> None:
    model = play(EXTREMES[name], act=act)
    frame = model.log.frame()
    came = set(frame.loc[frame["event"] == "arrives", "patient"])
    gone = set(frame.loc[frame["event"].isin(["goes home", "leaves unseen", "is turned away"]), "patient"])
    present = {patient.number for patient in model.people()}
    starters = {number for number in gone | present if number >= 1 << 30}
    assert (gone | present) - starters == came
    assert not gone & present
    assert model.time_h == pytest.approx(168.0)
    np.testing.assert_allclose(model.t.bed_h, model.t.bed_sum_h, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(model.t.queue_h, model.t.queue_sum_h, rtol=1e-9, atol=1e-9)
    assert (model.s.occupied == [sum(one is not None for one in ward.beds) for ward in model.wards]).all()
    assert (model.s.queued == model.s.waiting.sum(axis=(1, 2))).all()
    if name == "nobody comes":
        assert not came
    if name in ("nobody works", "no beds"):
        assert not ((frame["event"] == "gets a bed") & (frame["place"] == "ed")).any()


def test_an_overloaded_year_passes() -> None:
    config = EXTREMES["ten times too many"]
    hospitals = Hospitals(config, 1, horizon_h=24.0 * 365)
    hospitals.seed(1)
    hospitals.reset()
    decisions = 0
    while hospitals.agent[0] >= 0:
        legal = np.flatnonzero(hospitals.masks[0])
        hospitals.answer(np.array([legal[-1]]))
        decisions += 1
    assert decisions > 10_000
    assert hospitals.s.clock[0, 0] == pytest.approx(24.0 * 365)
    for integral, by_person in ((hospitals.t.bed_h, hospitals.t.bed_sum_h), (hospitals.t.queue_h, hospitals.t.queue_sum_h)):
        np.testing.assert_allclose(integral, by_person, rtol=1e-9, atol=1e-6)


def test_two_policies_meet_the_same_arrivals_acuities_and_stays() -> None:
    busy, idle = play(small_hospital()), play(small_hospital(), act=nothing)
    columns = ["time_h", "patient", "acuity", "triage"]
    first, second = (model.log.frame().query("event == 'arrives'")[columns].reset_index(drop=True) for model in (busy, idle))
    assert first.equals(second)
    assert len(first) > 100
    assert len(busy.log.rows) != len(idle.log.rows)


def test_a_patients_stay_does_not_depend_on_when_they_get_the_bed() -> None:
    def stays(act: Any) -> dict[int, float]:
        frame = play(queue((0.5,), mean_h=1.0, beds=4), hours=400.0, act=act).log.frame()
        got = frame.query("event == 'gets a bed'").set_index("patient")["time_h"]
        home = frame.query("event == 'goes home'").set_index("patient")["time_h"]
        return (home - got).dropna().to_dict()

    one = stays(None)
    frame = play(queue((0.5,), mean_h=1.0, beds=1), hours=400.0).log.frame()  # one bed: everybody begins later
    got, home = (frame.query(f"event == '{event}'").set_index("patient")["time_h"] for event in ("gets a bed", "goes home"))
    crowded = (home - got).dropna()
    common = [number for number in crowded.index if number in one]
    assert len(common) > 50
    np.testing.assert_allclose([one[number] for number in common], crowded[common], rtol=1e-9, atol=1e-12)


def test_arrivals_follow_the_hours_of_the_day() -> None:
    rates = np.array([2.0 + 1.5 * np.sin(2.0 * np.pi * hour / 24.0) for hour in range(24)])
    table = np.tile(rates, 7)[None]
    key, time_h, candidate, counts = key_of(3), 0.0, 0, np.zeros(24)
    days = 400
    while True:
        time_h, candidate = next_arrival_h(key, 0, candidate, time_h, 24.0 * days, table, float(rates.max()))
        if time_h > 24.0 * days:
            break
        counts[int(time_h) % 24] += 1
    z = (counts - rates * days) / np.sqrt(rates * days)
    assert np.abs(z).max() < 4.0
    assert 10.0 < (z**2).sum() < 50.0  # chi-square of 24 cells: neither too even nor too uneven


def test_the_true_acuity_is_hidden_and_triage_errs_as_often_as_it_says() -> None:
    config = small_hospital(under_triage=0.3, over_triage=0.1)
    arrivals = (Arrivals(name="emergency", unit="triage", rates_per_h=(20.0,), acuity=(0.0, 0.0, 1.0, 0.0, 0.0)),)
    frame = play(replace(config, arrivals=arrivals), act=nothing, hours=300.0).log.frame().query("event == 'arrives'")
    n = len(frame)
    under = 0.7 * 0.3 + 0.3 * 0.45  # the second group is under-triaged half as often again
    for triage, share in ((4, under), (2, 0.1), (3, 1.0 - under - 0.1)):
        assert abs((frame["triage"] == triage).mean() - share) < 4.0 * np.sqrt(share * (1.0 - share) / n)
    assert n > 4000
    twin = play(replace(config, arrivals=arrivals, under_triage=0.0, over_triage=0.0), act=nothing, hours=300.0)
    assert (twin.log.frame().query("event == 'arrives'")["triage"] == 3).all()


def test_who_is_met_in_the_middle_of_a_stay_has_the_equilibrium_residual() -> None:
    """Mean residual of a lognormal stay: E[S^2] / (2 E[S]); of a constant one, half of it."""
    mu, sigma = 1.0, 0.7
    draws = np.array([residual_stay_h(key_of(5), number, 0, mu, sigma) for number in range(20_000)])
    exact = np.exp(2.0 * mu + 2.0 * sigma**2) / (2.0 * np.exp(mu + 0.5 * sigma**2))
    assert draws.mean() == pytest.approx(exact, abs=4.0 * draws.std() / np.sqrt(len(draws)))
    constant = np.array([residual_stay_h(key_of(5), number, 2, 6.0, 0.0) for number in range(20_000)])
    assert constant.mean() == pytest.approx(3.0, abs=4.0 * constant.std() / np.sqrt(len(constant)))


def test_a_ward_that_starts_in_its_steady_state_stays_in_it() -> None:
    config = HospitalConfig(
        name="ward",
        units=(Unit(name="ward", beds=60, stays=(Stay(mean_h=40.0, sd_h=40.0),), start_share=50.0 / 60.0),),
        arrivals=(Arrivals(name="in", unit="ward", rates_per_h=(50.0 / 40.0,)),),
    )
    hospitals = Hospitals(replace(config, units=(replace(config.units[0], beds=600, start_share=50.0 / 600.0),)), 400, horizon_h=12.0)
    hospitals.seed(1)
    hospitals.reset()
    occupied = hospitals.s.occupied[:, 0]
    assert occupied.mean() == pytest.approx(
        50.0, abs=4.0 * occupied.std() / 20.0
    )  # M/G/inf at its mean stays there, if residuals are right


def test_a_crowded_unit_sends_people_home_earlier() -> None:
    calm, crowded = (
        play(queue((1.0,), mean_h=5.0, beds=5, crowding_from=0.5, crowding=crowding), hours=500.0).t.bed_sum_h[0] for crowding in (0.0, 1.0)
    )
    assert crowded < 0.9 * calm


def test_stepping_down_early_frees_a_bed_and_brings_some_back() -> None:
    config = small_hospital(readmission_per_day_cut=5.0)  # nearly everybody comes back

    def early(request: Any) -> int:
        return int(np.flatnonzero(request.mask)[-1])

    frame = play(config, hours=5000.0, act=early).log.frame()
    stepped = set(frame.loc[frame["event"] == "is stepped down early", "patient"])
    assert len(stepped) > 10
    icu = frame.query("event == 'gets a bed' and place == 'icu'").groupby("patient").size()
    back = sum(icu.get(patient, 0) >= 2 or (patient >= 1 << 30 and icu.get(patient, 0) >= 1) for patient in stepped)
    assert back > 0.4 * len(stepped)


def test_the_manager_moves_beds_and_nurses() -> None:
    config = small_hospital()
    model = FlowModel(config, key_of(1), horizon_h=24.0)
    model.run()
    assert model.request is not None
    assert model.request.agent == "bed_manager"
    ward, icu, ed = (config.unit_number(name) for name in ("ward", "icu", "ed"))
    before = model.s.opened.copy(), model.s.nursing.copy(), model.s.working.copy()
    model.answer(1 + 3 * 2 + 2)  # nurses to the third unit with nurses (icu), all flexible beds to icu
    model.run()
    assert model.s.opened[icu] == config.units[icu].beds + 2
    assert model.s.opened[ward] == config.units[ward].beds
    assert model.s.nursing[icu] == config.units[icu].nurses[0] + 1
    assert before[0][icu] == config.units[icu].beds + 1  # half of them at the start
    assert model.s.working[ed] == before[2][ed] - 1  # a float nurse in the emergency department treats, too


# Rewards and costs


def test_waiting_is_weighted_by_true_acuity_and_counted_to_the_minute() -> None:
    config = queue((1.0,), mean_h=1.0)
    model = play(config, hours=300.0)
    ledger = model.drain()
    assert ledger.terms["waiting"] == pytest.approx(-16.0 * float(model.t.queue_h[0]), rel=1e-9)
    frame = model.log.frame()
    asked, got = (frame.query(f"event == '{event}'").set_index("patient")["time_h"] for event in ("asks for a bed", "gets a bed"))
    waited = (got.reindex(asked.index).fillna(300.0) - asked).sum()
    assert float(model.t.queue_h[0]) == pytest.approx(waited, rel=1e-9)


def test_breaches_count_everybody_who_is_late_the_waiting_and_the_lost_too() -> None:
    config = replace(queue((3.0,), mean_h=1.0, patience_h=(1.0,) * 5), targets_min=(15.0,) * 5)
    model = play(config, hours=200.0)
    frame = model.log.frame()
    ends = frame[frame["event"].isin(["gets a bed", "leaves unseen"])].set_index("patient")["time_h"]
    came = frame.query("event == 'arrives'").set_index("patient")["time_h"]
    late = ((ends.reindex(came.index).fillna(200.0) - came) > 0.25).sum()
    assert model.drain().costs["target_breaches"] == late > 20


def test_harm_can_be_taken_out_and_grows_with_the_odds_ratio() -> None:
    def deaths(harm: HarmModel) -> float:
        return float(play(small_hospital(harm=harm), act=icu_takes_nobody).drain().costs["expected_excess_deaths"])

    def icu_takes_nobody(request: Any) -> int:
        return 0 if request.agent == "icu" else int(np.flatnonzero(request.mask)[-1])

    none, usual, double = deaths(NO_HARM), deaths(HarmModel()), deaths(HarmModel(odds_ratio_per_icu_delay_hour=1.06))
    assert none == 0.0
    assert 0.0 < usual < double


def test_excess_risk_is_that_of_the_cohort() -> None:
    """Churpek 2016: 24.5 % within no delay; +3 % odds an hour gives 25.6, 26.8, 27.9, 31.6, 39.7 % at 2, 4, 6, 12, 24 h."""
    harm = HarmModel()
    risks = [harm.icu_base_risk + harm.of_icu_delay(hours) for hours in (0.0, 2.0, 4.0, 6.0, 12.0, 24.0)]
    np.testing.assert_allclose(risks, [0.245, 0.256, 0.268, 0.279, 0.316, 0.397], atol=6e-4)
    assert harm.of_admission_delay(5.0) == 0.0
    assert harm.of_admission_delay(7.0) == pytest.approx(0.08 * 0.0871, rel=0.02)  # Jones 2022: 8 % more deaths at 6 to 8 h
    assert harm.of_admission_delay(30.0) == harm.of_admission_delay(12.0)  # nothing is extrapolated
    with pytest.raises(ValueError, match=r"icu_base_risk .* not 1\.5"):
        HarmModel(icu_base_risk=1.5)


def test_boarding_counts_beyond_four_hours_for_those_who_hold_a_bed() -> None:
    def slow(request: Any) -> int:
        return 0 if request.agent == "ward" and len(held) % 40 != 39 and not held.append(1) else int(np.flatnonzero(request.mask)[-1])

    held: list[int] = []
    model = play(small_hospital(), hours=300.0, act=slow)
    frame = model.log.frame()
    beyond = 0.0
    for number, events in frame.groupby("patient"):
        unit, asked = "ward" if number >= 1 << 30 else "", None  # who is there at the start lies in some bed
        for row in events.itertuples():
            if row.event == "asks for a bed":
                asked = (row.time_h, unit)
            elif row.event == "gets a bed":
                if asked is not None and asked[1] in ("ed", "ward", "icu"):
                    beyond += max(row.time_h - asked[0] - 4.0, 0.0)
                unit, asked = row.place, None
        if asked is not None and asked[1] in ("ed", "ward", "icu"):
            beyond += max(300.0 - asked[0] - 4.0, 0.0)
    counted = model.drain().costs["boarding_above_4_h"]
    assert counted > 50.0
    assert counted == pytest.approx(beyond, rel=1e-9)


def test_waits_beyond_the_target_are_late() -> None:
    config = replace(queue((3.0,), mean_h=0.5, beds=2), targets_min=(12.0,) * 5)
    model = play(config, hours=300.0)
    frame = model.log.frame()
    asked, got = (frame.query(f"event == '{event}'").set_index("patient")["time_h"] for event in ("asks for a bed", "gets a bed"))
    assert model.t.late.sum() == ((got - asked).dropna() > 0.2).sum() > 20


def test_a_unit_with_too_few_nurses_is_counted_unsafe() -> None:
    config = queue((5.0,), mean_h=1.0, beds=10, nurses=(1,), patients_per_nurse=2.0)
    model = play(config, hours=200.0)
    unsafe_h = model.drain().costs["unsafe_nurse_ratio_h"]
    assert 120.0 < unsafe_h < 190.0  # M/M/10 at load 5: more than 2 patients 87 % of the time


# Configurations


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda: Stay(mean_h=-1.0), r"mean_h of a stay.*-1"),
        (lambda: Stay(mean_h=1.0, law="normal"), "'lognormal'.*'normal'"),
        (lambda: Stay(mean_h=1.0), "lognormal stay needs an sd_h"),
        (lambda: Unit(name="a", beds=-1, stays=(Stay(law="constant", mean_h=1.0),)), "beds of unit 'a'.*-1"),
        (lambda: Unit(name="a", beds=1, stays=(Stay(law="constant", mean_h=1.0),) * 2), "stays of unit 'a'"),
        (
            lambda: Unit(name="a", beds=1, stays=(Stay(law="constant", mean_h=1.0),), exits=({"b": 0.7, "c": 0.7},)),
            "sum to 1 at most, not 1.4",
        ),
        (lambda: Arrivals(name="x", unit="a", rates_per_h=(1.0, 2.0)), "rates_per_h of arrivals 'x'"),
        (lambda: small_hospital(seen_in="nowhere"), "'triage'.*'nowhere'"),
        (lambda: small_hospital(flexible_between=("ward", "attic")), "'attic'"),
        (lambda: small_hospital().scaled(0.0), "factor.*0"),
        (lambda: HospitalConfig.from_dict({**small_hospital().as_dict(), "colour": 1}), "'colour'"),
    ],
)
def test_a_hospital_that_cannot_be_is_refused_by_name(change: Callable[[], Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        change()


def test_a_configuration_survives_being_written_down() -> None:
    import json

    config = small_hospital()
    again = HospitalConfig.from_dict(json.loads(json.dumps(config.as_dict())))
    assert again == config
