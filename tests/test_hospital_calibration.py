"""Hospitals fitted to encounter tables: what was put in comes out, censored stays do not bias, bad rows are named, and back-tests judge."""

import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from medsim.cli.main import main
from medsim.hospital.calibration import MAPPINGS, fit_hospital, read_table, renamed, tidy
from medsim.hospital.calibration.arrivals import dispersion, fit_rates, weekly_counts
from medsim.hospital.calibration.capacity import census_by_hour, occupancy_quantile
from medsim.hospital.calibration.comparison import as_of, back_test, between_runs
from medsim.hospital.calibration.routing import wilson
from medsim.hospital.calibration.simulated import encounter_table
from medsim.hospital.calibration.stays import fit_stays, frozen_stay, kaplan_meier, ks_distance
from medsim.hospital.draws import key_of
from medsim.hospital.flow.config import Arrivals, HospitalConfig, Stay, Unit
from medsim.hospital.flow.config_file import read_hospital
from medsim.hospital.flow.environment import hospital_flow_task
from medsim.hospital.flow.model import FlowModel

MONDAY = pd.Timestamp("2024-01-01")
ACUITY = (0.02, 0.13, 0.35, 0.40, 0.10)
ADMITTED = (0.8, 0.6, 0.4, 0.15, 0.05)
ED_MU, ED_SIGMA, WARD_MU, WARD_SIGMA = 1.0, 0.6, 4.0, 0.9
HOURLY = 3.0 * (1.0 + 0.5 * np.sin(2.0 * np.pi * (np.arange(24) - 9.0) / 24.0))


def known_table(seed: int, days: int = 84, monday: float = 1.3) -> pd.DataFrame:
    """Return a table drawn without the simulator: Poisson arrivals, lognormal stays, no queues, cut off at the end of the last day."""
    rng = np.random.default_rng(seed)
    factor = np.where(np.arange(days) % 7 == 0, monday, (7.0 - monday) / 6.0)
    counts = rng.poisson(factor[:, None] * HOURLY[None, :])
    arrival = np.sort(np.repeat(np.arange(24 * days), counts.ravel()) + rng.random(counts.sum()))
    acuity = rng.choice(5, size=len(arrival), p=ACUITY)
    out = arrival + rng.lognormal(ED_MU, ED_SIGMA, len(arrival))
    admitted = rng.random(len(arrival)) < np.array(ADMITTED)[acuity]
    home = out + rng.lognormal(WARD_MU, WARD_SIGMA, len(arrival))
    number = np.arange(len(arrival))
    ed = pd.DataFrame({"encounter": number, "arrival_time": arrival, "triage_acuity": acuity + 1, "unit": "ed", "in": arrival, "out": out})
    ward = ed.assign(unit="ward", **{"in": out, "out": home})[admitted]
    table = pd.concat([ed, ward]).sort_values(["encounter", "in"]).rename(columns={"in": "unit_in", "out": "unit_out"})
    end = 24.0 * days
    table = table[table["unit_in"] < end]
    table["unit_out"] = table["unit_out"].where(table["unit_out"] < end)
    for name in ("arrival_time", "unit_in", "unit_out"):
        table[name] = MONDAY + pd.to_timedelta(table[name], unit="h")
    return table.reset_index(drop=True)


@pytest.fixture(scope="module")
def known_fit():
    return fit_hospital(known_table(1), end="2024-03-25 00:00:00")


# Arrivals


def test_hourly_and_weekday_rates_are_recovered(known_fit):
    (stream,) = known_fit.arrivals
    assert stream.shapes[0].name == "hour x weekday"
    week = stream.rates_per_h.reshape(7, 24)
    true = np.array([1.3, *[5.7 / 6.0] * 6])[:, None] * HOURLY[None, :]
    by_hour, expected = week.mean(axis=0), true.mean(axis=0)
    assert np.abs((by_hour - expected) / np.sqrt(expected / 84.0)).max() < 4.0
    assert week[0].sum() / week.mean(axis=0).sum() == pytest.approx(1.3, abs=4.0 * np.sqrt(1.3 / (12.0 * 72.0)))


