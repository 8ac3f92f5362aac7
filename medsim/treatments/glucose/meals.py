"""What the patient eats: random or scripted meals, swallowed at a steady rate, told to the agent with a counting error.

Times, amounts and probabilities are those of simglucose's random scenario (scenario_gen.py): breakfast, lunch and dinner nearly
every day, three snacks on some days.
"""

from typing import NamedTuple

from medsim.core.inlining import compiled_once
from medsim.core.portable import fmax, fmin, round_half_up, where
from medsim.core.streams import Key, normal, normal_quantile, uniform, words
from medsim.treatments.glucose.model import (
    COUNTING,
    EATING_RATE_G_PER_MIN,
    MEALS,
    MG_PER_G,
    MINUTES_PER_DAY,
    NO_MEAL,
    Clock,
    Drive,
    Memory,
    Params,
    Plate,
    Schedule,
    Settings,
    State,
    Watch,
    Word,
    drive,
    plasma_glucose_mg_per_dl,
    subcutaneous_glucose_mg_per_dl,
)


class MealKind(NamedTuple):
    """One of the day's meals: truncated normal time, normal amount."""

    number: int
    probability: float
    time_mean_min: float
    time_sd_min: float
    time_tail: float  # the normal tail beyond the cut: times lie within 1, 2 or 3 sd
    carbs_mean_g: float
    carbs_sd_g: float


BEYOND_1_SD, BEYOND_2_SD, BEYOND_3_SD = 0.15865525393145707, 0.02275013194817921, 0.0013498980316300933
BREAKFAST = MealKind(0, 0.95, 420.0, 60.0, BEYOND_2_SD, 45.0, 10.0)
MORNING_SNACK = MealKind(1, 0.3, 570.0, 30.0, BEYOND_1_SD, 10.0, 5.0)
LUNCH = MealKind(2, 0.95, 720.0, 60.0, BEYOND_2_SD, 70.0, 10.0)
AFTERNOON_SNACK = MealKind(3, 0.3, 900.0, 30.0, BEYOND_2_SD, 10.0, 5.0)
DINNER = MealKind(4, 0.95, 1080.0, 60.0, BEYOND_2_SD, 80.0, 10.0)
EVENING_SNACK = MealKind(5, 0.3, 1290.0, 30.0, BEYOND_3_SD, 10.0, 5.0)
REFERENCE_WEIGHT_KG = 70.0  # chosen: the amounts above are an adult's; lighter patients eat in proportion
COUNTING_LIMIT_SD = 2.5  # chosen: cut of the counting error
MOST_ANNOUNCED_G = 500.0  # chosen: as far as the observation goes
SEVERE_MG_PER_DL = 40.0


@compiled_once
def random_meal(kind: MealKind, key: Key, day: int, scale: float) -> tuple[float, float]:
    """Return (minute of the day, grams) of a meal on a day, or (NO_MEAL, 0) if it is left out."""
    w = words(key, day * 6 + kind.number, MEALS)
    if uniform(w[0]) >= kind.probability:
        return NO_MEAL, 0.0
    z = normal_quantile(kind.time_tail + (1.0 - 2.0 * kind.time_tail) * uniform(w[1]))
    minute = round_half_up(kind.time_mean_min + kind.time_sd_min * z)
    grams = round_half_up((kind.carbs_mean_g + kind.carbs_sd_g * normal(w[2])) * scale)
    return minute, fmax(grams, 0.0)


@compiled_once
def schedule_of_the_day(p: Params, s: Settings, key: Key, day: int) -> Schedule:
    """Return the meals of a day: the script's, or random ones."""
    if s.scripted > 0.0:
        return Schedule(s.script_minute_0, s.script_minute_1, s.script_minute_2,
                        s.script_minute_3, s.script_minute_4, s.script_minute_5,
                        s.script_carbs_0_g, s.script_carbs_1_g, s.script_carbs_2_g,
                        s.script_carbs_3_g, s.script_carbs_4_g, s.script_carbs_5_g)  # fmt: skip
    scale = where(s.scale_meals > 0.0, fmin(p.weight_kg / REFERENCE_WEIGHT_KG, 1.0), 1.0)
    t0, g0 = random_meal(BREAKFAST, key, day, scale)
    t1, g1 = random_meal(MORNING_SNACK, key, day, scale)
    t2, g2 = random_meal(LUNCH, key, day, scale)
    t3, g3 = random_meal(AFTERNOON_SNACK, key, day, scale)
    t4, g4 = random_meal(DINNER, key, day, scale)
    t5, g5 = random_meal(EVENING_SNACK, key, day, scale)
    return Schedule(t0, t1, t2, t3, t4, t5, g0, g1, g2, g3, g4, g5)


