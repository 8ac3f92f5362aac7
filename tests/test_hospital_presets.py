"""Ready-made hospitals: every number has a source, the published figures come out, and the loads can be carried."""

import dataclasses
import json

import numpy as np
import pytest

from medsim.cli.main import main
from medsim.hospital.calibration.comparison import by_rules
from medsim.hospital.draws import key_of
from medsim.hospital.flow.config import Arrivals, HospitalConfig, Stay, Unit
from medsim.hospital.flow.load import admitted_share, offered_load
from medsim.hospital.flow.model import FlowModel
from medsim.hospital.flow.plan import visit_rates
from medsim.hospital.presets import PRESETS, preset
from medsim.hospital.presets.academic_centre import CENSUS_RATIO
from medsim.hospital.presets.district_general import BLOCKS
from medsim.hospital.presets.metropolitan import ICU_SOURCES
from medsim.hospital.presets.rhythm import block, smoothest_day
from medsim.hospital.presets.sourced import Sourced, described
from medsim.hospital.presets.stroke_unit import stroke_unit
from medsim.hospital.theory import mean_census_profile, stroke_unit_load

GENERAL = ("district-general", "academic-centre", "metropolitan")
# settings without a number, or whose default says "none" or is not used by these disciplines
NO_NUMBER = {"name", "unit", "discipline", "choose_by", "may_hold", "blocks", "seen_in", "flexible_between", "sources", "harm"}


def emergency(config: HospitalConfig) -> Arrivals:
    return next(stream for stream in config.arrivals if stream.name == "emergency")


def week_of(config: HospitalConfig) -> np.ndarray:
    return np.array(emergency(config).rates_per_h).reshape(7, 24)


@pytest.mark.parametrize("name", PRESETS)
def test_every_number_has_a_source(name):
    config = preset(name)
    expected = set()
    for group, members, kind in (("units", config.units, Unit), ("arrivals", config.arrivals, Arrivals)):
        for member in members:
            for setting in dataclasses.fields(kind):
                value = getattr(member, setting.name)
                if setting.name not in NO_NUMBER and value != setting.default:
                    expected.add(f"{group}.{member.name}.{setting.name}")
    if name in GENERAL:
        expected |= {one.name for one in dataclasses.fields(config) if one.name not in NO_NUMBER | {"units", "arrivals"}}
    assert expected <= set(config.sources)
    assert all(len(source) > 10 for source in config.sources.values())


def test_a_number_without_a_source_is_refused():
    with pytest.raises(ValueError, match=r"units\.ed\.beds of 'x' is the number 3 without a source"):
        described("x", units={"ed": {"beds": 3}}, arrivals={}, settings={})
    stay = Sourced((Stay(mean_h=1.0, sd_h=1.0),), "chosen: a test")
    config = described("x", units={"ed": {"beds": Sourced(3, "chosen: a test"), "stays": stay}}, arrivals={}, settings={})
    assert config.sources["units.ed.beds"] == "chosen: a test"


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_survives_a_file(name):
    config = preset(name)
    assert HospitalConfig.from_dict(json.loads(json.dumps(config.as_dict(), allow_nan=False))) == config


@pytest.mark.parametrize("name", GENERAL)
def test_loads_can_be_carried_and_keep_beds_busy(name):
    loads = offered_load(preset(name))
    assert tuple(loads) == ("triage", "ed", "ward", "icu")
    for unit in ("ed", "ward", "icu"):
        assert 0.80 <= loads[unit].utilisation <= 0.95
    assert 0.85 <= loads["ed"].treating <= 0.95
    peak = week_of(preset(name)).max() * loads["triage"].mean_stay_h / preset(name).units[0].beds
    assert peak < 0.8  # triage keeps up at the busiest hour of the week


@pytest.mark.parametrize("name", GENERAL)
def test_the_units_decide_as_the_environment_needs(name):
    config = preset(name)
    _, ed, ward, icu = config.units
    assert [unit.discipline for unit in config.units] == ["fifo", "agent", "agent", "agent"]
    assert (ed.choose_by, ward.choose_by, icu.choose_by) == ("triage", "source", "source")
    assert all(unit.blocks for unit in (ed, ward, icu))
    assert config.flexible_between == ("ward", "icu")
    assert (config.manager_every_h, config.seen_in) == (4.0, "ed")
    assert len(config.groups) == 2
    assert config.scaled(0.2).units[2].beds == round(ward.beds * 0.2)


# Published figures


def test_british_arrivals_have_the_published_blocks_and_monday():
    week = week_of(preset("district-general"))
    assert week.reshape(7, 4, 6).sum(axis=(0, 2)) / week.sum() == pytest.approx(BLOCKS, abs=1e-6)
    assert BLOCKS == (0.12, 0.24, 0.36, 0.28)
    assert week[0].sum() / week.sum() == pytest.approx(0.158, abs=1e-6)
    assert week.sum() / 7.0 == pytest.approx(240.0, abs=1e-3)
    assert admitted_share(preset("district-general"), "ed") == pytest.approx(4.0 / 14.6, abs=1e-3)


