"""The leaderboard page: what stands in it, and how it behaves in a real browser.

Every policy and figure here is made up.
"""

import copy
import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from medsim_agents.leaderboard import format_table, leaderboard, rows_as_json, write_page
from medsim_agents.leaderboard.charts import pareto_front
from medsim_agents.leaderboard.strokes import ticks
from tests.browser import Page, chromium

RECORD = json.loads((Path(__file__).parent / "reference" / "fictional_record.json").read_text())

FICTIONS = {  # name: role, ability, spread between seeds, harm, seeds
    "random": ("floor", 0.0, 0.0, 5.0, 1),
    "no_treatment": ("reference", 0.12, 0.0, 4.0, 1),
    "protocol": ("protocol", 0.62, 0.0, 1.4, 1),
    "exact_optimum": ("ceiling", 1.0, 0.0, 0.6, 1),
    "fictional_heron": ("agent", 0.83, 0.03, 0.9, 5),
    "fictional_otter": ("agent", 0.80, 0.04, 2.4, 5),
    "fictional_quartz": ("agent", 0.61, 0.05, 1.3, 5),
    "fictional_moth": ("agent", 0.38, 0.22, 3.2, 3),
}


def fictional_records(patients=60, envs=("medsim/Fable-v0", "medsim/Legend-v0")):
    """Two environments, eight policies, one to five seeds: what a real board looks like, all of it drawn."""
    rng = np.random.default_rng(20260)
    records = []
    for env in envs:
        severity = rng.normal(0, 0.15, patients)
        for policy, (role, ability, spread, harm, seeds) in FICTIONS.items():
            for seed in range(seeds):
                level = ability + rng.normal(0, spread or 1e-9)
                scores = level - severity + rng.normal(0, 0.08, patients)
                records.append(fiction(env, policy, role, seed, scores, harm * np.exp(severity), rng))
    return records


def fiction(env, policy, role, seed, scores, harm, rng):
    """One record: returns and costs follow the scores, and a run of bad luck counts as a crisis."""
    made, n, agent = copy.deepcopy(RECORD), len(scores), role == "agent"
    low, severe = rng.gamma(2, harm / 2), rng.poisson(harm / 4)
    crises = int((severe > 1).sum())
    made["role"] = role
    made["command"] = f"medsim run --env {env} --policy '{policy}' --seed {seed}"
    made["job"] |= {"env": env, "policy": policy, "seed": seed, "steps": 200_000 if agent else 0}
    made["job"]["kind"] = "agent" if agent else "reference"
    made["job"]["evaluation"]["patients"] = n
    made["result"] = {
        "returns": (60 * scores - 70).tolist(),
        "normalised": scores.tolist(),
        "costs": {"glucose_below_70": low.tolist(), "glucose_below_54": severe.tolist()},
        "cost": (low + severe).tolist(),
        "outcomes": {"day_completed": n - crises, "severe_hypoglycaemia": crises},
        "metrics": {
            "time_in_range": np.clip(scores, 0, 1).tolist(),
            "mean_dose_units": (30 + 9 * scores).tolist(),
        },
    }
    made["learning_curve"] = curve(60 * scores.mean() - 70, rng) if agent else []
    return made


def curve(final, rng):
    """A rise from -75 towards the final return, with noise."""
    steps = np.arange(0, 200_001, 10_000)
    rise = 1 - np.exp(-steps / 50_000)
    returns = -75 + rise * (75 + final) + rng.normal(0, 2, len(steps))
    points = zip(steps.tolist(), returns.tolist(), (6 - 3 * rise).tolist(), strict=True)
    names = ("step", "return_mean", "cost_mean", "wall_s")
    return [dict(zip(names, (*point, 0.001 * point[0]), strict=True)) for point in points]


@pytest.fixture(scope="module")
def records():
    return fictional_records()


@pytest.fixture(scope="module")
def rows(records):
    return leaderboard(records)


# Rows of a whole board


def test_the_order_of_records_changes_nothing(records, rows):
    assert leaderboard(records[::-1]) == rows


def test_the_pareto_front_holds_who_is_not_beaten_in_both(rows):
    board = [row for row in rows if row.board == rows[0].board]
    front = pareto_front(board)
    for row in board:
        beaten = any(other.cost.value <= row.cost.value and other.mean_return.value > row.mean_return.value for other in board)
        assert (row in front) == (not beaten)
    assert all(one.mean_return.value < other.mean_return.value for one, other in pairwise(front))


@pytest.mark.parametrize("name", ["glucose_below_70", "glucose_below_54"])
def test_a_pareto_front_of_one_cost_holds_who_is_not_beaten_in_both(rows, name):
    board = [row for row in rows if row.board == rows[0].board]
    front = pareto_front(board, lambda row: row.costs[name])
    for row in board:
        better = (other for other in board if other.mean_return.value > row.mean_return.value)
        assert (row in front) == (not any(other.costs[name].value <= row.costs[name].value for other in better))


