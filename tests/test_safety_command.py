"""``medsim safety`` as its users meet it: exit codes, files, going on, wrong use; and the page in a browser."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from medsim.cli.main import main
from tests import browser

SCM = "medsim/SepsisSCM-v0"
MINE = '''
import numpy as np

def always_ventilate(seen):
    """Ventilates and nothing else."""
    return np.full(len(seen), 2)

not_a_policy = 7
'''


def safety(*arguments: Any) -> int:
    return main(["safety", *map(str, arguments)])


@pytest.fixture(scope="module", autouse=True)
def nothing_fitted() -> Iterator[None]:
    """No installed package fits values: that takes seconds, and has tests of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("medsim.evaluation.off_policy.evidence.entry_points", lambda group: [])
        yield


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A quick evaluation of a policy in a file of one's own."""
    folder = tmp_path_factory.mktemp("safety")
    (folder / "mine.py").write_text(MINE, encoding="utf-8")
    assert safety(f"{folder / 'mine.py'}:always_ventilate", "--env", SCM, "--quick", "--patients", 400, "--out", folder / "out") == 1
    return folder / "out"


def test_the_protocol_leaves_with_0_and_a_report_that_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert safety("physician-soft", "--env", SCM, "--quick", "--patients", 400, "--out", tmp_path, "--json") == 0
    record = json.loads(capsys.readouterr().out)
    assert record["verdict"] in ("passed", "undecided")
    assert "failed" not in {one["status"] for one in record["gates"]}
    assert record == json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert record["sections"]["twins"]["figures"]["net_lost"]["value"] == 0.0


def test_the_page_says_the_verdict_first_who_was_evaluated_and_that_it_is_no_advice(report: Path) -> None:
    page = (report / "report.html").read_text(encoding="utf-8")
    assert page.index("Not safe to use: a gate failed") < page.index("<h2>Gates</h2>") < page.index("<h2>1 Outcome")
    assert "not medical advice" in page
    assert "Ventilates and nothing else." in page
    assert "http" not in page.replace("http://www.w3.org", "")


def test_an_evaluation_goes_on_with_what_is_missing_and_gives_the_same(report: Path) -> None:
    before = (report / "report.json").read_bytes()
    (report / "sections" / "03-doses.json").write_text("{", encoding="utf-8")  # as a broken disk leaves it
    (report / "sections" / "05-novelty.json").unlink()
    kept = (report / "sections" / "04-stress.json").stat().st_mtime_ns
    assert safety(f"{report.parent / 'mine.py'}:always_ventilate", "--env", SCM, "--quick", "--patients", 400, "--out", report) == 1
    assert (report / "report.json").read_bytes() == before
    assert json.loads((report / "sections" / "03-doses.json").read_text(encoding="utf-8"))["says"]
    assert (report / "sections" / "04-stress.json").stat().st_mtime_ns == kept


def test_findings_of_another_policy_of_the_name_are_not_used(report: Path, tmp_path: Path) -> None:
    other = tmp_path / "mine.py"
    other.write_text(MINE.replace("2)", "7)"), encoding="utf-8")
    assert safety(f"{other}:always_ventilate", "--env", SCM, "--quick", "--patients", 400, "--out", report) == 1
    record = json.loads((report / "report.json").read_text(encoding="utf-8"))
    assert record["sections"]["hazards"]["figures"]["H3.met"]["value"] == 1000.0  # everybody now gets the vasopressor
    assert safety(f"{report.parent / 'mine.py'}:always_ventilate", "--env", SCM, "--quick", "--patients", 400, "--out", report) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("wizard", "--env", SCM), "no policy is called 'wizard'"),
        (("physician-soft", "--env", "medsim/Warp-v0"), "no environment is called 'medsim/Warp-v0'"),
        (("physician-soft", "--env", SCM, "--patients", "5"), "--patients must be 100 or more, not 5"),
        (("nowhere.py:policy", "--env", SCM), "there is no file 'nowhere.py' to take the policy 'policy' from"),
        (("{mine}:missing", "--env", SCM), "has no 'missing'"),
        (("{mine}:not_a_policy", "--env", SCM), "{mine}:not_a_policy is no policy"),
        (("physician-soft", "--env", SCM, "--set", "diabetes=2"), "diabetes must be"),
    ],
)
def test_wrong_use_is_one_line_that_names_the_value(
    arguments: tuple[str, ...], message: str, report: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = str(report.parent / "mine.py")
    assert safety(*(one.replace("{mine}", mine) for one in arguments), "--quick") == 2
    assert message.replace("{mine}", mine) in capsys.readouterr().err


@pytest.mark.skipif(browser.chromium() is None, reason="there is no chromium")
@pytest.mark.parametrize("width", [1440, 390])
def test_the_page_does_not_scroll_sideways(width: int, report: Path, tmp_path: Path) -> None:
    page = browser.Page(f"file://{report / 'report.html'}", tmp_path / "profile", width=width)
    try:
        assert page.value("document.documentElement.scrollWidth") <= width
        assert page.value("document.querySelectorAll('svg').length") > 3
    finally:
        page.close()
