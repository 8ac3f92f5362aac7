"""``medsim dataset``: logged episodes made, shown, and used to ask what another policy would be worth."""

import argparse
import json
import shlex
from pathlib import Path
from typing import Any

from medsim.cli.progress import Progress
from medsim.cli.verbs import Verb, find_policy, parse_settings
from medsim.policies.chance import ByChance, with_chance
from medsim.policies.policy import Policy
from medsim.registry import is_hospital, make_task

__all__ = ["VERB"]

EXAMPLES = """examples:
  medsim dataset make medsim/Sepsis-v0 --policy surviving-sepsis --spread 0.1 --episodes 1000 --out data
  medsim dataset make medsim/ICUSepsis-v0 --policy expert --episodes 2000 --out data
  medsim dataset make medsim/Sepsis-v0 --policy surviving-sepsis --spread 0.1 --episodes 1000 --hide observation=full --out data
  medsim dataset show data/medsim/sepsis/surviving-sepsis-v0
  medsim dataset evaluate data/medsim/icusepsis/expert-v0 --policy optimal --truth
  medsim dataset evaluate data/medsim/sepsis/surviving-sepsis-v0 --policy adaptive --spread 0.1 --fqe --truth

Datasets are in Minari's format: MINARI_DATASETS_PATH=data, then minari.load_dataset("medsim/sepsis/surviving-sepsis-v0"). Each holds the
probability (of doses: the density) of every decision, so that other policies can be evaluated on it. --hide gives the options of what
whoever acted saw and the data do not hold: the data are confounded then, as a clinician's are.

--truth plays the policy that is asked about, which only a simulator can do, and prints its value beside the estimates.
Needs the extra offline: pip install 'medsim[offline]'."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.epilog = EXAMPLES
    kinds = parser.add_subparsers(title="what to do", metavar="make|show|evaluate", required=True)
    raw = argparse.RawDescriptionHelpFormatter
    making = kinds.add_parser("make", help="log episodes of a policy", epilog=EXAMPLES, formatter_class=raw)
    making.add_argument("env", help="an environment's id")
    making.add_argument("--policy", required=True, help="a reference policy's name, a training run's folder, or a file of medsim solve")
    making.add_argument("--episodes", type=int, default=1000, help="how many, one a patient (default %(default)s)")
    making.add_argument("--spread", type=float, help="decide by chance: with this probability any action instead; doses drawn around what"
                        " is meant, this share of their range apart (standard deviation)")  # fmt: skip
    making.add_argument("--cohort", default="train", help="default %(default)s")
    making.add_argument("--seed", type=int, default=0, help="of the patients (default %(default)s)")
    making.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="an option of the environment; can be repeated")
    making.add_argument("--hide", action="append", default=[], metavar="NAME=VALUE", help="an option of what the policy sees instead")
    making.add_argument("--out", type=Path, default=Path("datasets"), help="folder of datasets (default %(default)s)")
    making.add_argument("--id", help="of the dataset (default: medsim/ENV/POLICY-v0)")
    making.add_argument("--json", action="store_true", help="print the card")
    making.set_defaults(act=make)
    showing = kinds.add_parser("show", help="a dataset's card", formatter_class=raw)
    showing.add_argument("place", type=Path, help="a dataset's folder")
    showing.add_argument("--json", action="store_true")
    showing.set_defaults(act=show)
    asking = kinds.add_parser("evaluate", help="what another policy would be worth", epilog=EXAMPLES, formatter_class=raw)
    asking.add_argument("place", type=Path, help="a dataset's folder")
    asking.add_argument("--policy", action="append", required=True, help="as for make; can be repeated")
    asking.add_argument("--spread", type=float, help="as for make")
    asking.add_argument("--truth", action="store_true", help="play the policy, too: 2,000 other patients, or exactly where that can be")
    asking.add_argument("--fqe", action="store_true", help="fit values by networks: dm, dr, wdr and magic where no table can be counted"
                        " (extra agents)")  # fmt: skip
    asking.add_argument("--seed", type=int, default=0, help="of the resampling (default %(default)s)")
    asking.add_argument("--json", action="store_true")
    asking.set_defaults(act=ask)


def run(args: argparse.Namespace) -> int:
    """Do what was asked."""
    code: int = args.act(args)
    return code


def make(args: argparse.Namespace) -> int:
    """Log episodes and write them."""
    from medsim.datasets import collect
    from medsim.datasets.minari_format import read_card, write_dataset

    if is_hospital(args.env):
        raise ValueError(f"{args.env} is a hospital, and datasets are of treatments")
    options, hidden = parse_settings(args.set), parse_settings(args.hide)
    policy = by_chance(find_policy(args.env, args.policy), args.spread, args.env, options)
    name = args.id or f"medsim/{args.env.rpartition('/')[2].rpartition('-')[0].lower()}/{Path(args.policy).stem}-v0"
    with Progress(make_task(args.env, **{**policy.options, **options}).horizon_steps, "step", "log episodes") as progress:
        episodes = collect(
            args.env, policy, args.episodes, seed=args.seed, cohort=args.cohort, options=options, hidden=hidden, progress=progress.update
        )
    place = write_dataset(episodes, args.out, name, command=command_of(args))
    if not args.json:
        print(f"{place}\n")
    print_card(read_card(place), args.json)
    return 0


def command_of(args: argparse.Namespace) -> str:
    """Return the command that makes a dataset again."""
    words = ["medsim", "dataset", "make", args.env, "--policy", args.policy, "--episodes", str(args.episodes), "--cohort", args.cohort]
    words += ["--seed", str(args.seed), *(["--spread", f"{args.spread:g}"] if args.spread is not None else [])]
    for flag, pairs in (("--set", args.set), ("--hide", args.hide)):
        words += [word for pair in pairs for word in (flag, pair)]
    return shlex.join(words)


def by_chance(policy: Policy, spread: float | None, env_id: str, options: dict[str, Any]) -> Policy:
    """Return a policy, softened or jittered if a spread is given."""
    if spread is None:
        return policy
    return with_chance(policy, make_task(env_id, **{**policy.options, **options}).action_space, spread, spread)


def show(args: argparse.Namespace) -> int:
    """Print a card."""
    from medsim.datasets.minari_format import read_card

    print_card(read_card(args.place), args.json)
    return 0


def print_card(card: dict[str, Any], as_json: bool) -> None:
    """Print a card for people or machines."""
    if as_json:
        print(json.dumps(card, indent=1))
        return
    shown = "".join(f", {name}={value}" for name, value in card["options"].items())
    lines = [
        card["id"],
        f"  environment   {card['environment']}{shown}",
        f"  policy        {card['policy']}; the least probable decision had {card['least_probability']:.3g}",
        f"  episodes      {card['episodes']:,} of {card['steps']:,} steps, seed {card['seed']}",
        f"  return        {card['return_mean']:.3f} (sd over patients {card['return_sd']:.3f})",
        "  outcomes      " + ", ".join(f"{name} {count}" for name, count in card["outcomes"].items()),
        "  costs         " + ", ".join(f"{name} {value:.2f}" for name, value in card["cost_means"].items()),
    ]
    if card["confounded"]:
        lines.append("  confounded    whoever acted saw " + ", ".join(f"{name}={value}" for name, value in card["acted_on"].items()))
    print("\n".join([*lines, f"  {card['use']}"]))


def ask(args: argparse.Namespace) -> int:
    """Print what the data say of policies."""
    from medsim.datasets.minari_format import read_dataset
    from medsim.evaluation.off_policy import evaluate_off_policy, evidence_of, true_value, value_model

    episodes = read_dataset(args.place)
    fit = value_model() if args.fqe else None
    if args.fqe and fit is None:
        raise ValueError("no installed package fits values: pip install 'medsim[agents]'")
    found = []
    with Progress(len(args.policy), "policy", "evaluate off policy") as progress:
        for name in args.policy:
            policy = by_chance(find_policy(episodes.env_id, name), args.spread, episodes.env_id, dict(episodes.options))
            report = evaluate_off_policy(evidence_of(episodes, policy, fit, seed=args.seed), seed=args.seed)
            truth = true_value(episodes.env_id, policy, episodes.options) if args.truth else None
            found.append({
                "policy": policy.name, **report.record(), "truth": truth and truth.value, "truth_error": truth and truth.error,
                "by_chance": isinstance(policy, ByChance),
            })  # fmt: skip
            progress.update()
    if args.json:
        print(json.dumps(found, indent=1))
        return 0
    print(f"{args.place}: {episodes.n:,} episodes of {episodes.policy}, whose mean return was {found[0]['behaviour_value']:.4f}.")
    print("Research simulation, not medical advice.\n")
    for one in found:
        print_report(one)
    return 0


def print_report(one: dict[str, Any]) -> None:
    """Print what was found of one policy."""
    print(one["policy"])
    if one["truth"] is not None:
        error = f"   standard error {one['truth_error']:.4f}" if one["truth_error"] else "   exact"
        print(f"  truth    {one['truth']:9.4f}{error}")
    for name, said in one["estimates"].items():
        interval = "" if said["low"] is None else f"   95 % {said['low']:.4f} to {said['high']:.4f}"
        print(f"  {name:8} {said['value']:9.4f}{interval}")
    print(f"  effective episodes {one['effective_sample_size']:.1f} of {one['episodes']:,}")
    print(f"  {one['refusal']}\n" if one["refusal"] else "")


VERB = Verb("dataset", "logged episodes: make them, show them, evaluate other policies on them", configure, run)
