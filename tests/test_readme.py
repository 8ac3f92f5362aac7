"""The README's commands are the ones that are run."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def commands() -> list[str]:
    """Return the README's commands that make a virtual environment."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```[a-z]*\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines() if "-m venv" in line]


def test_there_are_two_commands_the_main_job_and_the_tests():
    main_job, tests = commands()
    assert main_job.endswith("medsim benchmark run quick")
    assert "pytest" in tests


def test_continuous_integration_calls_the_test_command_of_the_readme():
    assert commands()[1] in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()


def test_the_pictures_of_the_readme_are_there():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for target in re.findall(r"!?\[[^\]]*\]\(([^)#]+)\)", text):
        assert (ROOT / target).exists(), target


def test_the_first_lines_of_the_readme_run():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    first = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert first is not None
    scope: dict[str, object] = {}
    exec(first.group(1), scope)
    assert scope["terminated"] is False


def test_the_code_of_the_page_about_hospitals_runs():
    text = (ROOT / "docs" / "hospital.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 4
    for block in blocks:
        exec(block, {})


def test_a_hospital_begins_as_the_readme_says():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    block = next(one for one in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "pettingzoo.make" in one)
    scope: dict[str, object] = {}
    exec(block, scope)
    assert sum(info["asked"] for info in scope["infos"].values()) == 1


def run_from_top_to_bottom(page: str, count: int) -> dict[str, object]:
    """Run a page's blocks of code, each knowing what those before it made, and return that."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / page).read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == count
    scope: dict[str, object] = {}
    for block in blocks:
        exec(block, scope)
    return scope


def test_the_code_of_the_page_about_perception_runs_from_top_to_bottom():
    scope = run_from_top_to_bottom("perception.md", 6)
    assert scope["mean"].shape == (4, 4)


def test_the_code_of_the_page_about_logged_data_runs_from_top_to_bottom():
    scope = run_from_top_to_bottom("off_policy.md", 2)
    assert scope["episodes"].n == 20
    assert scope["report"].effective_sample_size < 100


def test_the_code_of_the_page_about_limits_on_harm_runs_from_top_to_bottom():
    shield = run_from_top_to_bottom("constrained.md", 1)["shield"]
    assert shield.counts()["simulator look-ahead: high_norepinephrine"] == 10 * 72


def test_the_code_of_the_page_about_safety_runs_from_top_to_bottom():
    found = run_from_top_to_bottom("safety.md", 1)["found"]
    assert found.figures["net_lost"].high < 0.0  # the best policy that cannot see diabetes loses fewer than the physician who can


def test_the_links_and_pictures_of_the_pages_lead_somewhere():
    for page in (ROOT / "docs").glob("*.md"):
        for target in re.findall(r"!?\[[^\]]*\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            assert target.startswith("http") or (page.parent / target).exists(), f"{page.name}: {target}"


def test_a_patient_is_perceived_as_the_readme_says():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    scope: dict[str, object] = {}
    exec(blocks[0], scope)
    exec(next(one for one in blocks if "PerceptionWrapper" in one), scope)
    row, _ = scope["env"].reset(seed=0)
    assert row.shape == scope["env"].observation_space.shape


def test_the_code_of_the_page_about_offline_learning_runs_from_top_to_bottom():
    pytest.importorskip("stable_baselines3")
    scope = run_from_top_to_bottom("offline.md", 2)
    assert {"dm", "dr", "wdr", "magic"} <= scope["report"].estimates.keys()
