"""Where every number of ``medsim/SepsisSCM-v0`` comes from."""

from medsim.core.task import Provenance
from medsim.treatments.sepsis_scm import definition, model

__all__ = ["CITATION", "provenance"]

PAPER = "Oberst, Sontag, Counterfactual Off-Policy Evaluation with Gumbel-Max Structural Causal Models, ICML 2019"
CODE = "github.com/clinicalml/gumbel-max-scm (MIT), sepsisSimDiabetes/State.py"
CITATION = f"{PAPER} (arXiv:1905.05824); code at github.com/clinicalml/gumbel-max-scm"

NUMBERS = (
    ("start.heart_rate", str(model.START_HEART_RATE), ""), ("start.blood_pressure", str(model.START_BLOOD_PRESSURE), ""),
    ("start.oxygen", str(model.START_OXYGEN), ""), ("start.glucose", str(model.START_GLUCOSE[0]), ""),
    ("start.glucose_diabetic", str(model.START_GLUCOSE[1]), ""), ("start.diabetes", 0.2, "probability"),
    ("antibiotics.help", model.ANTIBIOTICS_HELP, "probability"), ("antibiotics.withdrawn", model.ANTIBIOTICS_WITHDRAWN, "probability"),
    ("ventilation.helps", model.VENTILATION_HELPS, "probability"),
    ("ventilation.withdrawn", model.VENTILATION_WITHDRAWN, "probability"),
    ("vasopressor.raises", model.VASOPRESSOR_RAISES, "probability"),
    ("vasopressor.diabetic_from_low_to_normal", model.VASOPRESSOR_DIABETIC_FROM_LOW, "probability"),
    ("vasopressor.diabetic_from_low_to_high", model.VASOPRESSOR_DIABETIC_TO_HIGH, "probability"),
    ("vasopressor.diabetic_from_normal_to_high", model.VASOPRESSOR_DIABETIC_FROM_NORMAL, "probability"),
    ("vasopressor.diabetic_glucose_rises", model.VASOPRESSOR_DIABETIC_GLUCOSE, "probability"),
    ("vasopressor.withdrawn", str(model.VASOPRESSOR_WITHDRAWN), ""),
    ("fluctuation", model.FLUCTUATION, "probability"), ("fluctuation.glucose", str(model.GLUCOSE_FLUCTUATION), ""),
    ("end.abnormal_at_death", model.ABNORMAL_AT_DEATH, "vital signs"), ("horizon", definition.HORIZON_STEPS, "steps"),
)  # fmt: skip


def provenance() -> list[Provenance]:
    """Return every number with its unit and source."""
    rows = [Provenance(name=name, value=value, unit=unit, source=f"{PAPER}; {CODE}") for name, value, unit in NUMBERS]
    rows += [
        Provenance(name="horizon.discount", value=0.99, unit="a step", source=f"the discount with which the paper's code plans; {CODE}"),
        Provenance(name="horizon.watched", value=1000, unit="steps", source="chosen: 0.99**1000 is 4e-5"),
        Provenance(name="step", value=1.0, unit="h", source="chosen: the paper gives a step no length"),
        Provenance(
            name="shifted.diabetes", value=definition.SHIFTED_DIABETES, unit="probability",
            source="chosen: two and a half times the published share",
        ),
        Provenance(
            name="version", value="v2: glucose of the non-diabetic rises to 4 at most; icml2019: to 1", unit="",
            source="branch sim-v2 of the code; the code of the paper (min(1, glucose + 1))",
        ),
    ]  # fmt: skip
    return rows
