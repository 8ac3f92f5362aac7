"""What imports what, what is promised to be there, and what the wheel holds."""

import ast
import importlib
import pkgutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

import medsim

ROOT = Path(__file__).parent.parent
PACKAGES = {
    "medsim": ROOT / "medsim",
    "medsim_agents": ROOT / "agents" / "medsim_agents",
    "medsim_perception": ROOT / "perception" / "medsim_perception",
}
LEARNERS = {"stable_baselines3", "sb3_contrib", "d3rlpy", "minari", "ray", "medsim_agents"}
NEVER = {  # imports go one way
    "medsim": {"torch", "monai", "medsim_perception"} | LEARNERS,
    "medsim_perception": LEARNERS,
    "medsim_agents": {"tests", "benchmarks"},
}
LATE = {"numba", "matplotlib", "pandas", "scipy", "tqdm", "h5py"}


def modules(package: str) -> list[Path]:
    return sorted(PACKAGES[package].rglob("*.py"))


def imports(nodes: list[ast.stmt] | ast.AST) -> Iterator[str]:
    """Yield the top-level names of all modules imported anywhere within."""
    for part in nodes if isinstance(nodes, list) else [nodes]:
        for node in ast.walk(part):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                yield node.module.partition(".")[0]
            elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module") and isinstance(node.args[0], ast.Constant):
                yield str(node.args[0].value).partition(".")[0]


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_never_imports_those_above_it(package: str) -> None:
    assert modules(package)
    for path in modules(package):
        found = set(imports(ast.parse(path.read_text(encoding="utf-8")))) & NEVER[package]
        assert not found, f"{path.relative_to(ROOT)} imports {', '.join(sorted(found))}"


@pytest.mark.parametrize("package", ["core", "treatments", "datasets", "registry.py", "__init__.py"])
def test_what_import_medsim_may_load_imports_heavy_packages_only_where_they_are_used(package: str) -> None:
    """The engine's compiler modules may import Numba on top: they are themselves imported where they are used."""
    start = PACKAGES["medsim"] / package
    for path in [start] if start.is_file() else sorted(start.rglob("*.py")):
        top = [node for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.Import | ast.ImportFrom)]
        late = set(imports(list(top))) & LATE - ({"numba"} if path.name in ("cpu_bits.py", "cpu_records.py", "cuda.py") else set())
        assert not late, f"{path.relative_to(ROOT)} imports {', '.join(sorted(late))} when it is itself imported"


def importable(package: str) -> list[str]:
    found = [package]
    for one in pkgutil.walk_packages([str(PACKAGES[package])], prefix=f"{package}."):
        if not one.name.endswith("__main__"):
            found.append(one.name)
    return found


@pytest.mark.parametrize("package", ["medsim", "medsim_perception"])
def test_every_name_in_all_exists_once(package: str) -> None:
    for name in importable(package):
        module = importlib.import_module(name)
        promised = getattr(module, "__all__", [])
        missing = [one for one in promised if not hasattr(module, one)]
        assert not missing, f"{name}.__all__ names {missing}"
        assert len(set(promised)) == len(promised)


def test_every_name_in_all_of_the_agents_exists() -> None:
    pytest.importorskip("stable_baselines3")
    for name in importable("medsim_agents"):
        module = importlib.import_module(name)
        missing = [one for one in getattr(module, "__all__", []) if not hasattr(module, one)]
        assert not missing, f"{name}.__all__ names {missing}"


# The wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The names of the files in a wheel built from what would be committed."""
    if find_spec("build") is None or find_spec("hatchling") is None:
        pytest.skip("the packages build and hatchling are not installed")
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = out.glob("*.whl")
    assert path.name.startswith(f"medsim-{medsim.__version__}-py3-none-any")
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        metadata = archive.read(next(name for name in names if name.endswith("METADATA"))).decode()
    needed = [line for line in metadata.splitlines() if line.startswith("Requires-Dist") and "extra ==" not in line]
    assert any("gymnasium" in line for line in needed)
    assert not any(name in line for line in needed for name in ("torch", "stable-baselines3"))
    return names


def test_the_wheel_holds_every_module_of_the_three_packages(wheel: list[str]) -> None:
    for package, folder in PACKAGES.items():
        for path in modules(package):
            assert f"{package}/{path.relative_to(folder).as_posix()}" in wheel


def test_the_wheel_holds_data_and_the_mark_of_types(wheel: list[str]) -> None:
    assert "medsim/py.typed" in wheel
    tables = sorted(PACKAGES["medsim"].rglob("*.csv"))
    assert tables
    for path in tables:
        assert f"medsim/{path.relative_to(PACKAGES['medsim']).as_posix()}" in wheel
    assert any(name.endswith("licenses/LICENSE") for name in wheel)
    assert any(name.endswith("entry_points.txt") for name in wheel)


def test_the_wheel_holds_nothing_else(wheel: list[str]) -> None:
    tops = {name.partition("/")[0] for name in wheel}
    assert tops == {*PACKAGES, f"medsim-{medsim.__version__}.dist-info"}
    assert not [name for name in wheel if "test" in Path(name).name or "__pycache__" in name or name.endswith((".pyc", ".pt", ".zip"))]
