"""Who the patients are: the 30 published parameter sets, and people like them.

A cohort draws one of its own base patients and jitters every independent parameter by a log-normal factor; the dependent ones
follow from the steady state, by the model's own definitions (Dalla Man 2007), so that every drawn patient has an exact
fixed point at their basal insulin. Train, test and shifted cohorts have disjoint base patients.
"""

import math

from medsim.core.inlining import compiled_once
from medsim.core.portable import fmax
from medsim.core.streams import Key, log_normal, normal, uniform, words
from medsim.treatments.glucose.meals import schedule_of_the_day
from medsim.treatments.glucose.model import (
    POPULATION,
    START,
    Clock,
    Memory,
    Params,
    Plate,
    Pump,
    Settings,
    State,
    Watch,
    Word,
    own_basal_u_per_h,
)
from medsim.treatments.glucose.sensor import first_nodes

GROUPS = ("adolescent", "adult", "child")  # ten rows each, in this order
JITTER_LIMIT_SD = 2.0  # chosen: no drawn patient is further than this from the base patient, in any parameter
START_LIMIT_SD = 2.0
COMPAT_START_VARIANCE = 0.1  # simglucose: variance of the start, as a share of the mean


@compiled_once
def odds_scaled(share: float, factor: float) -> float:
    """Return a share in (0, 1) with its odds multiplied by a factor."""
    odds = factor * share / (1.0 - share)
    return odds / (1.0 + odds)


@compiled_once
def jittered(p: Params, s: Settings, key: Key) -> Params:
    """Return a person like p: 25 independent parameters vary, the dependent ones are solved from the steady state."""
    cv = s.spread_cv
    cut = JITTER_LIMIT_SD
    w = words(key, 1, POPULATION)
    weight, gb, ib, use_at_basal = (
        p.weight_kg * log_normal(w[0], cv, cut),
        p.gb_mg_per_dl * log_normal(w[1], cv, cut),
        p.ib_pmol_per_l * log_normal(w[2], cv, cut),
        log_normal(w[3], cv, cut),
    )
    w = words(key, 2, POPULATION)
    kabs, kmax = p.kabs * log_normal(w[0], cv, cut), p.kmax * log_normal(w[1], cv, cut)
    kmin = kmax * odds_scaled(p.kmin / p.kmax, log_normal(w[2], cv, cut))
    b = odds_scaled(p.b, log_normal(w[3], cv, cut))
    w = words(key, 3, POPULATION)
    d = odds_scaled(p.d, log_normal(w[0], cv, cut))
    vg, vi = p.vg_dl_per_kg * log_normal(w[1], cv, cut), p.vi_l_per_kg * log_normal(w[2], cv, cut)
    vmx = p.vmx * log_normal(w[3], cv, cut)
    w = words(key, 4, POPULATION)
    km0, k2 = p.km0 * log_normal(w[0], cv, cut), p.k2 * log_normal(w[1], cv, cut)
    gt_factor, p2u = log_normal(w[2], cv, cut), p.p2u * log_normal(w[3], cv, cut)
    w = words(key, 5, POPULATION)
    m1, m2, m4 = p.m1 * log_normal(w[0], cv, cut), p.m2 * log_normal(w[1], cv, cut), p.m4 * log_normal(w[2], cv, cut)
    ki = p.ki * log_normal(w[3], cv, cut)
    w = words(key, 6, POPULATION)
    kp2, kp3 = p.kp2 * log_normal(w[0], cv, cut), p.kp3 * log_normal(w[1], cv, cut)
    kd, ksc = p.kd * log_normal(w[2], cv, cut), p.ksc * log_normal(w[3], cv, cut)
    w = words(key, 7, POPULATION)
    ka1, ka2 = p.ka1 * log_normal(w[0], cv, cut), p.ka2 * log_normal(w[1], cv, cut)

    base = steady_state(p)
    gp, gt, ip = gb * vg, base.gt_mg_per_kg * gt_factor, ib * vi
    excretion = p.ke1 * fmax(gp - p.ke2, 0.0)
    use = (p.vm0 * base.gt_mg_per_kg / (p.km0 + base.gt_mg_per_kg)) * use_at_basal
    egpb = p.fcns + excretion + use
    k1 = (use + k2 * gt) / gp
    m30 = m1 * p.m30 / p.m1  # the liver's basal extraction HEb stays what it is: m30 = HEb m1 / (1 - HEb)
    basal = ip * (m2 + m4 - m1 * m2 / (m1 + m30))
    # chosen: carbohydrate ratio and correction follow the inverse of the daily insulin, as the 500 and 1700 rules have it
    need = (basal * weight) / (p.basal_pmol_per_kg_per_min * p.weight_kg)
    return Params(
        weight, gb, ib, egpb, kabs, kmax, kmin, b, d, p.f, vg, vi, vmx, use * (km0 + gt) / gt, km0, k1, k2, p2u,
        m1, m2, m4, m30, ki, egpb + kp2 * gp + kp3 * ib, kp2, kp3, p.ke1, p.ke2, p.fcns, kd, ka1, ka2, ksc,
        basal, p.carb_ratio_g_per_u / need, p.correction_mg_per_dl_per_u / need,
    )  # fmt: skip


