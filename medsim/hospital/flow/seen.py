"""The names of what is seen and done in a hospital, in the order in which ``situation.observe`` and the actions have them."""

from medsim.hospital.flow.config import HospitalConfig
from medsim.hospital.flow.plan import MANY, Plan, plan_of, sources_of
from medsim.hospital.flow.situation import AGENT, BED_SHARES
from medsim.hospital.task import Seen

__all__ = ["MANAGER", "action_names", "agents_of", "seen_of"]

MANAGER = "bed_manager"
MOST_WAITING = 500.0  # chosen: more in a queue are shown as this many
LONGEST_H = 168.0  # chosen: longer waits are shown as a week


def agents_of(config: HospitalConfig) -> tuple[str, ...]:
    """Return the agents of a hospital in order: the units whose beds agents give, then the manager if there is one."""
    units = [unit.name for unit in config.units if unit.discipline == "agent"]
    return (*units, *([MANAGER] if config.manager_every_h else []))


def source_names(config: HospitalConfig, unit: int) -> list[str]:
    """Return where a unit's patients come from, by name, in order."""
    names = [*(one.name for one in config.units), "outside"]
    return [names[source] for source in sources_of(config)[unit] if source >= 0]


def seen_of(config: HospitalConfig, plan: Plan | None = None) -> tuple[Seen, ...]:
    """Return what every agent sees: the bed board of all units, and which agent it is; plan: the configuration's, if it is at hand."""
    plan = plan_of(config) if plan is None else plan
    rows = [Seen(name="hour_of_day_h", high=24.0), Seen(name="day_of_week (0 Monday)", high=6.0)]
    for number, unit in enumerate(config.units):
        most = float(unit.beds + (config.flexible_beds if number in plan.flexible else 0))
        nurses = float((max(unit.nurses, default=0) + config.float_nurses) * unit.patients_per_nurse)
        rows += [
            Seen(name=f"{unit.name} beds_free", low=-most, high=max(most, 1.0)),
            Seen(name=f"{unit.name} in_treatment", high=max(most, 1.0)),
            Seen(name=f"{unit.name} boarding", high=max(most, 1.0)),
            Seen(name=f"{unit.name} patients_nurses_can_take", low=-max(most, 1.0), high=max(nurses, 1.0)),
        ]
        if plan.clinicians[number, 0] < MANY:
            rows.append(Seen(name=f"{unit.name} clinicians_free", low=-max(most, 1.0), high=float(max(unit.clinicians)) or 1.0))
        if unit.choose_by == "source":
            for source in source_names(config, number):
                rows += queue_seen(f"{unit.name} from_{source}", urgent=True)
        elif plan.discipline[number] == AGENT:
            for triage in range(1, 6):
                rows += queue_seen(f"{unit.name} triage_{triage}", urgent=False)
        else:
            rows.append(Seen(name=f"{unit.name} waiting", high=MOST_WAITING))
    rows.append(Seen(name="arrangement", high=float(BED_SHARES * max(len(plan.nursed), 1))))
    rows += [Seen(name=f"i_am_{agent}", high=1.0) for agent in agents_of(config)]
    return tuple(rows)


def queue_seen(name: str, *, urgent: bool) -> list[Seen]:
    """Return what is seen of a queue."""
    middle = [Seen(name=f"{name} urgent", high=MOST_WAITING)] if urgent else []
    return [Seen(name=f"{name} waiting", high=MOST_WAITING), *middle, Seen(name=f"{name} longest_wait_h", high=LONGEST_H)]


def action_names(config: HospitalConfig, agent: str, plan: Plan | None = None) -> tuple[str, ...]:
    """Return the names of an agent's actions; number 0 is "nothing"; plan: the configuration's, if it is at hand."""
    plan = plan_of(config) if plan is None else plan
    if agent == MANAGER:
        shares = ["none", "half", "all"]
        to = config.flexible_between[1] if config.flexible_between else "nowhere"
        nursed = [config.units[number].name for number in plan.nursed]
        return ("nothing", *(f"float nurses to {name}, {share} of the flexible beds to {to}" for name in nursed for share in shares))
    number = config.unit_number(agent)
    if config.units[number].choose_by == "triage":
        return ("nothing", *(f"take triage {triage}" for triage in range(1, 6)))
    early = ["step down early"] if number == plan.icu and plan.ward >= 0 else []
    return ("nothing", *(f"take from {source}" for source in source_names(config, number)), *early)