def test_arrivals_that_know_no_weekday_get_no_weekday():
    (stream,) = fit_hospital(known_table(2, monday=1.0)).arrivals
    assert stream.shapes[0].name == "hour"


def test_a_few_arrivals_get_one_rate():
    rng = np.random.default_rng(3)
    counts, watched = weekly_counts(np.sort(rng.uniform(0.0, 336.0, 30)), 0, 336)
    assert fit_rates(counts, watched)[0].name == "constant"
    assert fit_rates(counts, watched)[0].rates_per_h[0] == pytest.approx(30.0 / 336.0)


def test_the_product_shape_meets_both_margins_of_the_counts():
    rng = np.random.default_rng(4)
    times = np.sort(rng.uniform(0.0, 1000.0, 4000))
    counts, watched = weekly_counts(times, 5, 990)
    shape = next(one for one in fit_rates(counts, watched) if one.name == "hour x weekday")
    expected = (shape.rates_per_h * watched.sum(axis=0)).reshape(7, 24)
    seen = counts.sum(axis=0).reshape(7, 24)
    assert expected.sum(axis=0) == pytest.approx(seen.sum(axis=0), rel=1e-9)
    assert expected.sum(axis=1) == pytest.approx(seen.sum(axis=1), rel=1e-9)


@pytest.mark.parametrize("level", [0.15, 6.0])
@pytest.mark.parametrize("per", ["hour", "day"])
def test_the_dispersion_test_rejects_one_poisson_table_in_twenty(level, per):
    rng = np.random.default_rng(5)
    rates = level * np.tile(HOURLY / HOURLY.mean(), 7)
    tests = [dispersion(rng.poisson(np.tile(rates, (8, 1))).astype(float), per) for _ in range(800)]
    rejected = np.mean([test.overdispersed for test in tests])
    assert rejected == pytest.approx(0.05, abs=4.0 * np.sqrt(0.05 * 0.95 / 800))
    values = np.array([test.p_value for test in tests])
    assert values.mean() == pytest.approx(0.5, abs=4.0 * 0.2887 / np.sqrt(800))
    assert values.std() == pytest.approx(0.2887, abs=4.0 * 0.129 / np.sqrt(800))  # as spread as a uniform number


def test_the_dispersion_test_finds_rates_that_vary_from_hour_to_hour():
    rng = np.random.default_rng(6)
    mixed = rng.gamma(4.0, 0.25, (60, 8, 168))  # a coefficient of variation of 0.5
    found = [dispersion(rng.poisson(6.0 * one).astype(float)).overdispersed for one in mixed]
    assert np.mean(found) > 0.95


def test_good_and_bad_days_are_seen_by_day_rather_than_by_hour():
    rng = np.random.default_rng(7)
    days = np.repeat(rng.gamma(64.0, 1.0 / 64.0, (60, 8, 7)), 24, axis=2)  # a coefficient of variation of 0.125
    counts = [rng.poisson(6.0 * one).astype(float) for one in days]
    by_day, by_hour = (np.mean([dispersion(one, per).overdispersed for one in counts]) for per in ("day", "hour"))
    assert by_day > 0.9
    assert by_hour < by_day


# Routing, acuity


def test_routing_by_acuity_and_the_mix_are_recovered(known_fit):
    (stream,) = known_fit.arrivals
    assert stream.acuity == pytest.approx(ACUITY, abs=4.0 * np.sqrt(0.25 / stream.count))
    ed = next(unit for unit in known_fit.units if unit.name == "ed")
    for acuity, true in enumerate(ADMITTED, start=1):
        found = next(one for one in ed.routing.transitions if one.acuity == acuity and one.target == "ward")
        low, high = wilson(found.count, found.departures, z=4.0)
        assert low <= true <= high
        assert ed.routing.exits[acuity - 1]["ward"] == found.share