def steady_state(p: Params) -> State:
    """Return the fixed point at basal insulin, without a meal."""
    gp = p.gb_mg_per_dl * p.vg_dl_per_kg
    gt = (p.fcns + p.ke1 * fmax(gp - p.ke2, 0.0) - p.egpb + p.k1 * gp) / p.k2
    ip = p.ib_pmol_per_l * p.vi_l_per_kg
    isc1 = p.basal_pmol_per_kg_per_min / (p.ka1 + p.kd)
    return State(
        0.0, 0.0, 0.0, gp, gt, ip, 0.0, p.ib_pmol_per_l, p.ib_pmol_per_l, p.m2 * ip / (p.m1 + p.m30), isc1, p.kd * isc1 / p.ka2, gp
    )


def start_state(p: Params, s: Settings, key: Key) -> State:
    """Return the steady state with its glucose moved: by one factor, or as simglucose does by three independent normals."""
    x = steady_state(p)
    w = words(key, 0, START)
    if s.compat > 0.0:
        gp = x.gp_mg_per_kg + normal_with_variance(w[0], COMPAT_START_VARIANCE * x.gp_mg_per_kg)
        gt = x.gt_mg_per_kg + normal_with_variance(w[1], COMPAT_START_VARIANCE * x.gt_mg_per_kg)
        gs = x.gs_mg_per_kg + normal_with_variance(w[2], COMPAT_START_VARIANCE * x.gs_mg_per_kg)
    else:
        factor = log_normal(w[0], s.start_cv, START_LIMIT_SD)
        gp, gt, gs = x.gp_mg_per_kg * factor, x.gt_mg_per_kg * factor, x.gs_mg_per_kg * factor
    return State(
        x.qsto1_mg, x.qsto2_mg, x.qgut_mg, gp, gt, x.ip_pmol_per_kg, x.x_pmol_per_l, x.i1_pmol_per_l, x.id_pmol_per_l,
        x.il_pmol_per_kg, x.isc1_pmol_per_kg, x.isc2_pmol_per_kg, gs,
    )  # fmt: skip


def normal_with_variance(word: int, variance: float) -> float:
    """Return a normal number of mean zero."""
    return normal(word) * math.sqrt(variance)


@compiled_once
def cohort_row(s: Settings, key: Key) -> int:
    """Return the row of a base patient of the cohort."""
    w = words(key, 0, POPULATION)
    group = s.group
    if group < 0.0:
        group = float(int(3.0 * uniform(w[0])))
    within = s.first_row + float(int((s.last_row - s.first_row) * uniform(w[1])))
    return int(10.0 * group + within)


@compiled_once
def recruit(key: Key, base: Params, named: bool, s: Settings) -> tuple[State, Params, Memory]:
    """Return the patient of a new episode: someone like the base patient, or, if they are named, exactly them."""
    p = base
    if not named:
        p = jittered(base, s, key)
    return start_state(p, s, key), p, first_memory(p, s, key)


def first_memory(p: Params, s: Settings, key: Key) -> Memory:
    """Return the memory of an episode that begins: midnight, the pump at basal, the day's meals, the sensor's first nodes."""
    pump = Pump(own_basal_u_per_h(p), 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    return Memory(
        Clock(0.0, 0.0, 0.0, 0.0),
        pump,
        schedule_of_the_day(p, s, key, 0),
        Plate(0.0, 0.0, 0.0, 0.0, 0.0),
        Word(0.0, 0.0, 720.0),
        first_nodes(s, key),
        Watch(0.0, 0.0, 0.0),
    )
