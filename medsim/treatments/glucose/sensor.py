"""What is seen: a continuous glucose monitor with autocorrelated, skewed noise and lost readings.

Every 15 minutes the noise has a node: e <- 0.7 (e + N(0, 1)), noise = xi + lambda sinh((e - gamma) / delta) (a Johnson SU
transform; Breton and Kovatchev, J Diabetes Sci Technol 2008;2:853-862, fitted to the FreeStyle Navigator). Between nodes a cubic
through the four nearest ones is read off. Its nodes have mean 0.72, standard deviation 11.73 mg/dL, correlation 0.70.
"""

import math

from medsim.core.inlining import compiled_once
from medsim.core.portable import fmax, fmin, sinh, where
from medsim.core.streams import Key, normal, uniform, words
from medsim.treatments.glucose.model import (
    DROPOUT,
    MINUTES_PER_DAY,
    NOISE,
    Memory,
    Params,
    Sensor,
    Settings,
    State,
    own_basal_u_per_h,
    subcutaneous_glucose_mg_per_dl,
)

NODE_MIN = 15.0
PERSISTENCE = 0.7
JOHNSON_GAMMA, JOHNSON_LAMBDA, JOHNSON_DELTA, JOHNSON_XI = -0.5444, 15.9574, 1.6898, -5.47  # mg/dL for lambda and xi
STATIONARY_SD = math.sqrt(PERSISTENCE**2 / (1.0 - PERSISTENCE**2))
CGM_LOWEST_MG_PER_DL, CGM_HIGHEST_MG_PER_DL = 39.0, 600.0  # simglucose sensor_params.csv, Dexcom
GAP_READINGS = 4.0  # chosen: a gap lasts four readings on average; losses come in bursts
OLDEST_AGE_MIN = MINUTES_PER_DAY


@compiled_once
def johnson(e: float) -> float:
    """Return the noise of a node in mg/dL from its autoregressive state."""
    return JOHNSON_XI + JOHNSON_LAMBDA * sinh((e - JOHNSON_GAMMA) / JOHNSON_DELTA)


@compiled_once
def next_innovation(e: float, key: Key, node: int) -> float:
    """Return the autoregressive state of a node from the one before."""
    return PERSISTENCE * (e + normal(words(key, node, NOISE)[0]))


def first_nodes(s: Settings, key: Key) -> Sensor:
    """Return a sensor at time zero, with the four nodes round it; no reading yet."""
    start_sd = where(s.compat > 0.0, 1.0, STATIONARY_SD)
    before = start_sd * normal(words(key, 0, NOISE)[0])
    here = next_innovation(before, key, 1)
    after = next_innovation(here, key, 2)
    last = next_innovation(after, key, 3)
    return Sensor(0.0, last, johnson(before), johnson(here), johnson(after), johnson(last), 0.0, 0.0, 0.0,
                  0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)  # fmt: skip


def advance_nodes(r: Sensor, minute: float, key: Key) -> Sensor:
    """Move the four nodes along when time passes the next one (a step is never longer than a node)."""
    if minute < (r.node + 1.0) * NODE_MIN:
        return r
    node = r.node + 1.0
    e = next_innovation(r.innovation, key, int(node) + 3)
    return Sensor(node, e, r.noise_here, r.noise_next, r.noise_after, johnson(e), r.gap, r.age_min, r.last_reading,
                  r.cgm, r.cgm_1, r.cgm_2, r.cgm_3, r.cgm_4, r.cgm_5, r.cgm_6, r.cgm_7, r.cgm_8, r.cgm_9, r.cgm_10, r.cgm_11)  # fmt: skip


def noise_mg_per_dl(r: Sensor, minute: float) -> float:
    """Return the noise at a minute between the two middle nodes: the Catmull-Rom cubic through the four."""
    t = minute / NODE_MIN - r.node
    a, b, c, d = r.noise_before, r.noise_here, r.noise_next, r.noise_after
    slope, bend, twist = c - a, 2.0 * a - 5.0 * b + 4.0 * c - d, 3.0 * (b - c) + d - a
    return b + 0.5 * t * (slope + t * (bend + t * twist))