def test_wilsons_interval_is_that_of_the_textbook():
    assert wilson(5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    with pytest.raises(ValueError, match="3 of 2"):
        wilson(3, 2)


# Stays


def test_stays_of_the_table_are_recovered_within_their_errors(known_fit):
    for unit, true in zip(known_fit.units, ((ED_MU, ED_SIGMA), (WARD_MU, WARD_SIGMA)), strict=True):
        assert unit.stays.best.family == "lognormal"
        gaps = (np.array(unit.stays.best.parameters) - true) / np.array(unit.stays.best.errors)
        assert np.abs(gaps).max() < 4.0
        assert unit.stays.best.ks < 1.36 / np.sqrt(unit.stays.ended)


def test_censored_stays_count_and_leaving_them_out_is_biased():
    rng = np.random.default_rng(8)
    began = rng.uniform(0.0, 240.0, 4000)
    whole = rng.lognormal(WARD_MU, WARD_SIGMA, 4000)  # a mean of 82 h, in a table of ten days
    over = began + whole <= 240.0
    lengths = np.where(over, whole, 240.0 - began)
    ours, naive = fit_stays(lengths, over).best, fit_stays(lengths[over], np.ones(over.sum(), dtype=bool)).best
    assert abs(ours.parameters[0] - WARD_MU) < 4.0 * ours.errors[0]
    assert abs(ours.parameters[1] - WARD_SIGMA) < 4.0 * ours.errors[1]
    assert naive.mean_h < 0.75 * np.exp(WARD_MU + WARD_SIGMA**2 / 2.0)
    assert naive.parameters[0] < WARD_MU - 10.0 * naive.errors[0]


def test_without_censoring_the_lognormal_is_that_of_the_logarithms_moments():
    lengths = np.random.default_rng(9).lognormal(1.0, 0.5, 500)
    laws = fit_stays(lengths, np.ones(500, dtype=bool)).laws
    law = next(one for one in laws if one.family == "lognormal")
    assert law.parameters == pytest.approx((np.log(lengths).mean(), np.log(lengths).std()), abs=1e-6)
    assert law.errors == pytest.approx((law.parameters[1] / np.sqrt(500), law.parameters[1] / np.sqrt(1000)), rel=1e-3)


def test_a_censored_exponential_is_total_time_over_ended_stays():
    rng = np.random.default_rng(10)
    whole = rng.exponential(5.0, 300)
    over = whole < 6.0
    law = next(one for one in fit_stays(np.minimum(whole, 6.0), over).laws if one.family == "exponential")
    assert law.parameters[0] == pytest.approx(np.minimum(whole, 6.0).sum() / over.sum())
    assert law.errors[0] == pytest.approx(law.parameters[0] / np.sqrt(over.sum()), rel=1e-3)


@pytest.mark.parametrize(
    ("family", "draw"),
    [
        ("weibull", lambda rng: 10.0 * rng.weibull(2.5, 3000)),
        ("gamma", lambda rng: rng.gamma(3.0, 4.0, 3000)),
        ("exponential", lambda rng: rng.exponential(7.0, 3000)),
    ],
)
def test_the_best_law_is_the_one_that_was_drawn_and_what_is_taken_keeps_its_mean(family, draw):
    lengths = draw(np.random.default_rng(11))
    fit = fit_stays(lengths, np.ones(len(lengths), dtype=bool))
    assert fit.best.family == family
    assert fit.taken.mean_h == pytest.approx(lengths.mean(), rel=0.01)
    assert fit.taken.sd_h == pytest.approx(lengths.std(), rel=0.1)
    assert fit.taken.law == ("exponential" if family == "exponential" else "lognormal")
    assert fit.taken_ks > 1.5 * fit.best.ks or family == "exponential"


def test_exponential_stays_stay_exponential_though_chance_lets_another_law_win():
    taken, others = [], 0
    for seed in range(40):
        lengths = np.random.default_rng(seed).exponential(6.0, 200)
        over = lengths < 15.0
        fit = fit_stays(np.minimum(lengths, 15.0), over)
        others += fit.best.family != "exponential"
        taken.append(fit.taken.law)
        ended = np.minimum(lengths, 15.0)
        lognormal = Stay(mean_h=fit.best.mean_h, sd_h=fit.best.sd_h)
        assert fit.taken_ks < ks_distance(ended, over, frozen_stay(lognormal))
        assert fit.taken.mean_h == pytest.approx(fit.best.mean_h)  # the load stays as it is
    assert others >= 3
    assert taken.count("exponential") == 40


def test_stays_that_are_all_the_same_are_constant():
    fit = fit_stays(np.full(40, 2.5), np.ones(40, dtype=bool))
    assert (fit.taken.law, fit.taken.mean_h) == ("constant", 2.5)


def test_stays_of_which_none_has_ended_are_refused():
    with pytest.raises(ValueError, match="of 3 none has"):
        fit_stays(np.ones(3), np.zeros(3, dtype=bool))


def test_kaplan_meier_by_hand():
    times, share = kaplan_meier(np.array([1.0, 2.0, 2.0, 3.0, 4.0]), np.array([True, True, False, True, False]))
    assert times.tolist() == [1.0, 2.0, 3.0]
    assert share == pytest.approx([0.2, 0.4, 0.7])


# Capacity and patience


def test_census_and_its_quantiles_by_hand():
    starts, ends = np.array([0.0, 1.0, 2.0]), np.array([10.0, 3.0, 2.5])
    assert occupancy_quantile(starts, ends) == 3
    assert occupancy_quantile(starts, ends, 0.9) == 2  # three are there for half an hour of ten
    assert occupancy_quantile(starts, np.array([1.0, 2.0, 3.0])) == 1  # who leaves makes room for who comes at the same moment
    assert census_by_hour(starts, ends, 0.0, 24.0)[:4].tolist() == [1.0, 2.0, 3.0, 1.0]


def test_capacities_are_the_largest_census_unless_given(known_fit):
    given = fit_hospital(known_table(1), capacities={"ward": 200}, capacity_quantile=0.9)
    beds = {unit.name: unit.beds for unit in given.config.units}
    assert beds["ward"] == 200
    assert beds["ed"] < known_fit.config.units[0].beds == known_fit.units[0].use.largest
    assert given.config.sources["units.ward.beds"] == "given"
    with pytest.raises(ValueError, match="'icu'"):
        fit_hospital(known_table(1), capacities={"icu": 3})


# A simulated hospital comes back


KNOWN = HospitalConfig(
    name="known",
    units=(
        Unit(
            name="ed", beds=18, clinicians=(14,), discipline="priority", blocks=True, patience_h=(10.0,) * 5,
            stays=(Stay(mean_h=3.0, sd_h=2.0),), exits=({"ward": 0.7}, {"ward": 0.5}, {"ward": 0.3}, {"ward": 0.1}, {}),
        ),
        Unit(name="ward", beds=60, discipline="fifo", stays=(Stay(mean_h=50.0, sd_h=40.0),)),
    ),
    arrivals=(Arrivals(name="door", unit="ed", rates_per_h=tuple(1.4 * HOURLY), acuity=ACUITY),),
    seen_in="ed",
)  # fmt: skip


@pytest.fixture(scope="module")
def simulated_table():
    model = FlowModel(KNOWN, key_of(3), horizon_h=24.0 * 70)
    model.run()
    return encounter_table(model.log.frame(), KNOWN)


def test_a_simulated_hospital_is_recovered_from_its_event_log(simulated_table):
    fit = fit_hospital(simulated_table)
    ed, ward = fit.units
    (stream,) = fit.arrivals
    true = np.tile(1.4 * HOURLY, 7)
    assert stream.count == pytest.approx(true.mean() * 24 * 70, abs=4.0 * np.sqrt(true.mean() * 24 * 70))
    assert not any(test.p_value < 0.001 for test in stream.dispersion)
    assert ed.use.treating == 14  # the clinicians: who boards is not in treatment
    for unit, stay in ((ed, KNOWN.units[0].stays[0]), (ward, KNOWN.units[1].stays[0])):
        assert unit.stays.best.mean_h == pytest.approx(stay.mean_h, rel=4.0 * stay.sd_h / stay.mean_h / np.sqrt(unit.stays.ended))
        assert unit.stays.best.family == "lognormal"
    left = sum(ed.patience.left)
    assert sum(ed.patience.waited_h) / left == pytest.approx(10.0, rel=4.0 / np.sqrt(left))
    assert fit.config.seen_in == "ed"


def test_a_fitted_hospital_passes_its_back_test_and_one_with_too_few_beds_does_not(simulated_table):
    table = tidy(renamed(simulated_table))
    good = back_test(table, hold_out=0.4, replications=39)
    assert good.level == pytest.approx(0.95)
    assert all(0.0 <= one.low <= one.simulated <= one.high for one in good.figures)
    assert good.census_mape["ed"] < 0.08
    assert good.census_mape["ward"] < 0.15
    assert sum(one.inside for one in good.figures) >= len(good.figures) - 1
    assert good.fit.table.end < table.end
    wrong = back_test(table, hold_out=0.4, replications=4, capacities={"ed": 11})
    waits = next(one for one in wrong.figures if one.name.startswith("mean wait"))
    assert waits.simulated > 2.0 * waits.observed
    assert not waits.inside
    assert "OUTSIDE" in wrong.report()


def test_an_interval_of_runs_holds_one_more_run_as_often_as_it_says_and_nothing_impossible():
    runs = np.random.default_rng(13).exponential(1.0, (4000, 20)) ** 2.0  # as skewed as waits; mean +- t s would begin below 0
    level = 19 / 21
    inside = [low <= one[0] <= high for one in np.split(runs, 4000) for one in one for low, high in [between_runs(one[1:], 18 / 20)]]
    assert np.mean(inside) == pytest.approx(18 / 20, abs=4.0 * np.sqrt(0.09 / 4000))
    low, high = between_runs(runs[0], level)
    assert (low, high) == pytest.approx((runs[0].min(), runs[0].max()))


def test_a_fitted_hospital_starts_with_the_beds_taken_that_are_taken_at_midnight(simulated_table):
    fit = fit_hospital(simulated_table)
    table = fit.table
    for number, unit in enumerate(fit.config.units):
        there = table.unit == number
        midnights = np.arange(36, 69) * 24.0
        left = np.where(np.isnan(table.left), np.inf, table.left)
        counts = [(there & (table.began <= hour) & (left > hour)).sum() for hour in midnights]
        assert unit.start_share == pytest.approx(np.mean(counts) / unit.beds, rel=0.02)
        model = FlowModel(fit.config, key_of(0), horizon_h=1.0)
        assert model.s.occupied[number] >= 0.9 * min(unit.start_share * unit.beds, *(unit.clinicians or (unit.beds,)))
    assert fit.config.units[1].start_share > 0.5
    assert "taken at the start" in fit.report()
    assert "start_share" in " ".join(fit.config.sources)


def test_the_report_shows_the_offered_load_and_warns_of_a_unit_that_cannot_carry_it(simulated_table):
    fit = fit_hospital(simulated_table)
    assert "in use by offered load" in fit.report()
    load = fit.loads["ward"].load
    tight = fit_hospital(simulated_table, capacities={"ward": int(load)})
    assert any("offered load of 'ward' is 10" in note and "without bound" in note for note in tight.notes)
    roomy = fit_hospital(simulated_table, capacities={"ward": int(load / 0.9)})
    assert not any("offered load of 'ward'" in note for note in roomy.notes)


def test_a_table_as_of_an_earlier_hour_knows_nothing_later(simulated_table):
    table = tidy(renamed(simulated_table))
    cut = 500.0
    earlier = as_of(table, cut)
    for name in ("arrival", "came", "began", "ended", "left"):
        assert np.nanmax(getattr(earlier, name)) <= cut
    kept = table.where(table.arrival < cut)
    assert np.isnan(earlier.left).sum() > np.isnan(kept.left).sum()
    assert not (earlier.unseen & np.isnan(earlier.left)).any()


# Tables


HEADER = "encounter,arrival_time,triage_acuity,provider_time,disposition_time,unit,unit_in,unit_out"
GOOD = "1,2024-01-01 08:00:00,3,2024-01-01 09:00:00,2024-01-01 11:00:00,ed,2024-01-01 08:05:00,2024-01-01 12:00:00"


def written(tmp_path, *rows: str):
    path = tmp_path / "encounters.csv"
    path.write_text("\n".join([HEADER, GOOD, *rows]) + "\n", encoding="utf-8")
    return path


def tidied(path):
    frame, bad = read_table(path)
    return tidy(renamed(frame), bad_rows=bad)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("2,yesterday,3,,,ed,2024-01-01 08:05:00,2024-01-01 12:00:00", "arrival_time 'yesterday' is no time"),
        ("2,01/02/2024,3,,,ed,2024-01-01 08:05:00,2024-01-01 12:00:00", "arrival_time '01/02/2024' is no time"),
        ("2,2024-01-01T08:00:00Z,3,,,ed,,2024-01-01 12:00:00", "has a time zone"),
        ("2,,3,,,ed,2024-01-01 08:05:00,2024-01-01 12:00:00", "arrival_time is missing"),
        ("2,2024-01-01 08:00:00,3,,,ed,2024-01-01 09:00:00,2024-01-01 08:30:00", "unit_out is before unit_in"),
        ("2,2024-01-01 08:00:00,3,,,ed,2024-01-01 07:00:00,2024-01-01 08:30:00", "unit_in is before arrival_time"),
        ("2,2024-01-01 08:00:00,7,,,ed,2024-01-01 08:05:00,2024-01-01 12:00:00", "triage_acuity '7' is none of 1 to 5"),
        ("2,2024-01-01 08:00:00,-1,,,ed,2024-01-01 08:05:00,2024-01-01 12:00:00", "triage_acuity '-1' is none of 1 to 5"),
        ("2,2024-01-01 08:00:00,red,,,ed,2024-01-01 08:05:00,2024-01-01 12:00:00", "triage_acuity 'red' is none of 1 to 5"),
        ("2,2024-01-01 08:00:00,3,,,,2024-01-01 08:05:00,2024-01-01 12:00:00", "the unit is missing"),
        (",2024-01-01 08:00:00,3,,,ed,2024-01-01 08:05:00,2024-01-01 12:00:00", "the encounter is missing"),
        (
            "2,2024-01-01 08:00:00,3,2024-01-01 10:00:00,2024-01-01 09:00:00,ed,,2024-01-01 12:00:00",
            "disposition_time is before provider_time",
        ),
        ("2,2024-01-01 08:00:00,3,,,ed", "has 6 fields, the header 8"),
        (GOOD, "repeats an earlier row"),
    ],
)
def test_a_bad_row_is_reported_by_its_line_and_reason(row, reason, tmp_path):
    table = tidied(written(tmp_path, "", "5,2024-01-01 10:00:00,2,,,ed,2024-01-01 10:00:00,2024-01-01 12:00:00", row))
    (bad,) = table.bad
    assert bad.line == 5  # the blank line 3 counts
    assert reason in bad.reason
    assert table.rows == 3
    assert len(table.unit) == 2


