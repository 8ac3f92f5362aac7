"""Make a Python environment that has simglucose: it needs an older setuptools to build, and an older numpy and pandas to run."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

BUILD_TOOLS = ("setuptools>=68,<80", "wheel")  # gym 0.9.4, which simglucose pins, does not build with newer ones
PACKAGES = ("numpy<2", "scipy<1.14", "pandas<2.3")
PEER = "simglucose==0.2.11"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="a new folder for the environment")
    folder = parser.parse_args().folder
    if folder.exists() and any(folder.iterdir()):
        parser.error(f"{folder} is not empty")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    install = [str(python), "-m", "pip", "install", "--quiet"]
    subprocess.run([*install, *BUILD_TOOLS], check=True)
    subprocess.run([*install, *PACKAGES], check=True)
    subprocess.run([*install, "--no-build-isolation", PEER, *PACKAGES, *BUILD_TOOLS], check=True)
    subprocess.run([str(python), "-c", "import simglucose.simulation.env"], check=True)
    print(f"simglucose is ready: python -m benchmarks.speed --peer-python {python}")


if __name__ == "__main__":
    main()
