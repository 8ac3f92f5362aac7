"""The verb that perception contributes to the ``medsim`` command."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medsim.cli.progress import Progress
from medsim.cli.verbs import Verb

if TYPE_CHECKING:
    import torch
    from torch import nn

    from medsim_perception.recipe import Recipe
    from medsim_perception.weights import Card, Measured

__all__ = ["verbs"]

EXAMPLES = """examples:
  medsim perception list                                what there is, and how good what is shipped is
  medsim perception evaluate chest-lung-water           judge the shipped weights on cases that no training meets
  medsim perception train chest-lung-water --seconds 60
  medsim perception train chest-lung-water --seed 1 --device cuda --out runs/water-1
  medsim perception evaluate chest-lung-water --weights runs/water-1
  medsim perception ship chest-lung-water runs/water-*  weights and a card from finished trainings of several seeds

A run folder holds what is needed to go on. Interrupt with Ctrl-C whenever you like: the same command goes on where it stopped, and ends
with the same weights, on a CPU to the bit, as if it had not. With --seconds as many steps are made, at most the recipe's, as
that allows. Recipes that learn from or are judged on real data read them in the folders that the environment variables MEDSIM_DATA and
MEDSIM_DATA_CACHE (default ~/.cache/medsim) name: perception/README.md says which. Shipping over weights that are there needs --overwrite.
Your own recipe can be named as module:function. Research simulation, not medical advice."""

MOST_SHOWN = 5  # metrics of a model in tables, where the catalogue names none
EXTRAS = {"torch": "perception", "safetensors": "perception", "nibabel": "imaging", "pydicom": "imaging", "pyarrow": "tables"}


def verbs() -> tuple[Verb, ...]:
    """Return the verbs (entry point of ``medsim.verbs``)."""
    return (Verb("perception", "train, judge and list the models that see: images, records, sequences", configure, run),)


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.epilog = EXAMPLES
    kinds = parser.add_subparsers(title="what to do", metavar="list | train | evaluate | ship", required=True, dest="action")

    def add(name: str, what: str) -> argparse.ArgumentParser:
        return kinds.add_parser(
            name, help=what, description=what, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
        )  # fmt: skip

    listing = add("list", "the recipes there are, and the cards of shipped weights")
    listing.add_argument("--markdown", action="store_true", help="the table of shipped weights, for a README")
    training = add("train", "train a recipe in a run folder, or go on with it")
    training.add_argument("--seconds", type=float, help="fit the training in this time (default: as many steps as the recipe says)")
    training.add_argument("--steps", type=int, help="steps, instead of the recipe's")
    training.add_argument("--seed", type=int, default=0, help="of patients, networks and batches (default %(default)s)")
    training.add_argument("--out", type=Path, help="run folder (default: runs/perception-NAME-seedSEED)")
    judging = add("evaluate", "judge shipped weights, or those of a run folder")
    judging.add_argument("--weights", type=Path, metavar="FOLDER", help="run folder of a finished training (default: the shipped weights)")
    shipping = add("ship", "write weights and a card from finished run folders, one for each seed")
    for place in (training, judging, shipping):
        place.add_argument("name", metavar="NAME", help="a recipe's name (medsim perception list)")
        place.add_argument("--device", default="auto", help="auto, cpu or cuda (default %(default)s: cuda if there is one)")
    shipping.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run folders; the weights of the median seed are shipped")
    shipping.add_argument("--half", action="store_true", help="store in half precision (judged after rounding)")
    shipping.add_argument("--to", type=Path, metavar="FOLDER", help="where to write (default: the installed package's folder)")
    shipping.add_argument("--overwrite", action="store_true", help="replace weights and card that are there already")
    for place in (listing, training, judging, shipping):
        place.add_argument("--json", action="store_true", help="for machines")


def run(args: argparse.Namespace) -> int:
    """Do what was asked for; a missing package is an error of use, like a wrong name."""
    doing: dict[str, Callable[[argparse.Namespace], int]] = {"list": listed, "train": trained, "evaluate": evaluated, "ship": shipped}
    if ":" in getattr(args, "name", ""):
        sys.path.insert(0, os.getcwd())  # where whoever names module:function has it, as with python -m
    try:
        return doing[args.action](args)
    except ImportError as error:
        extra = EXTRAS.get((error.name or "").partition(".")[0])
        remedy = f"pip install 'medsim[{extra}]' ({error})" if extra else str(error)
        raise ValueError(f"a package is missing: {remedy}") from error


# list


def listed(args: argparse.Namespace) -> int:
    """Print what recipes and weights there are."""
    from medsim_perception.catalogue import RECIPES
    from medsim_perception.weights import list_cards

    cards = {card.name: card for card in list_cards()}
    if args.json:
        print(json.dumps([{"name": name, "shipped": asdict(cards[name]) if name in cards else None} for name in RECIPES], indent=1))
    elif args.markdown:
        print(markdown_of(list(cards.values())))
    else:
        width = max(map(len, RECIPES))
        for name in RECIPES:
            question, shipped_as = entry_of(name, cards.get(name))
            print(f"{name:{width}s}  {question}\n{'':{width}s}  weights: {shipped_as}")
        print("\nmedsim perception evaluate NAME judges weights, train NAME trains. Research simulation, not medical advice.")
    return 0


def entry_of(name: str, card: Card | None) -> tuple[str, str]:
    """Return a recipe's question, and its shipped weights with their first metric."""
    from medsim_perception.catalogue import recipe

    if card is None:
        return recipe(name).question, f"none shipped: medsim perception train {name}"
    metric, figure = next(iter(headline(card).items()))
    return card.question, f"{card.bytes / 1000:.0f} kB; {metric} {span(figure)}"


