"""The columns of hourly charts as researchers share them, so that what is trained on real charts can read simulated ones.

Names, order and the four statics are those of the harmonised tables of YAIB (van de Water et al., "Yet Another ICU Benchmark", ICLR
2024; ``configs/tasks/BinaryClassification.gin`` of rvandewater/YAIB). Units and valid ranges are the concepts' of ricu (Bennett et
al., GigaScience 2023;12:giad041; ``inst/extdata/config/concept-dict.json`` of eth-mds/ricu). A range that is open there ends here at a
number that no patient reaches. Oxygen, saturation and shares are in percent here, and nowhere else in medsim.
"""

from medsim.core.charts import Column

__all__ = ["COLUMNS", "STATICS"]

COLUMNS = (
    Column("alb", "g/dL", 0.0, 6.0),  # albumin
    Column("alp", "IU/L", 0.0, 1e4),  # alkaline phosphatase; open
    Column("alt", "IU/L", 0.0, 1e5),  # alanine transaminase; open
    Column("ast", "IU/L", 0.0, 1e5),  # aspartate transaminase; open
    Column("be", "mEq/L", -25.0, 25.0),  # base excess
    Column("bicar", "mEq/L", 5.0, 50.0),  # bicarbonate
    Column("bili", "mg/dL", 0.0, 100.0),  # bilirubin
    Column("bili_dir", "mg/dL", 0.0, 50.0),  # direct bilirubin
    Column("bnd", "%", 0.0, 100.0),  # band neutrophils; open
    Column("bun", "mg/dL", 0.0, 200.0),  # urea nitrogen
    Column("ca", "mg/dL", 4.0, 20.0),  # calcium
    Column("cai", "mmol/L", 0.5, 2.0),  # ionised calcium
    Column("ck", "IU/L", 0.0, 1e6),  # creatine kinase; open
    Column("ckmb", "ng/mL", 0.0, 1e4),  # its MB form; open
    Column("cl", "mEq/L", 80.0, 130.0),  # chloride
    Column("crea", "mg/dL", 0.0, 15.0),  # creatinine
    Column("crp", "mg/L", 0.0, 1e3),  # C-reactive protein; open
    Column("dbp", "mmHg", 0.0, 200.0),  # diastolic pressure
    Column("fgn", "mg/dL", 0.0, 1500.0),  # fibrinogen
    Column("fio2", "%", 21.0, 100.0),  # share of oxygen in the breath
    Column("glu", "mg/dL", 0.0, 1000.0),  # glucose
    Column("hgb", "g/dL", 4.0, 18.0),  # haemoglobin
    Column("hr", "/min", 0.0, 300.0),  # heart rate
    Column("inr_pt", "ratio", 0.0, 100.0),  # international normalised ratio; open
    Column("k", "mEq/L", 0.0, 10.0),  # potassium
    Column("lact", "mmol/L", 0.0, 50.0),  # lactate
    Column("lymph", "%", 0.0, 100.0),  # lymphocytes
    Column("map", "mmHg", 0.0, 250.0),  # mean pressure
    Column("mch", "pg", 0.0, 100.0),  # mean haemoglobin of a red cell; open
    Column("mchc", "%", 20.0, 50.0),  # its concentration
    Column("mcv", "fL", 50.0, 150.0),  # mean volume of a red cell
    Column("methb", "%", 0.0, 100.0),  # methaemoglobin
    Column("mg", "mg/dL", 0.5, 5.0),  # magnesium
    Column("na", "mEq/L", 110.0, 165.0),  # sodium
    Column("neut", "%", 0.0, 100.0),  # neutrophils
    Column("o2sat", "%", 50.0, 100.0),  # oxygen saturation
    Column("pco2", "mmHg", 10.0, 150.0),  # carbon dioxide in arterial blood
    Column("ph", "", 6.8, 8.0),  # of blood
    Column("phos", "mg/dL", 0.0, 40.0),  # phosphate
    Column("plt", "K/uL", 5.0, 1200.0),  # platelets
    Column("po2", "mmHg", 40.0, 600.0),  # oxygen in arterial blood
    Column("ptt", "s", 0.0, 1e3),  # partial thromboplastin time; open
    Column("resp", "/min", 0.0, 120.0),  # breaths
    Column("sbp", "mmHg", 0.0, 300.0),  # systolic pressure
    Column("temp", "C", 32.0, 42.0),  # temperature
    Column("tnt", "ng/mL", 0.0, 1e3),  # troponin T; open
    Column("urine", "mL", 0.0, 2000.0),  # sum of the hour
    Column("wbc", "K/uL", 0.0, 1e3),  # white cells; open
)
STATICS = (
    Column("age", "years", 0.0, 100.0),
    Column("sex", "1 male, 0 female", 0.0, 1.0),
    Column("height", "cm", 10.0, 230.0),
    Column("weight", "kg", 1.0, 500.0),
)
