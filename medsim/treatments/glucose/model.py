"""How glucose and insulin move: the UVA/Padova type 1 diabetes model of 2008, the pump and the meals that drive it.

The 13 equations are those of Dalla Man, Rizza and Cobelli (IEEE Trans Biomed Eng 2007;54:1740-1749) without secretion and with
subcutaneous insulin (Kovatchev, Breton, Dalla Man, Cobelli, J Diabetes Sci Technol 2009;3:44-55), in the form and with the
30 parameter sets that the open simulator simglucose distributes. Symbols are the papers'.
"""

from typing import NamedTuple

from medsim.core.portable import exp, fmax, fmin, round_half_up, tanh, where
from medsim.core.streams import Key, uniform, words

# The purposes of the random streams (numbers are part of the environment's version: never renumber).
POPULATION, START, MEALS, COUNTING, NOISE, DROPOUT, OCCLUSION = 1, 2, 3, 4, 5, 6, 7

MINUTES_PER_DAY = 1440.0
EATING_RATE_G_PER_MIN = 5.0  # simglucose t1dpatient.py, EAT_RATE
PMOL_PER_U = 6000.0  # 1 U of insulin = 6 nmol
MG_PER_G = 1000.0
NO_MEAL = -1.0


class State(NamedTuple):
    """The physiology of one patient."""

    qsto1_mg: float  # glucose in the stomach, solid
    qsto2_mg: float  # glucose in the stomach, liquid
    qgut_mg: float  # glucose in the intestine
    gp_mg_per_kg: float  # glucose in plasma and rapidly equilibrating tissue
    gt_mg_per_kg: float  # glucose in slowly equilibrating tissue
    ip_pmol_per_kg: float  # insulin in plasma
    x_pmol_per_l: float  # insulin's action on glucose use
    i1_pmol_per_l: float  # delayed insulin signal, first compartment
    id_pmol_per_l: float  # delayed insulin signal, on glucose production
    il_pmol_per_kg: float  # insulin in the liver
    isc1_pmol_per_kg: float  # insulin under the skin, non-monomeric
    isc2_pmol_per_kg: float  # insulin under the skin, monomeric
    gs_mg_per_kg: float  # subcutaneous glucose


class Params(NamedTuple):
    """One patient; names and units follow ``treatments/data/t1d_patients.csv``."""

    weight_kg: float
    gb_mg_per_dl: float  # basal glucose
    ib_pmol_per_l: float  # basal insulin
    egpb: float  # basal glucose production, mg/kg/min
    kabs: float  # /min, absorption from the gut
    kmax: float  # /min, fastest emptying of the stomach
    kmin: float  # /min, slowest emptying of the stomach
    b: float  # share of the dose at which emptying falls half-way
    d: float  # share of the dose at which emptying is back half-way
    f: float  # share of gut absorption that appears in plasma
    vg_dl_per_kg: float
    vi_l_per_kg: float
    vmx: float  # mg/kg/min per pmol/l, insulin sensitivity of glucose use
    vm0: float  # mg/kg/min, glucose use at basal insulin
    km0: float  # mg/kg
    k1: float  # /min, plasma to tissue
    k2: float  # /min, tissue to plasma
    p2u: float  # /min, rate of insulin's action on glucose use
    m1: float  # /min, liver to plasma
    m2: float  # /min, plasma to liver
    m4: float  # /min, loss of insulin from plasma
    m30: float  # /min, loss of insulin in the liver
    ki: float  # /min, delay of insulin's action on production
    kp1: float  # mg/kg/min, production at zero glucose and insulin
    kp2: float  # /min, liver glucose effectiveness
    kp3: float  # mg/kg/min per pmol/l, insulin's action on the liver
    ke1: float  # /min, renal excretion
    ke2: float  # mg/kg, renal threshold
    fcns: float  # mg/kg/min, use by brain and red cells
    kd: float  # /min, insulin dissociation under the skin
    ka1: float  # /min, absorption of non-monomeric insulin
    ka2: float  # /min, absorption of monomeric insulin
    ksc: float  # /min, plasma to subcutaneous glucose
    basal_pmol_per_kg_per_min: float  # insulin that holds basal glucose (u2ss)
    carb_ratio_g_per_u: float  # carbohydrate covered by one unit
    correction_mg_per_dl_per_u: float  # fall of glucose by one unit


class Drive(NamedTuple):
    """What enters the body, constant over one minute."""

    carbs_mg_per_min: float
    insulin_pmol_per_kg_per_min: float
    eaten: float  # 1 once there has been a meal
    rise_per_mg: float  # 5 / (2 D (1 - b)), and
    rise_at_mg: float  # b D: where the emptying of the stomach speeds up; D is the size of the meal in it,
    fall_per_mg: float  # 5 / (2 D d), and
    fall_at_mg: float  # d D: where it slows down: its content at the first bite and what has been eaten since
    appearance_per_kg_per_min: float  # f kabs / weight
    per_vi_kg_per_l: float  # 1 / Vi


