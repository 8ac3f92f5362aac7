"""How nurses titrate norepinephrine to a pressure: of the protocols' policies, and within the environment where it is not the agent's."""

from medsim.core.inlining import compiled_once

DEAD_BAND_MMHG = 2.5  # chosen: a nurse leaves a pressure within this of the aim alone
TITRATED_TO_MMHG = 67.5  # the middle of 65 to 70, the Surviving Sepsis protocol's range
TITRATED_AT_MOST_MCG_PER_KG_PER_MIN = 2.0  # what the agent could give


@compiled_once
def titrated_dose(dose: float, error_mmhg: float) -> float:
    """Return the next hour's norepinephrine, mcg/kg/min: up when the pressure is below its aim, down more slowly when it is above.

    Steps grow with the dose, as nurses titrate. Chosen: 0.006 mcg/kg/min per mmHg at the start, 0.018 at 0.4 mcg/kg/min.
    """
    if abs(error_mmhg) <= DEAD_BAND_MMHG:
        wanted = dose
    else:
        gain = (0.012 if error_mmhg > 0.0 else 0.008) * (0.5 + dose / 0.4)
        wanted = max(dose + gain * error_mmhg, 0.0)
    return wanted if wanted >= 0.01 else 0.0
