"""Entry point of the ``medsim`` command."""

import argparse
import os
import sys
from collections.abc import Sequence

import medsim
from medsim.cli import dataset, doctor, environments, evaluate, hospital, play, render, safety, solve, trials, warmup
from medsim.cli.verbs import Verb, contributed_verbs

__all__ = ["main"]

OWN: tuple[Verb, ...] = (
    environments.VERB, play.VERB, evaluate.VERB, solve.VERB, trials.VERB, hospital.VERB, dataset.VERB, safety.VERB, render.VERB,
    warmup.VERB, doctor.VERB,
)  # fmt: skip
EPILOG = """A first round:
  medsim envs                                      what there is
  medsim evaluate medsim/Glucose-v0 --policy all   reference policies on the test patients
  medsim train medsim/Glucose-v0 --algo ppo        train an agent
  medsim trials run clovers                        a landmark trial on simulated patients, beside what it found
  medsim benchmark run quick                       train, evaluate and rank; writes a page
Research simulation, not medical advice."""


def parser_of(verbs: Sequence[Verb]) -> argparse.ArgumentParser:
    """Return the parser of all verbs."""
    parser = argparse.ArgumentParser(
        prog="medsim",
        description="Clinical simulators for reinforcement learning.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"medsim {medsim.__version__}")
    places = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    for verb in verbs:
        place = places.add_parser(verb.name, help=verb.help, description=verb.help, formatter_class=argparse.RawDescriptionHelpFormatter)
        verb.configure(place)
        place.set_defaults(run=verb.run)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code. Wrong use is one line on stderr and code 2."""
    args = parser_of([*OWN, *contributed_verbs()]).parse_args(arguments)
    try:
        code: int = args.run(args)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read along has gone: `medsim ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains when it flushes at its end
        return 0
    except (ValueError, OSError) as error:
        print(f"medsim: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("medsim: interrupted", file=sys.stderr)
        return 130
    return code


if __name__ == "__main__":
    sys.exit(main())