class Clock(NamedTuple):
    """Time since the start of the episode, and of the day."""

    minute: float
    minute_of_day: float
    day: float
    step: float


class Pump(NamedTuple):
    """What was asked of the pump and what it does; insulin on board is the pump's own estimate."""

    basal_u_per_h: float
    bolus_u: float
    delivered_u_per_min: float
    over_limit_u: float
    blocked_until_minute: float
    on_board_1_u: float
    on_board_2_u: float


class Schedule(NamedTuple):
    """Today's meals: minute of the day (or NO_MEAL) and grams of carbohydrate."""

    minute_0: float
    minute_1: float
    minute_2: float
    minute_3: float
    minute_4: float
    minute_5: float
    carbs_0_g: float
    carbs_1_g: float
    carbs_2_g: float
    carbs_3_g: float
    carbs_4_g: float
    carbs_5_g: float


class Plate(NamedTuple):
    """The meal being eaten."""

    planned_g: float  # begun, but not yet swallowed
    eating: float
    stomach_at_first_bite_mg: float
    eaten_g: float
    begun_g: float  # carbohydrate of the meals that began in this step


class Word(NamedTuple):
    """What the patient has told the agent of the meals."""

    announced_g: float  # for the coming step
    last_announced_g: float
    minutes_since: float


class Sensor(NamedTuple):
    """The sensor's noise at four of its 15-minute nodes, and its readings."""

    node: float
    innovation: float  # the autoregressive state at the newest node
    noise_before: float
    noise_here: float
    noise_next: float
    noise_after: float
    gap: float
    age_min: float
    last_reading: float
    cgm: float  # what is shown; then the ones before it
    cgm_1: float
    cgm_2: float
    cgm_3: float
    cgm_4: float
    cgm_5: float
    cgm_6: float
    cgm_7: float
    cgm_8: float
    cgm_9: float
    cgm_10: float
    cgm_11: float


class Watch(NamedTuple):
    """What the objective remembers."""

    low_minutes: float  # minutes in a row below the severe threshold
    glucose_sum: float  # over the ends of this step's minutes but the last (compatibility mode)
    risk: float  # of the previous reading (compatibility mode)


class Memory(NamedTuple):
    """Everything about an episode that is not physiology."""

    clock: Clock
    pump: Pump
    schedule: Schedule
    plate: Plate
    word: Word
    sensor: Sensor
    watch: Watch


class Settings(NamedTuple):
    """Numbers that hold for all patients of an environment, as the kernels read them."""

    step_min: float
    intervals: float  # minutes a step
    substeps: float  # integration steps a minute
    horizon_steps: float
    action_kind: float  # 0 grid of basal multiples, 1 doses, 2 simglucose's U/min
    bolus: float  # 1 if the action has a bolus
    compat: float  # 1: simglucose's reward, termination and reading
    first_row: float  # patients of the cohort: this row up to last_row of each group of ten
    last_row: float
    group: float  # -1 all, 0 adolescents, 1 adults, 2 children
    spread_cv: float
    start_cv: float
    scale_meals: float  # 1: children eat by weight
    announce_meals: float
    counting_sd: float
    unannounced_meal: float  # probability
    sensor_dropout: float  # share of readings
    occlusions_per_day: float
    early_end_penalty: float
    scripted: float  # 1: the meals below each day instead of random ones
    script_minute_0: float = NO_MEAL
    script_minute_1: float = NO_MEAL
    script_minute_2: float = NO_MEAL
    script_minute_3: float = NO_MEAL
    script_minute_4: float = NO_MEAL
    script_minute_5: float = NO_MEAL
    script_carbs_0_g: float = 0.0
    script_carbs_1_g: float = 0.0
    script_carbs_2_g: float = 0.0
    script_carbs_3_g: float = 0.0
    script_carbs_4_g: float = 0.0
    script_carbs_5_g: float = 0.0


class Action(NamedTuple):
    """A dose order: grid index (and unused), or basal U/h and bolus U, or U/min (and unused)."""

    first: float
    second: float


