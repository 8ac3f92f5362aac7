"""``medsim doctor``: is everything there, and does it work?"""

import argparse
import importlib.util
import json
import platform
from importlib.metadata import PackageNotFoundError, version

from medsim.cli.verbs import Verb
from medsim.registry import ENVIRONMENTS, HOSPITALS, is_hospital, make_task

__all__ = ["VERB"]

NEEDED = ("numpy", "numba", "gymnasium", "pettingzoo", "simpy", "pandas", "scipy", "matplotlib")
OPTIONAL = {
    "agents": ("torch", "stable-baselines3", "sb3-contrib"),
    "perception": ("torch", "safetensors"),
    "offline": ("h5py", "minari"),
    "cluster": ("ray",),
    "gpu": ("numba-cuda",),
    "icu": ("icu-sepsis",),
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("--json", action="store_true", help="for machines")
    parser.add_argument("--source", metavar="ENV", help="print the generated record functions of an environment instead")


def run(args: argparse.Namespace) -> int:
    """Check the installation; the exit code is 1 if something needed is missing or wrong."""
    if args.source:
        from medsim.core.records import source_for

        if is_hospital(args.source):
            raise ValueError(f"{args.source} is a hospital, which has no generated records")
        task = make_task(args.source)
        print(source_for(task.model, task.view))
        return 0
    findings = examine()
    if args.json:
        print(json.dumps(findings, indent=1))
    else:
        for name, text in findings.items():
            print(f"{name:28s} {text}")
    return 1 if any(str(text).startswith("MISSING") or str(text).startswith("WRONG") for text in findings.values()) else 0


def examine() -> dict[str, str]:
    """Return what was found, by name."""
    from medsim.core.compile import cache_folder, jit_enabled

    findings = {"python": platform.python_version(), "platform": platform.platform(), "medsim": version_of("medsim")}
    for package in NEEDED:
        findings[package] = version_of(package)
    for extra, packages in OPTIONAL.items():
        for package in packages:
            found = version_of(package)
            findings[package] = f"not installed (extra {extra})" if found.startswith("MISSING") else found
    findings["compiler"] = "on" if jit_enabled() else "off (MEDSIM_JIT=0: plain Python, slow)"
    findings["kernel cache"] = str(cache_folder())
    findings["gpu"] = gpu()
    for one in ENVIRONMENTS:
        findings[one.id] = try_environment(one.id) if one.available else f"needs {one.needs}: pip install 'medsim[{one.extra}]'"
    for hospital in HOSPITALS:
        findings[hospital.id] = try_hospital(hospital.id)
    return findings


def try_hospital(env_id: str) -> str:
    """Return whether a hospital runs, and twice the same on one seed."""
    from medsim.cli.hospital_facts import same_twice

    return same_twice(env_id)


def version_of(package: str) -> str:
    """Return an installed package's version, or that it is missing."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "MISSING"


def gpu() -> str:
    """Return what is known of a GPU for the simulators."""
    if importlib.util.find_spec("numba_cuda") is None:
        return "numba-cuda is not installed (extra gpu)"
    from numba import cuda

    if not cuda.is_available():
        return "none found"
    return str(cuda.get_current_device().name)


def try_environment(env_id: str) -> str:
    """Return whether an environment's compiled course equals the plain Python one, to the bit, for a few steps."""
    from medsim.core.compile import python_kernels
    from medsim.core.kernels import DISABLED
    from medsim.core.tabular import TabularTask
    from medsim.core.tabular_kernels import kernels_of

    task = make_task(env_id)
    batches = [task.make_batch(1, mode=DISABLED) for _ in range(2)]
    batches[1].kernels = kernels_of(False) if isinstance(task, TabularTask) else python_kernels(task.model, task.view)
    for batch in batches:
        batch.seed(1)
        batch.reset()
        for _ in range(3):
            batch.step_one()
    if (batches[0].obs != batches[1].obs).any() or (batches[0].out != batches[1].out).any():
        return f"WRONG: compiled and plain Python differ: {batches[0].obs.tolist()} {batches[1].obs.tolist()}"
    return "works; compiled equals plain Python to the bit"


VERB = Verb("doctor", "check the installation", configure, run)
