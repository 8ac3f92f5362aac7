"""Sequences: letters as numbers, splice junctions, warfarin genotypes from reads, HIV resistance."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from medsim_perception.sequences import genotype, hiv_recipe, splice_recipe  # noqa: E402
from medsim_perception.sequences.callers import allele_counts, majority_caller, posterior  # noqa: E402
from medsim_perception.sequences.encoding import (  # noqa: E402
    AMINO_ACIDS,
    BASES,
    complement_encoded,
    encode_dna,
    encode_mixtures,
    encode_protein,
    reverse_complement,
)
from medsim_perception.sequences.nets import Committee, WindowNet  # noqa: E402
from medsim_perception.sequences.reads import (  # noqa: E402
    FLANK,
    FREQUENCIES,
    SITES,
    Reading,
    draw_genotypes,
    draw_patients,
    encode_reads,
    genotype_priors,
)
from medsim_perception.sequences.resistance import GENES, level, mutations, parse_mutation, patterns, resistant, score  # noqa: E402
from medsim_perception.sequences.splice import read_splice_windows, splice_file  # noqa: E402
from medsim_perception.sequences.viruses import Sequencing, draw_viruses  # noqa: E402

CPU = torch.device("cpu")


# letters


def test_an_ambiguity_code_is_equal_fractions_of_what_it_stands_for():
    assert encode_dna("R").tolist() == [[0.5, 0.0, 0.5, 0.0]]
    assert encode_dna("N").tolist() == [[0.25] * 4]
    assert np.allclose(encode_dna("ACGTURYSWKMBDHVN").sum(1), 1)
    assert encode_protein("B")[0, [AMINO_ACIDS.index("D"), AMINO_ACIDS.index("N")]].tolist() == [0.5, 0.5]


def test_a_gap_is_nothing_and_lower_case_is_upper_case():
    assert encode_dna("-.").sum() == 0
    assert (encode_dna("acgt") == np.eye(4)).all()


@pytest.mark.parametrize(
    ("encode", "sequence", "said"),
    [(encode_dna, "ACEG", "'E' at place 3"), (encode_protein, "MO", "'O' at place 2"), (encode_dna, "Aé", "'é' at place 2")],
)
def test_a_wrong_letter_is_named_with_its_place(encode, sequence, said):
    with pytest.raises(ValueError, match=said):
        encode(sequence)


def test_a_mixture_shares_its_place_and_an_unread_place_is_nothing():
    encoded = encode_mixtures(["M", "MV", ""])
    assert encoded[1, AMINO_ACIDS.index("V")] == 0.5
    assert encoded.sum(1).tolist() == [1, 1, 0]
    with pytest.raises(ValueError, match="place 2"):
        encode_mixtures(["M", "M1"])


def test_the_other_strand_is_the_same_in_letters_and_in_numbers():
    assert reverse_complement("AACGR") == "YCGTT"
    assert (complement_encoded(encode_dna("AACGRN")) == encode_dna(reverse_complement("AACGRN"))).all()


# splice junctions


def test_a_committee_answers_with_the_mean_chance_of_its_members():
    torch.manual_seed(0)
    committee = Committee([WindowNet(4, 60, 3, channels=8), WindowNet(4, 60, 3, channels=8)]).eval()
    x = torch.rand(5, 60, 4)
    mean = sum(torch.softmax(member(x), 1) for member in committee.members) / 2
    assert torch.allclose(torch.softmax(committee(x), 1), mean, atol=1e-6)


def test_attention_sums_to_one_and_a_window_of_wrong_length_is_refused():
    net = WindowNet(4, 60, 3).eval()
    assert torch.allclose(net.read(torch.rand(2, 60, 4))[1].sum(2), torch.ones(2, 4), atol=1e-5)
    with pytest.raises(ValueError, match=r"\(n, 60, 4\)"):
        net(torch.rand(2, 59, 4))


def test_a_net_learns_the_consensus_of_splice_sites():
    rng = np.random.default_rng(0)
    bases, labels = rng.integers(4, size=(300, 60)), rng.integers(3, size=300)
    bases[labels == 0, 30:36] = [BASES.index(base) for base in "GTAAGT"]
    bases[labels == 1, 27:30] = [BASES.index(base) for base in "CAG"]
    x, y = torch.eye(4)[torch.from_numpy(bases)], torch.from_numpy(labels)
    torch.manual_seed(0)
    learner = splice_recipe.learner((x[:250], y[:250]), 0, CPU, steps=60)
    for _ in range(60):
        learner.step()
    assert (learner.model.eval()(x[250:]).argmax(1) == y[250:]).float().mean() > 0.85


def test_statlog_windows_hold_gt_after_exons_and_ag_before_them():
    if not splice_file().is_file():
        pytest.skip("StatLog's DNA.rda is absent: python -m benchmarks.perception.splice --fetch")
    train, test = read_splice_windows()
    assert (len(train.labels), len(test.labels)) == (2000, 1186)
    assert np.bincount(np.concatenate([train.labels, test.labels])).tolist() == [767, 765, 1654]
    donors = [s for s, label in zip(train.sequences, train.labels, strict=True) if label == 0]
    assert np.mean([s[30:32] == "GT" for s in donors]) > 0.98


def test_a_missing_or_damaged_table_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"gone\.rda"):
        read_splice_windows(tmp_path / "gone.rda")
    (tmp_path / "bad.rda").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"bad\.rda"):
        read_splice_windows(tmp_path / "bad.rda")


# genotypes


def test_genotypes_have_the_frequencies_of_their_population():
    copies = draw_genotypes(40_000, np.random.default_rng(0), "european")
    assert np.allclose(copies.mean(0) / 2, FREQUENCIES["european"], atol=0.006)
    counts = np.stack([(copies == k).mean(0) for k in range(3)], 1)
    assert np.allclose(counts, genotype_priors("european"), atol=0.008)
    assert (copies[:, :2].sum(1) <= 2).all()  # *2 and *3 are never on one haplotype


def test_without_errors_and_with_many_reads_every_caller_is_right():
    reading = Reading(error=0.0, coverage=80, balance_sd=0.0)
    patients = draw_patients(200, np.random.default_rng(1), reading)
    assert (majority_caller(patients) == patients.copies).all()
    assert (posterior(patients, reading, genotype_priors()).argmax(2) == patients.copies).all()


def test_the_likelihood_caller_says_how_often_it_is_right():
    reading = Reading(error=0.05, coverage=6, least=1)
    patients = draw_patients(2000, np.random.default_rng(2), reading)
    chances = posterior(patients, reading, genotype_priors())
    right = (chances.argmax(2) == patients.copies).mean()
    assert abs(chances.max(2).mean() - right) < 0.01
    assert right > (majority_caller(patients) == patients.copies).mean()


def test_reads_show_errors_at_the_given_rate():
    patients = draw_patients(150, np.random.default_rng(3), Reading(error=0.06))
    counts = allele_counts(patients)[patients.copies == 0]
    assert counts[:, 1:].sum() / counts.sum() == pytest.approx(0.06, abs=0.01)
    assert (patients.reads.sum((2, 3))[patients.present] == 50).all()
    assert patients.reads[~patients.present].sum() == 0


def test_the_strand_and_the_order_of_reads_do_not_matter():
    torch.manual_seed(0)
    net = genotype.build().eval()
    patients = draw_patients(3, np.random.default_rng(4))
    first = genotype.perceive(net, patients.reads, patients.present, CPU)
    turned = complement_encoded(patients.reads)[:, ::-1].copy()
    second = genotype.perceive(net, turned, patients.present[:, ::-1].copy(), CPU)
    assert np.allclose(first.chances, second.chances, atol=1e-5)


def test_the_state_says_how_sure_it_is():
    state = genotype.state_of(np.array([[[0.0, 1.0, 0.0], [0.5, 0.0, 0.5], [0.25, 0.5, 0.25]]]))
    assert state.copies[0].tolist() == [1.0, 1.0, 1.0]
    assert np.allclose(state.sd[0], [0.0, 1.0, np.sqrt(0.5)])


def test_a_short_training_tells_the_amplicons_and_their_alleles_apart():
    learner = genotype.begin(0, CPU)
    learner.planned_steps, learner.batch_size = 80, 10
    for _ in range(80):
        learner.step()
    patients = genotype.judged_patients(Reading(), 60)
    logits = learner.network.read_logits(torch.from_numpy(patients.reads[patients.present]))
    assert (logits.argmax(1).numpy() == patients.shown[patients.present]).mean() > 0.6  # 7 answers


def test_bad_readings_and_long_reads_are_refused():
    with pytest.raises(ValueError, match="error"):
        Reading(error=0.9)
    with pytest.raises(ValueError, match="martian"):
        draw_genotypes(3, np.random.default_rng(0), "martian")
    with pytest.raises(ValueError, match="read 2 has 51"):
        encode_reads(["ACGT", "A" * 51])
    assert all(len(site.left) == len(site.right) == FLANK for site in SITES)


# HIV


def test_penalties_are_those_that_stanford_published_for_every_combination():
    checked = 0
    for pattern in patterns():
        found = score(pattern.mutations)
        for drug, published in pattern.published_scores.items():
            assert found[drug] == published, (pattern, drug)
            checked += 1
    assert checked == 1050


def test_m184v_defeats_lamivudine_and_k103n_efavirenz():
    m184v, k103n = parse_mutation("M184V", "RT"), parse_mutation("K103N", "RT")
    assert [drug for drug, beaten in resistant([m184v]).items() if beaten] == ["3TC"]
    assert [drug for drug, beaten in resistant([k103n]).items() if beaten] == ["EFV"]
    assert (level(score([m184v])["3TC"]), level(0)) == ("high-level", "susceptible")
    assert str(m184v) == "RT M184V"


def test_a_wrong_mutation_is_refused():
    for text in ("M184Z", "184V", "M999V"):
        with pytest.raises(ValueError, match=text):
            parse_mutation(text, "RT")
    with pytest.raises(ValueError, match="env"):
        parse_mutation("M184V", "env")
    assert {gene: len(sequence) for gene, sequence in GENES.items()} == {"PR": 99, "RT": 240}


def test_well_sequenced_viruses_are_read_by_the_rule_and_minorities_are_not_reported():
    perfect = Sequencing(depth=(5000, 5000), error=0.0, unread=0.0)
    viruses = draw_viruses(60, np.random.default_rng(0), perfect)
    called = hiv_recipe.rule_calls(viruses.fractions)
    inner = [k for k, mutation in enumerate(mutations()) if 8 <= mutation.place < 331]  # the ends may be unread
    assert (called.mutated[:, inner] == viruses.mutated[:, inner]).mean() > 0.999
    assert np.allclose(viruses.fractions.sum(2).max(1), 1, atol=1e-5)


def test_judged_combinations_were_not_trained_on():
    trained, kept = hiv_recipe.split_combinations()
    assert len(kept) > 50
    assert not {pattern.mutations for pattern in trained} & {pattern.mutations for pattern in kept}
    known = {mutation for pattern in trained for mutation in pattern.mutations}
    assert all(known.issuperset(pattern.mutations) for pattern in kept)


def test_a_short_training_finds_mutations(monkeypatch):
    monkeypatch.setattr(hiv_recipe, "TRAINING_PATIENTS", 300)
    learner = hiv_recipe.begin(0, CPU)
    learner.planned_steps = 120
    for _ in range(120):
        learner.step()
    viruses = draw_viruses(100, np.random.default_rng(5), combinations=hiv_recipe.split_combinations()[0])
    assert hiv_recipe.scored(hiv_recipe.net_calls(learner.model, viruses, CPU), viruses)["mutation f1"] > 0.5


def test_recipes_are_small_and_named():
    for recipe in (splice_recipe.recipe(), genotype.recipe(), hiv_recipe.recipe()):
        assert sum(p.numel() for p in recipe.build().parameters()) * 2 < 60_000, recipe.name