def derivative(x: State, u: Drive, p: Params) -> State:
    """Return dx/dt per minute; free of branches, so that a batch vectorises."""
    qsto = x.qsto1_mg + x.qsto2_mg
    bend = tanh(u.rise_per_mg * (qsto - u.rise_at_mg)) - tanh(u.fall_per_mg * (qsto - u.fall_at_mg)) + 2.0
    kgut = where(u.eaten > 0.0, p.kmin + (p.kmax - p.kmin) * 0.5 * bend, p.kmax)
    appearance = u.appearance_per_kg_per_min * x.qgut_mg
    production = fmax(p.kp1 - p.kp2 * x.gp_mg_per_kg - p.kp3 * x.id_pmol_per_l, 0.0)
    excretion = p.ke1 * fmax(x.gp_mg_per_kg - p.ke2, 0.0)
    exchange = p.k1 * x.gp_mg_per_kg - p.k2 * x.gt_mg_per_kg
    use = (p.vm0 + p.vmx * x.x_pmol_per_l) * x.gt_mg_per_kg / (p.km0 + x.gt_mg_per_kg)
    insulin = x.ip_pmol_per_kg * u.per_vi_kg_per_l
    gp = production + appearance - p.fcns - excretion - exchange
    ip = p.m1 * x.il_pmol_per_kg + p.ka1 * x.isc1_pmol_per_kg + p.ka2 * x.isc2_pmol_per_kg - (p.m2 + p.m4) * x.ip_pmol_per_kg
    il = p.m2 * x.ip_pmol_per_kg - (p.m1 + p.m30) * x.il_pmol_per_kg
    isc1 = u.insulin_pmol_per_kg_per_min - (p.ka1 + p.kd) * x.isc1_pmol_per_kg
    isc2 = p.kd * x.isc1_pmol_per_kg - p.ka2 * x.isc2_pmol_per_kg
    gs = p.ksc * (x.gp_mg_per_kg - x.gs_mg_per_kg)
    return State(
        u.carbs_mg_per_min - p.kmax * x.qsto1_mg,
        p.kmax * x.qsto1_mg - kgut * x.qsto2_mg,
        kgut * x.qsto2_mg - p.kabs * x.qgut_mg,
        where(x.gp_mg_per_kg >= 0.0, gp, 0.0),
        where(x.gt_mg_per_kg >= 0.0, exchange - use, 0.0),
        where(x.ip_pmol_per_kg >= 0.0, ip, 0.0),
        p.p2u * (insulin - p.ib_pmol_per_l - x.x_pmol_per_l),
        p.ki * (insulin - x.i1_pmol_per_l),
        p.ki * (x.i1_pmol_per_l - x.id_pmol_per_l),
        where(x.il_pmol_per_kg >= 0.0, il, 0.0),
        where(x.isc1_pmol_per_kg >= 0.0, isc1, 0.0),
        where(x.isc2_pmol_per_kg >= 0.0, isc2, 0.0),
        where(x.gs_mg_per_kg >= 0.0, gs, 0.0),
    )


def drive(carbs_mg_per_min: float, insulin_u_per_min: float, dbar_mg: float, p: Params) -> Drive:
    """Return what enters a patient, with all that the derivative can be spared.

    Args:
        dbar_mg: size of the meal in the stomach: its content at the first bite and what has been eaten since; 0 before any meal.
    """
    insulin = insulin_u_per_min * PMOL_PER_U / p.weight_kg
    d = fmax(dbar_mg, 1e-9)
    return Drive(
        carbs_mg_per_min,
        insulin,
        where(dbar_mg > 0.0, 1.0, 0.0),
        2.5 / (d * (1.0 - p.b)),
        p.b * d,
        2.5 / (d * p.d),
        p.d * d,
        p.f * p.kabs / p.weight_kg,
        1.0 / p.vi_l_per_kg,
    )


def plasma_glucose_mg_per_dl(x: State, p: Params) -> float:
    """Return the blood glucose, which reward, costs and the end of an episode are about."""
    return x.gp_mg_per_kg / p.vg_dl_per_kg


def subcutaneous_glucose_mg_per_dl(x: State, p: Params) -> float:
    """Return the glucose that the sensor sees; it follows plasma with a lag of 1 / ksc, about 15 minutes."""
    return x.gs_mg_per_kg / p.vg_dl_per_kg


def own_basal_u_per_h(p: Params) -> float:
    """Return the insulin rate that holds this patient's basal glucose."""
    return p.basal_pmol_per_kg_per_min * p.weight_kg * 60.0 / PMOL_PER_U


# --- the pump -----------------------------------------------------------------------------------------------------------