def markdown_of(cards: Sequence[Card]) -> str:
    """Return the table of shipped weights in Markdown, generated from their cards."""
    if not cards:
        return "No weights are shipped."
    rows = [
        "| model | answers | judged: mean (95 % interval over seeds) | learnt from | licence of the data | size |",
        "|---|---|---|---|---|---|",
    ]
    for card in cards:
        size = f"{card.numbers:,} numbers, {card.bytes / 1000:.0f} kB"
        rows.append(f"| `{card.name}` | {card.question} | {figures_of(card)} | {card.data} | {card.licence} | {size} |")
    total = sum(card.bytes for card in cards) / 1000
    return "\n".join([*rows, "", f"{len(cards)} models, {total:,.0f} kB in all."])


def figures_of(card: Card) -> str:
    """Return a card's headline metrics as lines of a cell; those of a single seed are said once to have no interval."""
    seeds, shown = max(len(figure.seeds) for figure in card.metrics.values()), headline(card)
    more = f"; {len(card.metrics) - len(shown)} more on the card" if len(card.metrics) > len(shown) else ""
    if seeds == 1:
        return "<br>".join([*(f"{name} {number(figure.mean)}" for name, figure in shown.items()), f"(one seed, no interval{more})"])
    return "<br>".join([*(f"{name} {span(figure)}" for name, figure in shown.items()), f"({seeds} seeds{more})"])


def headline(card: Card) -> dict[str, Measured]:
    """Return the metrics of a card that tables show."""
    from medsim_perception.catalogue import HEADLINES

    chosen = HEADLINES.get(card.name, tuple(card.metrics)[:MOST_SHOWN])
    return {name: card.metrics[name] for name in chosen}


def span(figure: Measured) -> str:
    """Return a figure with its interval, if it has one."""
    if figure.low is None or figure.high is None:
        return f"{number(figure.mean)} (one seed)"
    return f"{number(figure.mean)} ({number(figure.low)} to {number(figure.high)})"


def number(value: float) -> str:
    """Return a number with three decimals, or two where it is 10 or more."""
    return f"{value:.2f}" if abs(value) >= 10 else f"{value:.3f}"


# train


def trained(args: argparse.Namespace) -> int:
    """Train, and say where the result is."""
    from medsim_perception.catalogue import recipe
    from medsim_perception.training import COMPLETE, RUN, read_run
    from medsim_perception.training import run as train

    chosen = recipe(args.name)
    folder = args.out or Path("runs") / f"perception-{chosen.name}-seed{args.seed}"
    before = read_run(folder)["status"] if (folder / RUN).is_file() else None
    with ExitStack() as stack:
        progress: Progress | None = None

        def report(done: int, planned: int, loss: float) -> None:
            nonlocal progress
            progress = progress or stack.enter_context(Progress(planned - done + 1, "step", f"train {chosen.name}"))  # begun, data made
            progress.total = planned - done + progress.count + 1
            if progress.bar is not None:
                progress.bar.total = progress.total
            progress.update()

        try:
            train(chosen, args.seed, folder, args.seconds, args.steps, args.device, report)
        except KeyboardInterrupt as error:
            print(f"medsim: {error or 'interrupted'}", file=sys.stderr)
            return 130
    record = read_run(folder)
    if args.json:
        print(json.dumps({"folder": str(folder), **record}, indent=1))
        return 0
    print(course_of(record, before == COMPLETE))
    if record["status"] == COMPLETE:
        print(f"judge it on cases it has never met: medsim perception evaluate {args.name} --weights {folder}")
    else:
        print("time ran out; the same command goes on")
    print(f"run folder {folder}")
    return 0


def course_of(record: Mapping[str, Any], finished: bool) -> str:
    """Return in a line what a training did."""
    steps = f"{record['recipe']}, seed {record['seed']}: {record['steps']:,} of {record['planned_steps']:,} steps"
    if finished:
        return f"{steps}, already finished; nothing was trained now"
    curve = record["curve"]
    losses = f", loss {curve[0][1]:.3g} at first, {curve[-1][1]:.3g} at last" if curve else ""
    return f"{steps} in {record['seconds']:.0f} s on {record['device']}{losses}"