def test_australian_arrivals_admissions_and_acuity_are_the_published_ones():
    config = preset("metropolitan")
    week = week_of(config)
    assert week[:, 8:20].sum() / week.sum() == pytest.approx(0.70, abs=1e-6)
    assert week[0].sum() == week.sum(axis=1).max()
    acuity = np.array(emergency(config).acuity)
    assert acuity[[0, 1, 3]] == pytest.approx([0.008, 0.13, 0.40])
    assert acuity[:3].sum() == pytest.approx(0.51)
    admitted = np.array([sum(exits.values()) for exits in config.units[1].exits])
    assert admitted_share(config, "ed") == pytest.approx(0.31, abs=1e-4)
    assert admitted[[0, 4]] == pytest.approx([0.75, 0.05])
    assert (acuity * admitted)[3:].sum() / acuity[3:].sum() == pytest.approx(0.13, abs=1e-3)
    assert config.targets_min == (0.0, 10.0, 30.0, 60.0, 120.0)


def test_australian_admissions_to_intensive_care_come_from_where_they_are_published_to():
    config = preset("metropolitan")
    visits = visit_rates(config)
    icu = config.unit_number("icu")
    parts = {}
    for name in ("ed", "ward"):
        number = config.unit_number(name)
        exits = config.units[number].exits
        parts[name] = sum(visits[k, number] * exits[k if len(exits) == 5 else 0].get("icu", 0.0) for k in range(5))
    parts["planned"] = visits[:, icu].sum() - sum(parts.values())
    for name, share in ICU_SOURCES.items():
        assert parts[name] / visits[:, icu].sum() == pytest.approx(share, abs=0.005)
    stay = config.units[icu].stays[0]
    sigma = np.sqrt(np.log1p((stay.sd_h / stay.mean_h) ** 2))
    assert stay.mean_h / 24.0 == pytest.approx(3.21)
    assert stay.mean_h / 24.0 * np.exp(-(sigma**2) / 2.0) == pytest.approx(1.79, abs=0.005)  # the published median


def test_american_census_is_three_times_as_high_in_the_evening_as_at_dawn():
    from scipy import stats

    config = preset("academic-centre")
    day = week_of(config).mean(axis=0)
    ed = config.units[1]
    laws = []
    for share, stay in zip(emergency(config).acuity, ed.stays, strict=True):
        sigma = np.sqrt(np.log1p((stay.sd_h / stay.mean_h) ** 2))
        laws.append((share, stats.lognorm(sigma, scale=stay.mean_h * np.exp(-(sigma**2) / 2.0)), stay.mean_h))

    mean = sum(share * one for share, _, one in laws)
    census = mean_census_profile(day, lambda age: sum(share * law.sf(age) for share, law, _ in laws), mean)  # at the full hours
    assert census[19] / census[6] == pytest.approx(CENSUS_RATIO, rel=1e-3)
    assert round(CENSUS_RATIO, 2) == 3.05


def test_american_mistriage_is_that_of_the_published_counts():
    config = preset("academic-centre")
    assert config.under_triage == pytest.approx(176_131 / 5_315_176, abs=5e-4)
    assert config.over_triage == pytest.approx(1_537_129 / 5_315_176, abs=5e-4)


def test_the_stroke_unit_has_the_offered_loads_of_its_paper():
    loads = offered_load(preset("stroke-unit"))
    assert loads["acute"].load == pytest.approx(stroke_unit_load("acute"), rel=1e-12)
    assert loads["rehab"].load == pytest.approx(stroke_unit_load("rehabilitation"), rel=1e-12)


def test_a_stroke_unit_with_beds_without_end_delays_as_the_paper_says():
    config = stroke_unit(acute_beds=1000, rehab_beds=1000)
    start = tuple(
        dataclasses.replace(unit, start_share=load.utilisation)
        for unit, load in zip(config.units, offered_load(config).values(), strict=True)
    )
    model = FlowModel(dataclasses.replace(config, units=start), key_of(1), horizon_h=24.0 * 365 * 30, log=False)
    counts = []

    def look():
        while True:
            yield model.env.timeout(24.0)
            counts.append(int(model.s.occupied[0]))

    model.env.process(look())
    model.run()
    present = np.array(counts)
    assert (present == 10).sum() / (present <= 10).sum() == pytest.approx(0.14, abs=0.02)  # ten beds: .14 in table 2
    assert present.mean() == pytest.approx(8.3555, rel=0.03)


