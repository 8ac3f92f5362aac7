"""Death of real ICU stays after 24 hours (eICU demo, 1,367 stays, 70 deaths): what pre-training on simulated patients is worth.

    MEDSIM_DATA=... python -m benchmarks.perception.ehr_mortality --seeds 5

Each seed is a division into 5 folds, stratified by death, stays that are likely of one patient together; every row of the table meets the
same folds. Logistic regression and gradient boosting on summaries of the chart are permanent rows. The network (an LSTM of 32 numbers;
recipe `ehr-mortality`) is trained from nothing, and from weights learnt on simulated patients, with the same settings, two members each
whose log odds are averaged. Rows with "and" or "both" are means of the rows' log odds, standardised over the stays asked about, with equal
weights. Epochs and what to average were chosen on one other division of the same stays (random state 101). Intervals of means over folds
allow for the overlap of training sets (Nadeau & Bengio, Mach Learn 2003;52:239-281).
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.perception.vision_runs import arguments, machine, per_seed, table, trained, write_json, write_page
from medsim_perception.device import choose_device
from medsim_perception.ehr import mortality
from medsim_perception.ehr.features import boosted_trees, logistic, summary_features
from medsim_perception.ehr.nets import ChartNet
from medsim_perception.ehr.patients import likely_patients
from medsim_perception.ehr.tables import Charts, from_long_tables
from medsim_perception.metrics import auprc, auroc, brier, calibration_error, f1, precision, recall
from medsim_perception.real_data import icu_demo

NAME = "ehr_mortality"
FOLDS, MEMBERS = 5, 2
REFERENCE = {"logistic": 0.770, "boosting": 0.793}  # AUROC, other divisions of the same stays
ROWS = {
    "logistic": "logistic regression (C = 0.01)",
    "boosting": "gradient boosting",
    "scratch": "LSTM from nothing",
    "zero_shot": "LSTM of simulated patients, no real label seen",
    "pretrained": "LSTM of simulated patients, fine-tuned",
    "scratch+pretrained": "both LSTMs",
    "logistic+boosting": "logistic and boosting",
    "scratch+boosting": "LSTM from nothing and boosting",
    "pretrained+boosting": "LSTM fine-tuned and boosting",
    "scratch+pretrained+boosting": "both LSTMs and boosting",
    "logistic_quarter": "logistic regression, a quarter of the training stays",
    "boosting_quarter": "gradient boosting, a quarter",
    "scratch_quarter": "LSTM from nothing, a quarter",
    "pretrained_quarter": "LSTM fine-tuned, a quarter",
    "logistic_sixteenth": "logistic regression, a sixteenth of the training stays",
    "boosting_sixteenth": "gradient boosting, a sixteenth",
    "scratch_sixteenth": "LSTM from nothing, a sixteenth",
    "pretrained_sixteenth": "LSTM fine-tuned, a sixteenth",
}
SHARES = {"quarter": 4, "sixteenth": 16}  # of the training stays
MEANS = {name: name.split("+") for name in ROWS if "+" in name}
DIFFERENCES = (
    ("pretrained", "scratch"), ("pretrained_quarter", "scratch_quarter"), ("pretrained_quarter", "boosting_quarter"),
    ("pretrained_sixteenth", "scratch_sixteenth"), ("pretrained_sixteenth", "boosting_sixteenth"),
    ("zero_shot", "scratch_quarter"), ("pretrained", "boosting"), ("scratch+pretrained", "boosting"), ("pretrained+boosting", "boosting"),
    ("scratch+pretrained+boosting", "boosting"), ("pretrained+boosting", "logistic+boosting"), ("pretrained+boosting", "scratch+boosting"),
)  # fmt: skip
COMPARED = ("auroc", "auprc", "brier")
VERDICTS = {
    "Pre-training against the same net from nothing": "pretrained-scratch",
    "The same with a quarter of the training stays (14 deaths)": "pretrained_quarter-scratch_quarter",
    "The same with a sixteenth (4 deaths)": "pretrained_sixteenth-scratch_sixteenth",
    "The pre-trained net alone against boosting": "pretrained-boosting",
    "The pre-trained net and boosting together, against boosting": "pretrained+boosting-boosting",
}

Floats = NDArray[np.float64]


@cache
def stays() -> tuple[Charts, NDArray[np.int64], Floats]:
    """Charts, deaths and summaries of all stays."""
    tables = icu_demo("mortality24")
    charts = from_long_tables(tables.dynamic, tables.static)
    died = tables.outcome.set_index("stay_id")["label"].reindex(charts.stay_ids).to_numpy(np.int64)
    return charts, died, summary_features(charts.values, charts.mask, charts.statics)


@cache
def patients_of_stays() -> NDArray[np.int64]:
    """Which stays are likely of one patient: they fall into one fold."""
    charts, static = stays()[0], icu_demo("mortality24").static.set_index("stay_id")
    return likely_patients(static.loc[charts.stay_ids].reset_index())


def one_seed(seed: int, chosen: argparse.Namespace) -> dict[str, Any]:
    """Figures of every row in every fold of one division."""
    from sklearn.model_selection import StratifiedGroupKFold
    from tqdm import tqdm

    (_, died, _), patients = stays(), patients_of_stays()
    started = [trained(mortality.recipe(), seed, chosen)]
    division = list(StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed).split(died, died, patients))
    folds = []
    for train, test in tqdm(division, desc=f"{NAME} seed {seed}", unit="fold"):
        odds = log_odds(train, test, started, seed, chosen)
        folds.append({name: figures(died[test], died[train], one) for name, one in odds.items()})
    return {"folds": folds}


def log_odds(train: Any, test: Any, started: list[Any], seed: int, chosen: argparse.Namespace) -> dict[str, Floats]:
    """Log odds of death of test stays, by row."""
    odds = learnt(train, test, started, seed, chosen)
    for part, share in SHARES.items():
        few = some_of(train, share, seed)
        odds |= {f"{name}_{part}": one for name, one in learnt(few, test, started, seed, chosen).items() if f"{name}_{part}" in ROWS}
    for name, parts in MEANS.items():
        odds[name] = mean_of([odds[part] for part in parts])
    return odds


def some_of(train: Any, share: int, seed: int) -> Any:
    """One in `share` of the training stays, of those who die and of those who live."""
    died, rng = stays()[1][train], np.random.default_rng((seed, 5))
    return np.concatenate([rng.permutation(train[died == label])[: round((died == label).sum() / share)] for label in (0, 1)])


def learnt(train: Any, test: Any, started: list[Any], seed: int, chosen: argparse.Namespace) -> dict[str, Floats]:
    """Log odds of the rows that learn by themselves."""
    charts, died, features = stays()
    device = choose_device(chosen.device)
    odds: dict[str, Floats] = {}
    known = ~np.isnan(features[train]).all(axis=0)  # with few stays, some things were never measured
    for name, model in (("logistic", logistic()), ("boosting", boosted_trees(seed))):
        model.fit(features[train][:, known], died[train])
        odds[name] = odds_of(model, features[test][:, known])
    several: dict[str, list[Floats]] = {"scratch": [], "zero_shot": [], "pretrained": []}
    for member in range(MEMBERS):
        for name, members in several.items():
            torch.manual_seed(10_000 + 100 * seed + member)
            net: ChartNet = mortality.build() if name == "scratch" else copy.deepcopy(started[member % len(started)])
            if name == "zero_shot":
                mortality.open_to(net, charts.select(train))
            else:
                mortality.fine_tune(net, charts.select(train), died[train], seed=member, device=device, pretrained=name == "pretrained")
            members.append(answers(net, charts.select(test)))
    for name, members in several.items():
        odds[name] = np.mean(members, axis=0)
    return odds


def mean_of(parts: list[Floats]) -> Floats:
    """The mean of log odds, each in units of its spread over these stays (no label is needed), brought back to the mean spread."""
    spreads = [part.std() for part in parts]
    centred = [(part - part.mean()) / spread for part, spread in zip(parts, spreads, strict=True)]
    return np.asarray(np.mean(centred, axis=0) * np.mean(spreads) + np.mean([part.mean() for part in parts]))


def odds_of(model: Any, features: Floats) -> Floats:
    risk = np.clip(model.predict_proba(features)[:, 1], 1e-6, 1 - 1e-6)
    return np.asarray(np.log(risk / (1 - risk)))


def answers(net: ChartNet, charts: Charts) -> Floats:
    net.to("cpu").eval()
    with torch.no_grad():
        return net(*mortality.inputs_of(charts))["mortality"][:, 0].numpy().astype(np.float64)


def figures(died: Any, died_in_training: Any, odds: Floats) -> dict[str, float]:
    """Metrics of a fold; precision, recall and F1 where as large a share of stays is called as die among the training stays."""
    risk = 1 / (1 + np.exp(-odds))
    called = (odds >= np.quantile(odds, 1 - died_in_training.mean())).astype(np.int64)
    return {
        "auroc": auroc(died, odds), "auprc": auprc(died, odds), "precision": precision(died, called), "recall": recall(died, called),
        "f1": f1(died, called), "brier": brier(died, risk), "calibration_error": calibration_error(died, risk),
    }  # fmt: skip


def corrected(values: Any, share: int = 1) -> dict[str, float]:
    """Mean over folds and its 95 % interval, widened for training sets that overlap."""
    from scipy.stats import t

    v = np.asarray(values, np.float64)
    half = float(t.ppf(0.975, len(v) - 1) * np.sqrt(v.var(ddof=1) * (1 / len(v) + share / (FOLDS - 1))))
    return {"mean": float(v.mean()), "low": float(v.mean()) - half, "high": float(v.mean()) + half, "folds": len(v)}


def share_of(row: str) -> int:
    """One in how many of the training stays a row learns from: test stays weigh as many times more beside them."""
    return SHARES.get(row.rpartition("_")[2], 1)


def text(found: Mapping[str, float], sign: str = "", digits: int = 3) -> str:
    return f"{found['mean']:{sign}.{digits}f} ({found['low']:{sign}.{digits}f} to {found['high']:{sign}.{digits}f})"


def page(records: list[dict[str, Any]], found: dict[str, Any]) -> list[str]:
    rows = [[words, *(text(found["rows"][name][metric]) for metric in ("auroc", "auprc", "f1", "brier"))] for name, words in ROWS.items()]
    told = found["differences"]
    pairs = [
        [f"{ROWS[a]} - {ROWS[b]}", *(text(told[metric][f"{a}-{b}"], "+", 4 if metric == "brier" else 3) for metric in COMPARED)]
        for a, b in DIFFERENCES
    ]
    lines = [
        f"- {words}: AUROC {text(told['auroc'][pair], '+')}: {verdict(told['auroc'][pair])}; Brier {text(told['brier'][pair], '+', 4)}: "
        f"{verdict(told['brier'][pair], -1)}."
        for words, pair in VERDICTS.items()
    ]
    reference = f"{REFERENCE['logistic']:.3f}, boosting {REFERENCE['boosting']:.3f}"
    return [
        "# Death of real ICU stays, with and without simulated patients", "",
        f"eICU demo (YAIB's layout), first 24 hours, 1,367 stays, 70 deaths; {len(records)} divisions x {FOLDS} folds. Mean over folds",
        "(95 % interval, Nadeau and Bengio). F1 where as many stays are called as die. Reference figures of other divisions: logistic",
        f"{reference}; with 14 deaths in a fold a division moves them by some hundredths. Stays that are likely of one patient",
        "(equal age, sex and height, like weights, near ids) fall into one fold. Intervals count a quarter's and a sixteenth's test stays",
        "as 4 and 16 times as many beside their training stays. The nets' epochs and what is averaged were chosen on another division of",
        "these same stays; boosting is at scikit-learn's defaults. Rows with `and` or `both` standardise log odds, and F1 sets its",
        "threshold, over the stays of the test fold (no label is used, and no stay can be scored alone).", "",
        *table(["", "AUROC", "AUPRC", "F1", "Brier"], rows), "", "Differences, paired by fold:", "",
        *table(["", *(metric.upper() if metric.startswith("au") else "Brier, lower is better" for metric in COMPARED)], pairs), "", *lines,
        "", f"Command: `python -m benchmarks.perception.ehr_mortality --seeds {len(records)}`. Machine: {machine()}.",
    ]  # fmt: skip


def verdict(found: Mapping[str, float], better: int = 1) -> str:
    """In words; `better` is -1 where less is better."""
    if min(better * found["low"], better * found["high"]) > 0:
        return "better, the interval excludes 0"
    return "better in the mean, the interval holds 0" if better * found["mean"] > 0 else "NOT better"


def main() -> None:
    chosen = arguments(__doc__ or "")
    records = per_seed(NAME, chosen, lambda seed: one_seed(seed, chosen))
    folds = [fold for record in records for fold in record["folds"]]
    metrics = list(folds[0]["logistic"])
    found = {
        "rows": {name: {metric: corrected([fold[name][metric] for fold in folds], share_of(name)) for metric in metrics} for name in ROWS},
        "differences": {
            metric: {
                f"{a}-{b}": corrected([fold[a][metric] - fold[b][metric] for fold in folds], max(share_of(a), share_of(b)))
                for a, b in DIFFERENCES
            }
            for metric in COMPARED
        },
        "reference": REFERENCE,
        "machine": machine(),
    }
    write_json(chosen.out / f"{NAME}.json", found)
    write_page(chosen.out / f"{NAME}.md", page(records, found))


if __name__ == "__main__":
    main()
