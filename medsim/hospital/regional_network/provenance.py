"""Where every number of ``medsim/RegionalNetwork-v0`` comes from."""

from typing import Any

from medsim.core.task import Provenance
from medsim.hospital.harm import HarmModel, harm_provenance
from medsim.hospital.regional_network import ledger, model
from medsim.hospital.regional_network import region as r

__all__ = ["CITATION", "provenance", "routing_provenance"]

CITATION = "medsim/RegionalNetwork-v0: a simulation of its own, on published marginals; see provenance()"
ATS = "AIHW, emergency department care 2017-18 (Australasian Triage Scale)"

JONES = "Jones 2022, Emerg Med J, table 1"
NURS = "J Emerg Nurs 2004, 10.1016/j.jen.2003.11.004, n = 403"
ERRORS = "probability, too urgent, too little"

# (name, value, unit, source)
NUMBERS: tuple[tuple[str, float | str, str, str], ...] = (
    ("arrivals.profile_amplitude", r.PROFILE_AMPLITUDE, "of the mean", "chosen: to meet 12, 24, 36, 28 % by quarter of the day, " + JONES),
    ("arrivals.profile_phase", r.PROFILE_PHASE_H, "h", "chosen: the same; the peak is at 15:30"),
    ("acuity.ambulance", str(r.AMBULANCE_ACUITY), "share of 1 to 5", f"chosen: more urgent than all; {ATS}: a quarter comes by ambulance"),
    ("acuity.walk_in", str(r.WALK_IN_ACUITY), "share of 1 to 5", f"so that both together are 0.8, 13, 37, 40, 9 %: {ATS}"),
    ("admitted", str(r.ADMITTED), "probability, 1 to 5", f"{ATS}: 75 % to 5 %, 31 % of all; chosen: between"),
    ("triage.errors", str(r.TRIAGE_ERRORS), ERRORS, "Sax 2023: 28.9 and 3.3 % of encounters; chosen: by one level"),
    ("dispatch.errors", str(r.DISPATCH_ERRORS), ERRORS, "chosen: by telephone more often than by a nurse"),
    ("treatment.mean", str(r.TREATMENT_MIN), "min, 1 to 5", NURS + ": mean stay by ESI; chosen: it stands for the time on a place"),
    ("treatment.spread", r.TREATMENT_SPREAD, "sd over mean", "chosen"),
    ("stay.mu", r.STAY_MU, "log h", "lognormal ward stays, mu 0.49 and variance 0.83 in days: 10.1177/1460458214565949"),
    ("stay.sigma", r.STAY_SIGMA, "log h", "the same"),
    ("travel.speed", r.SPEED_KM_PER_H, "km/h", "chosen: mixed roads"),
    ("travel.detour", r.DETOUR, "road over straight line", "chosen"),
    ("travel.turn_out", r.TURN_OUT_H, "h", "chosen: a minute"),
    ("travel.spread", r.TRAVEL_SPREAD, "sd over mean", "chosen; lognormal: thesis on ambulances of the region of Waterloo"),
    ("scene.mean", r.SCENE_H, "h", "chosen"),
    ("scene.spread", r.SCENE_SPREAD, "sd over mean", "chosen"),
    ("handover", r.HANDOVER_H, "h", "chosen: as long as the standard"),
    ("transfer.mean", r.TRANSFER_H, "h", "about two hours more: Melbourne, intensive care after 5.0 in place of 3.0 h"),
    ("transfer.spread", r.TRANSFER_SPREAD, "sd over mean", "chosen"),
    ("start.places_in_use", r.PLACES_IN_USE, "share", "chosen"),
    ("start.beds_in_use", r.BEDS_IN_USE, "share", "chosen"),
    ("region.ring", r.RING, "of the side", "chosen: hospitals but the first stand on a circle"),
    ("ask.hold", model.HOLD_H, "h", "chosen"),
    ("ask.coordinator", model.COORDINATOR_H, "h", "chosen"),
    ("ask.diversion", model.ASK_DIVERSION_H, "h", "chosen"),
    ("ask.quiet", model.QUIET_H, "h", "chosen"),
    ("ask.load_thresholds", str(model.LOAD_THRESHOLDS), "patients to places", "chosen"),
    ("diversion", model.DIVERSION_H, "h", "chosen"),
    ("reward.response", str(ledger.RESPONSE_WEIGHTS), "1 / h, 1 to 5", "chosen"),
    ("reward.waiting", str(ledger.WAITING_WEIGHTS), "1 / h, 1 to 5", "chosen"),
    ("reward.boarding", ledger.BOARDING_WEIGHT, "1 / h", "chosen"),
    ("reward.offload", ledger.OFFLOAD_WEIGHT, "1 / h", "chosen"),
    ("reward.transfer", ledger.TRANSFER_WEIGHT, "a transfer", "chosen"),
    ("reward.transit", ledger.TRANSIT_WEIGHT, "1 / h", "chosen"),
    ("cost.high_acuity", ledger.HIGH_ACUITY, "acuity, and above", f"resuscitation and emergency: {ATS}"),
    ("cost.response_standard", ledger.RESPONSE_STANDARD_H, "h", "8 min: the customary standard for the most urgent"),
    ("cost.offload_standard", ledger.OFFLOAD_STANDARD_H, "h", "from memory, to be verified: NHS England, 15 minutes"),
    ("cost.boarding_standard", ledger.BOARDING_STANDARD_H, "h", "the customary 4 h"),
    ("harm.base_risk_most_urgent", ledger.BASE_RISK_MOST_URGENT, "probability", "EJEM 2011, n = 23,114: within 30 days, triage category 1"),
)  # fmt: skip


def provenance(config: Any, region: r.Region, harm: HarmModel) -> list[Provenance]:
    """Return every number of the network with its unit and source."""
    own = [Provenance(name=name, value=value, unit=unit, source=source) for name, value, unit, source in NUMBERS]
    options = (
        ("ambulances", config.ambulances, ""), ("candidates", config.candidates, "ambulances"), ("side", config.side_km, "km"),
        ("calls", config.calls_per_h, "1 / h"), ("walk_ins", config.walk_ins_per_h, "1 / h"),
        ("ed_places", str(region.ed_places), "places"), ("beds", str(region.beds), "beds"),
    )  # fmt: skip
    why = "chosen: an option; departments are about 0.85 in use without boarding, wards 0.93"
    own += [Provenance(name=f"option.{name}", value=value, unit=unit, source=why) for name, value, unit in options]
    return own + harm_provenance(harm)


def routing_provenance(config: Any) -> list[Provenance]:
    """Return every number of the routing variant: they are options, and define the problem."""
    why = "an option; the default and its exact optimum: medsim.hospital.theory.routing"
    numbers = (
        ("lam", config.lam, "1 / h"), ("mu_0", config.mu_0, "1 / h"), ("mu_1", config.mu_1, "1 / h"), ("servers_0", config.servers_0, ""),
        ("servers_1", config.servers_1, ""),
    )  # fmt: skip
    return [Provenance(name=name, value=value, unit=unit, source=why) for name, value, unit in numbers]