def test_waits_in_the_metropolitan_hospital_are_like_those_of_australia():
    config = by_rules(preset("metropolitan"))
    model = FlowModel(config, key_of(2), horizon_h=24.0 * 21)
    model.run()
    log = model.log.frame()
    arrived = log[log.event == "arrives"].set_index("patient").time_h
    seen = log[(log.event == "gets a bed") & (log.place == "ed") & (log.time_h > 168.0)]
    waits = seen.time_h.to_numpy() - arrived.reindex(seen.patient).to_numpy()
    known = ~np.isnan(waits)
    targets = np.array(config.targets_min)[seen.triage.to_numpy() - 1] / 60.0
    on_time = (waits <= np.maximum(targets, 2.0 / 60.0))[known].mean()
    assert on_time == pytest.approx(0.72, abs=0.08)  # AIHW 2017-18: 72 % seen on time
    assert np.quantile(waits[known], 0.5) < 19.0 / 60.0 < np.quantile(waits[known], 0.75)  # median 19 min there


# Loads, rhythms


def test_offered_load_solves_the_traffic_equations_of_a_network_with_feedback():
    config = HospitalConfig(
        name="network",
        units=(
            Unit(name="ed", beds=10, stays=(Stay(mean_h=1.25, sd_h=1.0),), exits=({"ward": 0.25, "icu": 0.08},)),
            Unit(name="ward", beds=35, stays=(Stay(mean_h=12.5, sd_h=1.0),), exits=({"icu": 0.05},)),
            Unit(name="icu", beds=20, stays=(Stay(mean_h=20.0, sd_h=1.0),), exits=({"ward": 0.70},), clinicians=(16,)),
        ),
        arrivals=(Arrivals(name="door", unit="ed", rates_per_h=(6.0,)),),
    )
    loads = offered_load(config)
    assert [load.rate_per_h for load in loads.values()] == pytest.approx([6.0, 1.902591, 0.575130], abs=1e-6)
    assert loads["icu"].load == pytest.approx(0.575130 * 20.0, abs=1e-4)
    assert loads["icu"].utilisation == pytest.approx(loads["icu"].load / 20.0)
    assert loads["icu"].treating == pytest.approx(loads["icu"].load / 16.0)
    assert admitted_share(config, "ed") == pytest.approx(0.33)
    with pytest.raises(ValueError, match="'theatre'"):
        admitted_share(config, "theatre")


def test_the_smoothest_day_is_flat_unless_told_otherwise():
    assert smoothest_day([]) == pytest.approx(np.full(24, 1.0 / 24.0))
    day = smoothest_day([(block(0, 12), 0.4)])
    assert day[:12].sum() == pytest.approx(0.4)
    assert day.sum() == pytest.approx(1.0)


def test_days_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="contradict each other"):
        smoothest_day([(block(0, 12), 0.4), (block(12, 24), 0.4)])
    with pytest.raises(ValueError, match="negative share"):
        smoothest_day([(block(11, 13), 0.9)])


# The command


def test_presets_are_listed_and_described(capsys):
    assert main(["hospital", "presets"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in PRESETS)
    undecided = [line.split()[0] for line in out.splitlines() if "nobody decides in it" in line]
    assert undecided == ["stroke-unit"]
    assert "half their size unless size=1" in out
    assert main(["hospital", "presets", "district-general"]) == 0
    out = capsys.readouterr().out
    assert "units.icu.beds: chosen" in out
    assert "not medical advice" in out
    assert main(["hospital", "presets", "stroke-unit", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["loads"]["acute"]["load"] == pytest.approx(8.3555, abs=1e-4)
    assert main(["hospital", "presets", "cottage"]) == 2
    assert "no preset is called 'cottage'; there are district-general" in capsys.readouterr().err


def test_theory_answers_as_the_tables_do(capsys):
    assert main(["hospital", "theory", "mmc", "--lam", "9", "--mu", "1", "--servers", "10", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["mean_wait"] == pytest.approx(0.668732, abs=1e-6)
    assert facts["wait_90_percent"] == pytest.approx(1.900212, abs=1e-6)
    assert main(["hospital", "theory", "erlang-b", "--load", "3", "--servers", "5", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["p_blocked"] == pytest.approx(0.11005435, abs=1e-8)
    assert main(["hospital", "theory", "staffing", "--load", "20", "--wait", "0.2"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("servers           26\n")  # 25, of the square-root rule, make 20.9 % wait
    assert "square-root rule  25 (0.209)" in text
    assert text.endswith("Research simulation, not medical advice.\n")
    assert main(["hospital", "theory", "staffing", "--load", "20", "--wait", "0.2", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["p_wait"] <= 0.2 < facts["square_root_rule"]["p_wait"]
    assert facts["note"] == "Research simulation, not medical advice."
    assert main(["hospital", "theory", "mmc", "--lam", "11", "--mu", "1", "--servers", "10"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