def test_the_chances_of_two_policies_against_each_other_make_one(rows):
    board = {row.policy: row for row in rows if row.board == rows[0].board}
    for policy, row in board.items():
        assert set(row.better_than) == set(board) - {policy}
        for other, chance in row.better_than.items():
            mirrored = board[other].better_than[policy]
            assert chance.value + mirrored.value == pytest.approx(1.0)
            assert (chance.low, chance.high) == pytest.approx((1 - mirrored.high, 1 - mirrored.low))
            assert chance.low <= chance.value <= chance.high
    assert board["fictional_heron"].better_than["protocol"] == board["fictional_heron"].improvement_over_protocol


def test_a_profile_says_which_share_of_patients_did_better_than_a_score(rows, records):
    row = next(row for row in rows if row.policy == "fictional_moth")
    ours = [r["result"]["normalised"] for r in records if r["job"]["policy"] == row.policy and r["job"]["env"] == row.board.env]
    for point in row.profile:
        assert point.share.value == pytest.approx(np.mean(np.array(ours) > point.score))
        assert point.share.low <= point.share.value <= point.share.high
    assert len(row.profile) == 41


def test_a_configuration_is_named_by_what_it_is_made_of(records):
    one = next(record for record in records if record["job"]["policy"] == "fictional_heron")
    other = copy.deepcopy(one)
    other["job"]["hyperparameters"] = {**one["job"]["hyperparameters"], "gamma": 0.5}
    other["job"] |= {"policy": "fictional_newt", "id": "f" * 16}
    first, second = leaderboard([one, other], repetitions=20)
    assert first.configuration != second.configuration
    assert len(first.configuration) == 12


def test_the_text_table_lines_up_and_says_who_is_tied(rows):
    text = format_table(rows)
    header, first = (next(line for line in text.splitlines() if line.lstrip().startswith(start)) for start in ("rank", "1"))
    assert "exact_optimum" in first
    assert "ceiling" in first
    assert header.index("policy") == first.index("exact_optimum")
    assert "Research simulation, not medical advice." in text
    assert format_table([]) == "No results yet.\n"


def test_the_json_holds_every_row_and_no_nan(rows):
    data = json.loads(rows_as_json(rows), parse_constant=pytest.fail)
    assert data["schema"] == 1
    assert [row["policy"] for row in data["rows"]] == [row.policy for row in rows]
    assert data["rows"][0]["score"].keys() == {"value", "low", "high"}


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-70.3, -9.1), (0, 200_000), (1e-4, 3e-4), (-1, 1e6)])
def test_ticks_are_few_round_and_inside(low, high):
    found = ticks(low, high)
    assert 2 <= len(found) <= 7
    assert low - 1e-9 <= found[0]
    assert found[-1] <= high + 1e-9 * abs(high)


# The page


@pytest.fixture(scope="module")
def page(records, tmp_path_factory):
    return write_page(records, tmp_path_factory.mktemp("site") / "new" / "index.html")


def test_the_page_is_the_same_to_the_byte_for_the_same_records(page, records, tmp_path):
    assert write_page(records[::-1], tmp_path / "again.html").read_bytes() == page.read_bytes()


def test_the_page_fetches_nothing(page):
    text = page.read_text()
    assert "http:" not in text
    assert "https:" not in text
    assert "@import" not in text
    assert not re.search(r"<(link|script|img|iframe)[^>]*(src|href)=\"(?!data:,)", text)
    assert "default-src 'none'" in text


def test_the_page_says_what_it_is_and_shows_every_command(page, rows):
    text = page.read_text()
    assert "Research simulation, not medical advice." in text
    for run in (run for row in rows for run in row.runs):
        assert html.escape(run.command) in text


def test_the_page_escapes_what_records_say(tmp_path):
    made = copy.deepcopy(RECORD)
    made["job"]["policy"] = made["command"] = "<img src=x onerror=alert(1)>"
    text = write_page([made], tmp_path / "page.html").read_text()
    assert "<img" not in text
    assert "&lt;img" in text


def test_a_run_card_says_everything_that_is_known_of_a_row(tmp_path):
    made = copy.deepcopy(RECORD)
    made["job"]["hyperparameters"] = {"learning_rate": "linear:3e-4", "env_options": {"reward": "shaped"}}
    made["settings_from"] = {"file": "fable.toml", "sha256": "0123456789ab", "trials": 12, "changed": ["gamma"]}
    made["submission"] = {"by": "A. N. Other", "how": "a record", "verified": False}
    text = write_page([made], tmp_path / "page.html").read_text()
    for said in ("learning_rate: linear:3e-4", "trained under {&quot;reward&quot;: &quot;shaped&quot;}",
                 "fable.toml (<code>0123456789ab</code>), best of 12 trials on validation patients; changed: gamma",
                 "submitted by A. N. Other, not verified", "Seeds", "Configuration", "Commit", "Versions", "Hardware"):  # fmt: skip
        assert said in text