def carbs_within(m: Schedule, first: float, last: float) -> float:
    """Return the grams of today's meals that begin at minute first of the day or later, but before last."""
    total = where((m.minute_0 >= first) & (m.minute_0 < last), m.carbs_0_g, 0.0)
    total += where((m.minute_1 >= first) & (m.minute_1 < last), m.carbs_1_g, 0.0)
    total += where((m.minute_2 >= first) & (m.minute_2 < last), m.carbs_2_g, 0.0)
    total += where((m.minute_3 >= first) & (m.minute_3 < last), m.carbs_3_g, 0.0)
    total += where((m.minute_4 >= first) & (m.minute_4 < last), m.carbs_4_g, 0.0)
    return total + where((m.minute_5 >= first) & (m.minute_5 < last), m.carbs_5_g, 0.0)


def minute(x: State, m: Memory, p: Params, s: Settings, key: Key) -> tuple[Memory, Drive]:
    """Begin a minute: the next bite, the pump's flow, and what the objective watches; only clock, plate and watch change."""
    now = m.clock.minute_of_day
    plate, bite = next_bite(x, m.plate, carbs_within(m.schedule, now, now + 1.0))
    dbar_mg = plate.stomach_at_first_bite_mg + plate.eaten_g * MG_PER_G
    entering = drive(bite * MG_PER_G, m.pump.delivered_u_per_min, dbar_mg, p)
    midnight = now + 1.0 >= MINUTES_PER_DAY
    day = m.clock.day + where(midnight, 1.0, 0.0)
    clock = Clock(m.clock.minute + 1.0, where(midnight, 0.0, now + 1.0), day, m.clock.step)
    return Memory(clock, m.pump, m.schedule, plate, m.word, m.sensor, watch_minute(x, m.watch, p)), entering


def next_bite(x: State, plate: Plate, starting_g: float) -> tuple[Plate, float]:
    """Return the plate after this minute's bite and the grams swallowed."""
    planned = plate.planned_g + starting_g
    bite = fmin(planned, EATING_RATE_G_PER_MIN)
    first_bite = (bite > 0.0) & (plate.eating == 0.0)
    stomach = where(first_bite, x.qsto1_mg + x.qsto2_mg, plate.stomach_at_first_bite_mg)
    eaten = where(first_bite, bite, plate.eaten_g + bite)
    return Plate(planned - bite, where(bite > 0.0, 1.0, 0.0), stomach, eaten, plate.begun_g + starting_g), bite


def watch_minute(x: State, watch: Watch, p: Params) -> Watch:
    """Count the minutes in a row of severe hypoglycaemia; sum the subcutaneous glucose of the minutes within the step."""
    low = where(plasma_glucose_mg_per_dl(x, p) < SEVERE_MG_PER_DL, watch.low_minutes + 1.0, 0.0)
    return Watch(low, watch.glucose_sum + subcutaneous_glucose_mg_per_dl(x, p), watch.risk)


def announce(m: Memory, s: Settings, key: Key) -> Word:
    """Tell the agent, at the end of a step, of the carbohydrate that the patient is about to eat in the next one."""
    now = m.clock.minute_of_day
    carbs = carbs_within(m.schedule, now, now + s.step_min)
    announced = 0.0
    if carbs > 0.0 and s.announce_meals > 0.0:
        w = words(key, int(m.clock.minute), COUNTING)
        if uniform(w[0]) >= s.unannounced_meal:
            z = fmin(fmax(normal(w[1]), -COUNTING_LIMIT_SD), COUNTING_LIMIT_SD)
            announced = fmin(carbs * fmax(1.0 + s.counting_sd * z, 0.1), MOST_ANNOUNCED_G)
    if announced > 0.0:
        return Word(announced, announced, 0.0)
    return Word(0.0, m.word.last_announced_g, m.word.minutes_since + s.step_min)