def test_with_a_bad_row_its_encounter_leaves_and_is_counted(tmp_path):
    table = tidied(written(
        tmp_path,
        "2,2024-01-01 08:00:00,3,,,ed,2024-01-01 08:00:00,2024-01-01 10:00:00",
        "2,2024-01-01 08:00:00,3,,,ward,2024-01-01 09:00:00,2024-01-02 10:00:00",
        "2,2024-01-01 08:00:00,3,,,rehab,2024-01-02 10:00:00,2024-01-03 10:00:00",
    ))  # fmt: skip
    assert [(one.line, one.reason) for one in table.bad] == [(4, "unit_in is before the encounter's stay before has ended")]
    assert (table.rows, len(table.unit), table.with_bad) == (4, 1, 2)


def test_treatment_and_boarding_are_told_apart(tmp_path):
    table = tidied(written(tmp_path))
    assert (table.came[0], table.began[0], table.ended[0], table.left[0]) == (8.0, 9.0, 11.0, 12.0)


def test_a_table_without_rows_or_arrivals_says_what_it_needs(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(ValueError, match="needs a column arrival_time; it has a, b"):
        tidied(path)
    path.write_text("arrival_time\nnever\n", encoding="utf-8")
    with pytest.raises(ValueError, match="no row of the table has an arrival_time"):
        tidied(path)


def test_mimic_names_are_mapped_and_who_left_unseen_is_known():
    arrivals = [MONDAY + pd.Timedelta(hours=hour) for hour in range(30)]
    frame = pd.DataFrame({
        "subject_id": range(30), "stay_id": range(100, 130), "intime": arrivals,
        "outtime": [one + pd.Timedelta(hours=2 + k % 3) for k, one in enumerate(arrivals)], "acuity": [float(1 + k % 5) for k in range(30)],
        "disposition": ["LEFT WITHOUT BEING SEEN" if k % 10 == 0 else "HOME" for k in range(30)],
    })  # fmt: skip
    fit = fit_hospital(frame, mapping=MAPPINGS["mimic-iv-ed"])
    assert fit.table.units == ("ed",)
    assert sum(fit.units[0].patience.left) == 3
    assert fit.units[0].stays.ended == 27


def test_a_person_with_two_arrivals_is_two_encounters():
    frame = pd.DataFrame({
        "patient": ["a", "a"], "arrival_time": ["2024-01-01 08:00", "2024-01-05 08:00"],
        "unit_in": ["2024-01-01 08:00", "2024-01-05 08:00"], "unit_out": ["2024-01-01 10:00", "2024-01-05 10:00"],
    })  # fmt: skip
    table = tidy(renamed(frame))
    assert table.first.sum() == 2
    assert not table.bad


# The command


@pytest.fixture
def csv(tmp_path):
    path = tmp_path / "known.csv"
    known_table(12, days=35).to_csv(path, index=False)
    return path


def test_fit_writes_a_configuration_that_can_be_read_back_and_run(csv, tmp_path, capsys):
    out, report = tmp_path / "deep" / "config.json", tmp_path / "report.md"
    assert main(["hospital", "fit", str(csv), "--out", str(out), "--report", str(report), "--capacity", "ward=140"]) == 0
    text = capsys.readouterr().out
    for phrase in ("0 bad", "dispersion by hour", "KS", "Wilson", "not medical advice"):
        assert phrase in text
    config = HospitalConfig.from_dict(json.loads(out.read_text(encoding="utf-8")))
    assert [unit.beds for unit in config.units][1] == 140
    assert config == read_hospital(out)
    assert "not medical advice" in config.sources["note"]
    assert "nobody decides in it: add --agent UNIT" in text
    model = FlowModel(config, key_of(0), horizon_h=48.0)
    model.run()
    assert model.metrics()["occupied_ed_share"] > 0.0
    assert "arrivals" in report.read_text(encoding="utf-8")


def test_units_with_agents_are_decided_for_in_the_environment(csv, tmp_path, capsys):
    out = tmp_path / "config.json"
    assert main(["hospital", "fit", str(csv), "--agent", "ed", "--agent", "ward", "--out", str(out)]) == 0
    task = hospital_flow_task(config=str(out))
    assert task.agents == ("ed", "ward")
    assert "nobody decides" not in capsys.readouterr().out
    assert [unit.choose_by for unit in task.hospital.units] == ["triage", "source"]
    assert {row.source for row in task.provenance() if row.name == "units.ed.beds"} == {task.hospital.sources["units.ed.beds"]}
    assert main(["hospital", "fit", str(csv), "--agent", "icu"]) == 2
    assert "unit with an agent must be one of 'ed', 'ward', not 'icu'" in capsys.readouterr().err


def test_fit_in_json_holds_what_the_report_prints(csv, capsys):
    assert main(["hospital", "fit", str(csv), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["rows"]["bad"] == []
    assert record["arrivals"][0]["dispersion"][0]["weeks"] == 5
    assert HospitalConfig.from_dict(record["config"]).name == "known"


def test_strict_reports_bad_rows_refuses_and_leaves_files_as_they_are(tmp_path, capsys):
    path = written(tmp_path, "2,2024-01-01 08:00:00,9,,,ed,2024-01-01 08:05:00,2024-01-01 12:00:00")
    out = tmp_path / "config.json"
    out.write_text("before", encoding="utf-8")
    assert main(["hospital", "fit", str(path), "--strict", "--out", str(out)]) == 2
    captured = capsys.readouterr()
    assert "line 3: triage_acuity '9'" in captured.out
    assert "1 bad rows" in captured.err
    assert out.read_text(encoding="utf-8") == "before"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["config.json", "encounters.csv"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--map", "arrival_time"], "--map needs THEIRS=OURS"),
        (["--map", "nothing=unit_in"], "the table has no column 'nothing'"),
        (["--map", "unit=ward_name"], "not to 'ward_name'"),
        (["--mapping", "epic"], "--mapping must be one of mimic-iv-ed, not 'epic'"),
        (["--capacity", "ward"], "--capacity needs UNIT=BEDS"),
        (["--discipline", "lifo"], "discipline must be one of"),
        (["--capacity-quantile", "2"], "capacity_quantile must be"),
        (["--end", "tomorrow"], "the end of the table must be a time"),
    ],
)
def test_wrong_use_of_fit_is_one_line_that_names_the_value(arguments, message, csv, capsys):
    assert main(["hospital", "fit", str(csv), *arguments]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1


def test_a_missing_file_is_one_line(tmp_path, capsys):
    assert main(["hospital", "fit", str(tmp_path / "none.csv")]) == 2
    assert "none.csv" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "roles"),
    [
        (["--out", "known.csv"], "the table (known.csv) and --out (known.csv) are the same file"),
        (["--report", "here/../known.csv"], "the table (known.csv) and --report"),
        (["--report", "link.csv"], "the table (known.csv) and --report (link.csv)"),
        (["--out", "x", "--report", "./here/../x"], "--out (x) and --report"),
        (["--out", "here"], "--out needs a file's name, and here is a folder"),
        (["--report", "known.csv/x"], "cannot be written"),
    ],
)
def test_a_fit_never_writes_over_its_table_or_its_own_files(arguments, roles, csv, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    os.link(csv, tmp_path / "link.csv")
    before, names = csv.read_bytes(), sorted(one.name for one in tmp_path.iterdir())
    assert main(["hospital", "fit", "known.csv", *arguments]) == 2
    captured = capsys.readouterr()
    assert roles in captured.err
    assert captured.out == ""  # before anything is fitted
    assert csv.read_bytes() == before
    assert sorted(one.name for one in tmp_path.iterdir()) == names


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04\xff\xfe\x00\x00", "is no CSV text in UTF-8"),
        (b"arrival_time\n" + b"x" * 200_000, "field larger than field limit"),
        (b"arrival_time;unit;unit_out\n1;2;3\n", "looks separated by ';'"),
        (b"arrival_time\tunit\n1\t2\n", "looks separated by tabs"),
        (b"", "is empty"),
        (b"arrival_time\n2024-03-05 14:30:00\n", "an end is needed as well, in a column unit_out or departure_time"),
    ],
)
def test_a_file_that_is_no_table_is_one_line_that_says_why(content, message, tmp_path, capsys):
    path = tmp_path / "odd.csv"
    path.write_bytes(content)
    assert main(["hospital", "fit", str(path)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert "odd.csv" in error or "unit 'ed'" in error


@pytest.mark.parametrize(
    "content",
    [
        '{"name": "x", "un', "[1]", "", "null", '{"name": "x"}', '{"name": "x", "units": 5}', '{"name": "x", "units": [1], "arrivals": []}',
        '{"name": "x", "units": [{"name": "ed", "beds": 1}], "arrivals": []}', '{"name": "x", "units": [], "arrivals": [], "color": 1}',
    ],
)  # fmt: skip
def test_a_file_that_describes_no_hospital_is_named_in_one_line(content, tmp_path):
    path = tmp_path / "odd.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=r"odd\.json") as caught:
        read_hospital(path)
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match=r"cannot read '.*none.json'"):
        read_hospital(tmp_path / "none.json")


def test_a_reader_who_leaves_early_ends_the_command_quietly_with_its_files_written(csv, tmp_path):
    reading, writing = os.pipe()
    os.close(reading)
    out = tmp_path / "config.json"
    command = [sys.executable, "-m", "medsim.cli.main", "hospital", "fit", str(csv), "--out", str(out)]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=120, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")
    assert read_hospital(out).name == "known"