BASAL_MULTIPLES = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)  # chosen: off to ten times, which covers a meal in half an hour
BOLUS_HOURS = (0.0, 1.0, 2.0, 4.0, 8.0)  # chosen: a bolus as hours of the patient's own basal insulin, free of body size
QUANTUM_U_PER_H = 0.05  # Insulet OmniPod user guide: basal rates in steps of 0.05 U/h
QUANTUM_U = 0.05  # and boluses in steps of 0.05 U
PUMP_BASAL_U_PER_H = 30.0  # and no basal rate above 30 U/h
PUMP_BOLUS_U = 30.0  # and no bolus above 30 U
BASAL_LIMIT_MULTIPLE = 10.0  # chosen: the pump is programmed to refuse more than ten times the patient's own basal rate
ON_BOARD_RATE_PER_MIN = 1.0 / 55.0  # t_max,I = 55 min, Hovorka et al., Physiol Meas 2004;25:905-920
OCCLUSION_MIN_MINUTES, OCCLUSION_MAX_MINUTES = 60.0, 300.0  # chosen: until the pump's alarm is heard
EXACT_RATE = 3.0  # the action_kind of the bare physiology: U/min, as they come
COMPAT_QUANTUM_PMOL_PER_MIN = 0.05  # simglucose pump_params.csv, inc_basal


def program_pump(x: State, m: Memory, p: Params, a: Action, s: Settings, key: Key) -> Memory:
    """Program the pump for the coming step with the agent's order, cut to what the pump can and may do."""
    own = own_basal_u_per_h(p)
    basal_asked, bolus_asked = order_in_units(a, own, s)
    if s.action_kind == EXACT_RATE:
        basal, bolus, over = basal_asked, 0.0, 0.0
    elif s.action_kind == 2.0:
        pmol = round_half_up(basal_asked / 60.0 * PMOL_PER_U / COMPAT_QUANTUM_PMOL_PER_MIN) * COMPAT_QUANTUM_PMOL_PER_MIN
        basal, bolus, over = fmin(pmol / PMOL_PER_U, 30.0) * 60.0, 0.0, 0.0
    else:
        limit = fmin(BASAL_LIMIT_MULTIPLE * own, PUMP_BASAL_U_PER_H)
        over = fmax(basal_asked - limit, 0.0) * s.step_min / 60.0 + fmax(bolus_asked - PUMP_BOLUS_U, 0.0)
        basal = round_half_up(fmin(basal_asked, limit) / QUANTUM_U_PER_H) * QUANTUM_U_PER_H
        bolus = round_half_up(fmin(bolus_asked, PUMP_BOLUS_U) / QUANTUM_U) * QUANTUM_U
    blocked_until = occlusion(m, s, key)
    flow = where(m.clock.minute < blocked_until, 0.0, basal / 60.0 + bolus / s.step_min)
    board_1, board_2 = insulin_on_board(m.pump, basal * s.step_min / 60.0 + bolus - own * s.step_min / 60.0, s.step_min)
    pump = Pump(basal, bolus, flow, over, blocked_until, board_1, board_2)
    clock = Clock(m.clock.minute, m.clock.minute_of_day, m.clock.day, m.clock.step + 1.0)
    watch = Watch(m.watch.low_minutes, -subcutaneous_glucose_mg_per_dl(x, p), m.watch.risk)  # its first minute adds it back
    plate = Plate(m.plate.planned_g, m.plate.eating, m.plate.stomach_at_first_bite_mg, m.plate.eaten_g, 0.0)
    return Memory(clock, pump, m.schedule, plate, m.word, m.sensor, watch)


def order_in_units(a: Action, own_u_per_h: float, s: Settings) -> tuple[float, float]:
    """Return the action as basal U/h and bolus U, before the pump's limits."""
    if s.action_kind == 0.0:
        index = int(a.first)
        hours = 0.0
        if s.bolus > 0.0:
            hours = BOLUS_HOURS[index % len(BOLUS_HOURS)]
            index = index // len(BOLUS_HOURS)
        return BASAL_MULTIPLES[index] * own_u_per_h, hours * own_u_per_h
    if s.action_kind == 1.0:
        return a.first, where(s.bolus > 0.0, a.second, 0.0)
    return a.first * 60.0, 0.0


def insulin_on_board(pump: Pump, extra_u: float, step_min: float) -> tuple[float, float]:
    """Advance the pump's estimate of insulin not yet absorbed, beyond basal: two equal compartments, exactly."""
    k = ON_BOARD_RATE_PER_MIN * step_min
    decay = exp(-k)
    first = pump.on_board_1_u + extra_u
    return first * decay, (pump.on_board_2_u + k * first) * decay


def occlusion(m: Memory, s: Settings, key: Key) -> float:
    """Return the minute until which the infusion set is blocked; a new blockage strikes at random."""
    blocked_until = m.pump.blocked_until_minute
    if s.occlusions_per_day > 0.0 and m.clock.minute >= blocked_until:
        w = words(key, key.step, OCCLUSION)
        if uniform(w[0]) < s.occlusions_per_day * s.step_min / MINUTES_PER_DAY:
            span = OCCLUSION_MAX_MINUTES - OCCLUSION_MIN_MINUTES
            blocked_until = m.clock.minute + OCCLUSION_MIN_MINUTES + span * uniform(w[1])
    return blocked_until