def read(x: State, m: Memory, p: Params, s: Settings, key: Key) -> Sensor:
    """Take the reading at the end of a step (or at the start of the episode): all readings move one place back."""
    r = advance_nodes(m.sensor, m.clock.minute, key)
    raw = subcutaneous_glucose_mg_per_dl(x, p) + noise_mg_per_dl(r, m.clock.minute)
    cgm = fmin(fmax(raw, CGM_LOWEST_MG_PER_DL), CGM_HIGHEST_MG_PER_DL)
    if m.clock.step == 0.0:
        return Sensor(r.node, r.innovation, r.noise_before, r.noise_here, r.noise_next, r.noise_after, 0.0, 0.0, cgm,
                      cgm, cgm, cgm, cgm, cgm, cgm, cgm, cgm, cgm, cgm, cgm, cgm)  # fmt: skip
    reading, gap, age = cgm, 0.0, 0.0
    if s.compat > 0.0:  # simglucose shows the mean over a step's minutes, all but the last of which repeat the last reading
        cgm = ((s.intervals - 1.0) * r.last_reading + reading) / s.intervals
    else:
        gap = lost_reading(r.gap, s, key)
        if gap > 0.0:
            cgm, age = r.cgm, fmin(r.age_min + s.step_min, OLDEST_AGE_MIN)
    return Sensor(r.node, r.innovation, r.noise_before, r.noise_here, r.noise_next, r.noise_after, gap, age, reading,
                  cgm, r.cgm, r.cgm_1, r.cgm_2, r.cgm_3, r.cgm_4, r.cgm_5, r.cgm_6, r.cgm_7, r.cgm_8, r.cgm_9, r.cgm_10)  # fmt: skip


@compiled_once
def lost_reading(gap: float, s: Settings, key: Key) -> float:
    """Return 1 if this reading is lost: gaps begin so often that the stated share of readings is lost in the long run."""
    if s.sensor_dropout <= 0.0:
        return 0.0
    u = uniform(words(key, key.step, DROPOUT)[0])
    ends = 1.0 / GAP_READINGS
    begins = ends * s.sensor_dropout / (1.0 - s.sensor_dropout)
    if gap > 0.0:
        return where(u < ends, 0.0, 1.0)
    return where(u < begins, 1.0, 0.0)


def seen_by_agent(x: State, m: Memory, p: Params, s: Settings) -> tuple[float, ...]:
    """Return the ``"vector"`` observation: the monitor's last hour, the pump's log, what the patient said, who they are."""
    r = m.sensor
    on_board = fmin(fmax(m.pump.on_board_1_u + m.pump.on_board_2_u, -50.0), 100.0)
    return (
        r.cgm, r.cgm_1, r.cgm_2, r.cgm_3, r.cgm_4, r.cgm_5, r.cgm_6, r.cgm_7, r.cgm_8, r.cgm_9, r.cgm_10, r.cgm_11,
        r.age_min, m.pump.basal_u_per_h, m.pump.bolus_u, on_board,
        m.word.announced_g, m.word.last_announced_g, fmin(m.word.minutes_since, 720.0),
        own_basal_u_per_h(p), p.carb_ratio_g_per_u, p.correction_mg_per_dl_per_u, p.weight_kg,
        m.clock.minute_of_day / 60.0, m.clock.minute / 60.0,
    )  # fmt: skip


def seen_in_full(x: State, m: Memory, p: Params, s: Settings) -> tuple[float, ...]:
    """Return the ``"full"`` observation: everything that the course from here on depends on but future draws."""
    c, t = m.plate, m.word
    return (
        x.qsto1_mg, x.qsto2_mg, x.qgut_mg, x.gp_mg_per_kg, x.gt_mg_per_kg, x.ip_pmol_per_kg, x.x_pmol_per_l, x.i1_pmol_per_l,
        x.id_pmol_per_l, x.il_pmol_per_kg, x.isc1_pmol_per_kg, x.isc2_pmol_per_kg, x.gs_mg_per_kg,
        c.planned_g, c.stomach_at_first_bite_mg, c.eaten_g, t.announced_g, m.watch.low_minutes, m.clock.minute,
        fmax(m.pump.blocked_until_minute - m.clock.minute, 0.0),
        p.weight_kg, p.ib_pmol_per_l, p.kabs, p.kmax, p.kmin, p.b, p.d, p.vg_dl_per_kg, p.vi_l_per_kg, p.vmx, p.vm0, p.km0, p.k1, p.k2,
        p.p2u, p.m1, p.m2, p.m4, p.m30, p.ki, p.kp1, p.kp2, p.kp3, p.kd, p.ka1, p.ka2, p.ksc, own_basal_u_per_h(p),
        p.carb_ratio_g_per_u, p.correction_mg_per_dl_per_u,
    )  # fmt: skip


def seen_by_simglucose(x: State, m: Memory, p: Params, s: Settings) -> tuple[float, ...]:
    """Return the one reading that simglucose shows."""
    return (m.sensor.cgm,)