def test_every_tag_is_closed(page):
    open_tags = []

    class Balance(HTMLParser):
        def handle_starttag(self, tag, attrs):
            if tag not in {"meta", "link", "wbr"}:
                open_tags.append(tag)

        def handle_startendtag(self, tag, attrs):
            pass

        def handle_endtag(self, tag):
            assert open_tags.pop() == tag

    Balance().feed(page.read_text())
    assert open_tags == []


def test_a_page_of_no_records_says_so(tmp_path):
    assert "No results yet." in write_page([], tmp_path / "empty.html").read_text()


# In a real browser


@pytest.fixture
def open_in_browser(tmp_path):
    """Opens an address in headless Chromium and gives the document as the browser then has it."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no chromium on this machine: the page was not opened in a browser")
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    flags += f" --disable-component-update --disable-sync --user-data-dir={tmp_path / 'profile'} --dump-dom"

    def document(address):
        command = [chromium, *flags.split(), address]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout

    return document


def first_column(document):
    """Policies of the first sortable table, top to bottom."""
    table = document[document.index('<table class="sortable"') : document.index("</table>", document.index("sortable"))]
    return re.findall(r'<th scope="row" class="who" data-value="([^"]+)"', table)


def test_a_browser_sorts_by_the_column_in_the_address(open_in_browser, page, rows):
    ranked = [row.policy for row in rows if row.board == rows[0].board]
    assert first_column(open_in_browser(page.as_uri())) == ranked
    backwards = open_in_browser(f"{page.as_uri()}#sort=policy:descending")
    assert first_column(backwards) == sorted(ranked, reverse=True)
    assert re.search(r'data-key="policy"[^>]*aria-sort="descending"', backwards)
    assert not re.search(r'data-key="score"[^>]*aria-sort', backwards)


def test_what_is_missing_sorts_last_even_from_high_to_low(open_in_browser, page):
    assert first_column(open_in_browser(f"{page.as_uri()}#sort=improvement:descending"))[-1] == "protocol"


PRESS = """<script>
  document.querySelector('th[data-key="cost"] button').click();
  document.querySelector('th[data-key="cost"] button').click();
</script>"""


def test_pressing_a_head_sorts_best_first_and_pressing_again_turns_it_round(open_in_browser, page, rows, tmp_path):
    board = [row for row in rows if row.board == rows[0].board]
    pressed = tmp_path / "pressed.html"
    pressed.write_text(page.read_text().replace("</body>", f"{PRESS}</body>"))
    worst_first = sorted(board, key=lambda row: -row.cost.value)
    assert first_column(open_in_browser(pressed.as_uri())) == [row.policy for row in worst_first]


@pytest.fixture
def opened(page, tmp_path):
    """Opens the page in a window of a width; its keys can be pressed."""
    if chromium() is None:
        pytest.skip("no chromium on this machine: the page was not opened in a browser")
    pages = []

    def at(width):
        pages.append(Page(page.as_uri(), tmp_path / f"profile-{width}", width))
        return pages[-1]

    yield at
    for one in pages:
        one.close()


ORDER = "[...document.querySelector('table.sortable').tBodies[0].rows].map((row) => row.querySelector('th').dataset.value).join()"
FOCUS = "document.activeElement.closest('th')?.dataset.key"
SORTED = "document.querySelector('table.sortable th[aria-sort]').dataset.key + ' ' + "
SORTED += "document.querySelector('table.sortable th[aria-sort]').getAttribute('aria-sort')"


def test_a_keyboard_alone_sorts_a_table(opened, rows):
    board, window = [row for row in rows if row.board == rows[0].board], opened(1440)
    for _ in range(40):
        window.press("Tab")
        if window.value(FOCUS) == "cost":
            break
    assert window.value(FOCUS) == "cost"
    window.press("Enter")
    best_first = [row.policy for row in sorted(board, key=lambda row: row.cost.value)]
    assert window.value(ORDER).split(",") == best_first
    assert window.value(SORTED) == "cost ascending"
    window.press(" ")
    assert window.value(ORDER).split(",") == best_first[::-1]
    assert window.value(SORTED) == "cost descending"
    assert window.value(FOCUS) == "cost"


@pytest.mark.parametrize("width", [1440, 390])
def test_the_page_does_not_scroll_sideways_even_with_every_part_of_it_open(opened, width):
    window = opened(width)
    for opening in ("", "document.querySelectorAll('details').forEach((part) => (part.open = true));"):
        window.value(opening)
        assert window.value("innerWidth") == width
        assert window.value("document.documentElement.scrollWidth") <= window.value("document.documentElement.clientWidth") <= width
    assert window.value("document.querySelectorAll('details:not([open])').length") == 0
