"""The chart of a patient in septic shock: what is written down each hour, in the columns of harmonised ICU tables.

====================================  ========================================================================================
``hr``                                with ``charting="usual"`` in 95 % of hours
``sbp``, ``map``, ``dbp``             together, in 88 %
``resp``, ``o2sat``                   in 85 and 90 %
``temp``                              every 4 h, and now and then between: 28 %
``fio2``, ``po2``, ``lact``           with a blood gas, every 4 h
``crea``, ``bili``, ``plt``, ``wbc``  with a blood sample, every 12 h
``urine``                             what was collected since the last step, every step (chosen: shock is nursed with a catheter)
====================================  ========================================================================================

The other 33 columns, among them pH, carbon dioxide, base excess and bicarbonate, the model does not have: their mask is always 0. Of the
statics it has age and weight. The coma scale, the fluid balance and the scores at admission, which ``observation="vector"`` shows, are no
columns. What is given stands in ``treatment``: fluid in mL an hour, norepinephrine in mcg/kg/min, and the share of the step in which
antibiotics run.

The shares of hours are those of the harmonised table of the eICU Collaborative Research Database demo (mortality at 24 h: 34,175 hours
of 1,367 stays): hr 95.3 %, map 88.4, resp 85.0, o2sat 89.6, temp 28.5. Gaps come together there (correlation of the masks of hr and map
0.54, of sbp and map 0.99): a monitor that is off writes nothing, one that is on leaves single columns out. The table has oxygen,
urine and laboratory values more rarely (lact 2 %, crea 6, urine 21, fio2 12; in stays with shock 10, 9, 26 and 20): it holds all kinds of
patients, and here samples are drawn as for the other observations. ``charting="complete"`` leaves nothing out of what is due.
"""

from medsim.core.charts import Chart, Column
from medsim.core.inlining import compiled_once
from medsim.core.portable import fmax, fmin, where
from medsim.core.streams import Key, uniform, words
from medsim.treatments.harmonised import COLUMNS, STATICS
from medsim.treatments.sepsis.model import CHART, Charted, Memory, Params, Settings, State

MONITOR_SHARE = 0.953  # hours with a heart rate
PRESSURE_SHARE, RESPIRATION_SHARE, SATURATION_SHARE = 0.884 / 0.953, 0.850 / 0.953, 0.896 / 0.953  # of the hours with a monitor
TEMPERATURE_EVERY_H = 4
TEMPERATURE_BETWEEN_SHARE = (0.285 - 0.25) / 0.75  # of the hours in which it is not due

SEPSIS_CHART = Chart(
    columns=COLUMNS,
    produced=("hr", "sbp", "map", "dbp", "resp", "temp", "o2sat", "urine", "fio2", "po2", "lact", "crea", "bili", "plt", "wbc"),
    treatments=(
        Column("fluid_ml_per_h", "mL/h", 0.0, 2000.0),
        Column("norepinephrine_mcg_per_kg_per_min", "mcg/kg/min", 0.0, 3.0),
        Column("antibiotics", "share of the step", 0.0, 1.0),
    ),
    statics=STATICS,
    known=("age", "weight"),
    longest_h=72.0,
)


@compiled_once
def written_down(x: State, s: Settings, key: Key) -> Charted:
    """Return which vital signs are written down in this hour: 1.0 or 0.0."""
    due = where(int(x.time_h + 0.5) % TEMPERATURE_EVERY_H == 0, 1.0, 0.0)
    if s.charting_gaps == 0.0:
        return Charted(1.0, 1.0, 1.0, due, 1.0)
    w, v = words(key, 2 * key.step, CHART), words(key, 2 * key.step + 1, CHART)
    on = where(uniform(w[0]) < MONITOR_SHARE, 1.0, 0.0)
    return Charted(
        on,
        where(uniform(w[1]) < PRESSURE_SHARE, on, 0.0),
        where(uniform(w[2]) < RESPIRATION_SHARE, on, 0.0),
        where(uniform(v[0]) < TEMPERATURE_BETWEEN_SHARE, 1.0, due),
        where(uniform(w[3]) < SATURATION_SHARE, on, 0.0),
    )


def charted_view(x: State, m: Memory, p: Params, s: Settings) -> tuple[float, ...]:
    """Return what ``SEPSIS_CHART.view`` asks for; a value that is not written down now is told apart by its flag alone."""
    v, labs, o, c = m.monitor, m.labs, m.orders, m.monitor.charted
    gas, blood = where(labs.gas_time_h == x.time_h, 1.0, 0.0), where(labs.blood_time_h == x.time_h, 1.0, 0.0)
    running = fmin(fmax(x.time_h - o.antibiotics_from_h, 0.0), s.intervals) / s.intervals
    return (
        x.time_h,
        v.heart_rate_per_min, v.systolic_mmhg, v.map_mmhg, v.diastolic_mmhg, v.respiratory_rate_per_min, v.temperature_c, 100.0 * v.spo2,
        m.watch.urine_in_step_ml, 100.0 * m.bedside.fio2, labs.pf_ratio_mmhg * m.bedside.fio2, labs.lactate_mmol_per_l,
        labs.creatinine_mg_per_dl, labs.bilirubin_mg_per_dl, labs.platelets_per_nl, labs.wbc_per_nl,
        c.heart_rate, c.pressure, c.pressure, c.pressure, c.respiratory_rate, c.temperature, c.spo2,
        where(x.time_h > 0.0, 1.0, 0.0), gas, gas, gas, blood, blood, blood, blood,
        o.fluid_ml_per_h, o.norepinephrine_mcg_per_kg_per_min, running,
        p.age_years, p.weight_kg,
    )  # fmt: skip
