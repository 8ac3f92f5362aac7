"""``medsim envs``: what there is."""

import argparse
import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from medsim.cli.verbs import Verb
from medsim.core.model import field_names
from medsim.registry import ENVIRONMENTS, HOSPITALS, EnvironmentCard, HospitalCard, card, is_hospital, make_task

__all__ = ["VERB"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("env", nargs="?", help="an id, to see its options, costs and scores")
    parser.add_argument("--provenance", action="store_true", help="every parameter with value, unit and source")
    parser.add_argument("--json", action="store_true", help="for machines")


def run(args: argparse.Namespace) -> int:
    """List the environments, or describe one."""
    if args.env is None:
        if args.json:
            treatments = [dataclasses.asdict(one) for one in ENVIRONMENTS]
            print(json.dumps([*treatments, *(dataclasses.asdict(one) for one in HOSPITALS)], indent=1))
        else:
            width = max(len(known) for known in [*(one.id for one in ENVIRONMENTS), *(hospital.id for hospital in HOSPITALS)])
            for one in ENVIRONMENTS:
                missing = "" if one.available else f" (needs: pip install 'medsim[{one.extra}]')"
                print(f"{one.id:{width}s} {one.question}{missing}")
            for hospital in HOSPITALS:
                print(f"{hospital.id:{width}s} {hospital.question}")
        return 0
    facts = describe(args.env, args.provenance)
    if args.json:
        print(json.dumps(facts, indent=1))
        return 0
    for name, value in facts.items():
        if isinstance(value, dict):
            print(f"{name}:")
            for key, text in value.items():
                print(f"  {key:28s} {text}")
        elif isinstance(value, list):
            print(f"{name}:")
            for row in value:
                print("  " + "  ".join(str(cell) for cell in row.values()))
        else:
            print(f"{name}: {value}")
    return 0


def _names(costs: Any) -> tuple[str, ...]:
    """Return the names of a model's costs, which are a record's fields or names themselves."""
    return tuple(costs) if isinstance(costs, Mapping) else field_names(costs)


def describe(env_id: str, with_provenance: bool) -> dict[str, object]:
    """Return what is known of an environment."""
    if is_hospital(env_id):
        from medsim.cli.hospital_facts import describe_hospital

        return describe_hospital(env_id, with_provenance)
    task, known = make_task(env_id), card(env_id)
    facts: dict[str, object] = {
        "id": known.id,
        "question": known.question,
        "observation": str(task.observation_space().shape or task.observation_space()),
        "action": f"{task.action_space}  {task.action_meaning}".rstrip(),
        "steps": task.horizon_steps,
        "hours a step": round(task.step_h, 4),
        "options": options_of(task),
        "outcomes": ", ".join(task.model.outcomes[1:]),
        "costs": ", ".join(_names(task.model.costs)),
        "described patients": ", ".join(task.model.patients()[0][:12]),
    }
    return facts | scores_and_sources(task, known, with_provenance)


def options_of(task: Any) -> dict[str, str]:
    """Return what each option of a task allows, its default and what it is for."""
    return {field.name: allowed_text(field) for field in dataclasses.fields(task.config)} if task.config is not None else {}


def allowed_text(field: Any) -> str:
    """Return what an option allows, its default and what it is for."""
    rule = field.metadata
    if "allowed" in rule:
        allowed = " | ".join(map(str, rule["allowed"]))
    elif "range" in rule:
        allowed = "{:g} to {:g}".format(*rule["range"])
    else:
        allowed = rule.get("kind", "any value")
    return f"{allowed}  (default {field.default})  {rule.get('doc', '')}".rstrip()


def scores_and_sources(task: Any, known: EnvironmentCard | HospitalCard, with_provenance: bool) -> dict[str, object]:
    """Return between which scores a policy is placed, the citation and, if they are wanted, the sources of all numbers."""
    facts: dict[str, object] = {
        "scores": {
            **dataclasses.asdict(known.scores),
            "policies": {"floor": known.floor_policy, "protocol": known.protocol_policy, "ceiling": known.ceiling_policy},
        },
        "citation": task.citation,
    }
    if with_provenance:
        facts["provenance"] = [dataclasses.asdict(row) for row in task.provenance()]
    return facts


VERB = Verb("envs", "list the environments, or describe one", configure, run)