# evaluate and ship


def judged(chosen: Recipe, model: nn.Module, device: torch.device) -> dict[str, float]:
    """Return what a recipe's judge finds; raises ValueError naming a metric that is not finite."""
    import torch

    from medsim_perception.metrics import as_floats

    with torch.no_grad():
        return as_floats(chosen.judge(model.to(device).eval(), device))


def evaluated(args: argparse.Namespace) -> int:
    """Judge weights, and print the figures beside the card's."""
    from medsim_perception.catalogue import recipe
    from medsim_perception.device import choose_device
    from medsim_perception.training import load_run
    from medsim_perception.weights import list_cards, load_model

    chosen, device = recipe(args.name), choose_device(args.device)
    card = next((one for one in list_cards() if one.name == chosen.name), None)
    if card is None and not args.weights:
        raise ValueError(f"no weights of {chosen.name} are shipped: give --weights RUN, the folder of a finished training")
    model = load_run(chosen, args.weights) if args.weights else load_model(args.name)
    metrics = judged(chosen, model, device)
    source = str(args.weights) if args.weights else "shipped"
    if args.json:
        print(json.dumps({"name": chosen.name, "weights": source, "device": device.type, "metrics": metrics,
                          "card": asdict(card) if card else None}, indent=1))  # fmt: skip
        return 0
    print(f"{chosen.name}: {chosen.question}\nlearnt from {chosen.data}; weights: {source}\n")
    known = card.metrics if card else {}
    rows = [[name, number(value), span(known[name]) if name in known else ""] for name, value in metrics.items()]
    print(table([["metric", "here", "card (95 % interval over seeds)" if card else ""], *rows]))
    lacking = [name for name in known if name not in metrics]
    if lacking:
        print(f"\nNot measured here, since the public data are not ({data_places()}): {', '.join(lacking)}.")
    print("\nOn cases that no training meets. Research simulation, not medical advice.")
    return 0


def data_places() -> str:
    """Return where real data are looked for."""
    from medsim_perception.reconstruction.real_slices import cache_folder

    return f"MEDSIM_DATA names {os.environ.get('MEDSIM_DATA') or 'no folder'}, MEDSIM_DATA_CACHE or its default {cache_folder()}"


def shipped(args: argparse.Namespace) -> int:
    """Judge the models of run folders, and write the median one with its card."""
    from medsim_perception.catalogue import recipe
    from medsim_perception.device import choose_device
    from medsim_perception.training import load_run, read_run
    from medsim_perception.weights import WEIGHTS, halved, save_weights

    chosen, device = recipe(args.name), choose_device(args.device)
    place = (args.to or WEIGHTS) / f"{chosen.name}.safetensors"
    if place.exists() and not args.overwrite:
        raise ValueError(f"{place} is there already: write elsewhere with --to FOLDER, or replace it with --overwrite")
    records = {int(record["seed"]): record for record in map(read_run, args.runs)}
    if len(records) != len(args.runs):
        raise ValueError(f"run folders must be of different seeds, not of {sorted(read_run(one)['seed'] for one in args.runs)}")
    models = {int(read_run(one)["seed"]): load_run(chosen, one) for one in args.runs}
    steps = {record["steps"] for record in records.values()}
    if len(steps) > 1:
        raise ValueError(f"run folders must be of equally many steps, not of {sorted(steps)}: train with the same --steps")
    metrics = {}
    with Progress(len(models), "model", f"judge {chosen.name}") as progress:
        for seed, model in sorted(models.items()):
            metrics[seed] = judged(chosen, halved(model) if args.half else model, device)
            progress.update()
    seed = median_seed(metrics)
    run = records[seed]
    where = "" if run["device"] == "cpu" else f" --device {run['device']}"
    card = save_weights(
        chosen, models[seed], metrics, seed=seed, steps=run["steps"], half=args.half, folder=args.to,
        command=f"medsim perception train {args.name} --seed {seed} --steps {steps.pop()}{where}", trained_with=run["versions"]["torch"],
    )  # fmt: skip
    if args.json:
        print(json.dumps(asdict(card), indent=1))
        return 0
    print(f"{place}: weights of seed {seed}, {card.bytes / 1000:.0f} kB, {card.dtype}")
    print(table([["metric", "mean (95 % interval over seeds)"], *([name, span(figure)] for name, figure in card.metrics.items())]))
    return 0


def median_seed(metrics: Mapping[int, Mapping[str, float]]) -> int:
    """Return the seed that is in the middle by the first metric (of an even number, the lower of the two)."""
    first = next(iter(next(iter(metrics.values()))))
    order = sorted(metrics, key=lambda seed: (metrics[seed][first], seed))
    return order[(len(order) - 1) // 2]


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as columns, ranged left."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
