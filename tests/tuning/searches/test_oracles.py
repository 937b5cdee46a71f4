"""Oracles that outlive their process: nothing lost, nothing twice, the same trials as without an end."""

import json
import random

import pytest

from keras_nnx.tuning.searches.folder import read_json, write_json
from keras_nnx.tuning.searches.result import COMPLETED, FAILED, PRUNED, REJECTED
from tests.tuning.searches.conftest import measure

NAMES = ["random", "bayesian", "hyperband", "grid", "tpe", "nsga2"]


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_trials(rehearse, name):
    first, second, other = rehearse(name), rehearse(name), rehearse(name, seed=4)
    values = first.run(first.begin())
    assert len(values) == first.most
    assert second.run(second.begin()) == values
    if name != "grid":
        assert other.run(other.begin()) != values


@pytest.mark.parametrize("name", ["random", "tpe"])
def test_seed_zero_is_a_seed(rehearse, name):
    first, second = rehearse(name, seed=0), rehearse(name, seed=0)
    assert first.run(first.begin()) == second.run(second.begin())


@pytest.mark.parametrize("name", NAMES)
def test_begun_again_after_each_trial(rehearse, name):
    whole, parted = rehearse(name), rehearse(name)
    expected = whole.run(whole.begin())
    found = []
    while more := parted.run(parted.begin(), most=1):
        found += more
    assert found == expected
    assert parted.ran == whole.ran


@pytest.mark.parametrize("name", NAMES)
def test_killed_while_a_trial_runs(rehearse, name):
    whole, killed = rehearse(name), rehearse(name)
    expected = whole.run(whole.begin())
    oracle = killed.begin()
    killed.run(oracle, most=3)
    oracle.create_trial("worker-1")
    oracle.create_trial("worker-2")
    found = killed.run(killed.begin())
    assert sorted(killed.folder.results()) == sorted(whole.folder.results())
    assert len(killed.ran) == len(set(killed.ran)) == killed.most
    if name in ("random", "grid"):
        assert sorted(map(str, found)) == sorted(map(str, expected[3:]))


@pytest.mark.parametrize("name", NAMES)
def test_killed_between_result_and_report(rehearse, name):
    rehearsal = rehearse(name)
    oracle = rehearsal.begin()
    rehearsal.run(oracle, most=2)
    trial = oracle.create_trial("worker-1")
    result = {"id": trial.trial_id, "state": COMPLETED, "reason": "", "measures": measure(trial.hyperparameters.values)}
    write_json(rehearsal.folder.result(trial.trial_id), {**result, "values": {}, "notes": [], "drawn": None})
    again = rehearsal.begin()
    rehearsal.run(again)
    assert trial.trial_id not in rehearsal.ran
    assert len(again.end_order) == len(set(again.end_order)) == rehearsal.most


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("damage", ["truncated", "empty", "missing", "both"])
def test_damaged_state(rehearse, name, damage):
    whole, rehearsal = rehearse(name), rehearse(name)
    expected = whole.run(whole.begin())
    rehearsal.run(rehearsal.begin(), most=rehearsal.most - 1)
    path = rehearsal.folder.oracle
    text = path.read_text()
    previous = path.with_name(path.name + ".previous")
    assert json.loads(previous.read_text())["trials"]
    if damage == "missing":
        path.unlink()
    else:
        path.write_text("" if damage == "empty" else text[: len(text) // 2])
    if damage == "both":
        previous.write_text(text[:100])
    again = rehearsal.begin()
    rehearsal.run(again)
    assert len(rehearsal.ran) == len(set(rehearsal.ran)) == rehearsal.most
    assert list(again.trials) == again.start_order
    assert sorted(again.end_order) == sorted(again.trials)
    if name in ("random", "grid", "hyperband"):
        found = [trial.hyperparameters.values for trial in again.trials.values()]
        assert sorted(map(str, found)) == sorted(map(str, expected))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("objectives", [("val_accuracy",), ("val_accuracy", "latency_ms")])
def test_damaged_result(rehearse, name, objectives):
    rehearsal = rehearse(name, objectives=objectives)
    rehearsal.run(rehearsal.begin(), most=4)
    rehearsal.folder.result("2").write_text('{"id": "2", "state": "comp')
    (rehearsal.folder.trial("1") / "trial.json").write_text("")
    oracle = rehearsal.begin()
    rehearsal.run(oracle)
    assert sorted(rehearsal.folder.results(), key=int) == [str(number) for number in range(rehearsal.most)]
    assert rehearsal.ran.count("2") == 2
    assert len(rehearsal.ran) == rehearsal.most + 1
    assert read_json(rehearsal.folder.trial("1") / "trial.json")["trial_id"] == "1"


def test_workers_of_other_machines_keep_their_trial_when_the_chief_dies(rehearse):
    rehearsal = rehearse("random", most=3)
    oracle = rehearsal.begin()
    theirs = oracle.create_trial("worker-elsewhere-1")
    oracle.create_trial("worker-1")
    again = rehearsal.begin(again=True)
    assert again.create_trial("worker-1").trial_id == "1"
    assert again.create_trial("worker-elsewhere-1").trial_id == theirs.trial_id == "0"
    assert again.create_trial("worker-2").trial_id == "2"


@pytest.mark.parametrize("name", ["random", "grid", "hyperband", "tpe"])
def test_result_of_a_trial_that_the_older_state_does_not_know(rehearse, name):
    rehearsal = rehearse(name)
    oracle = rehearsal.begin()
    rehearsal.run(oracle, most=2)
    trial = oracle.create_trial("worker-1")
    values = trial.hyperparameters.values
    result = {"id": trial.trial_id, "state": COMPLETED, "reason": "", "measures": measure(values)}
    write_json(rehearsal.folder.result(trial.trial_id), {**result, "values": {}, "notes": [], "drawn": values})
    rehearsal.folder.oracle.write_text('{"trials": ')
    again = rehearsal.begin()
    rehearsal.run(again)
    assert trial.trial_id not in rehearsal.ran
    assert again.trials[trial.trial_id].hyperparameters.values == values


def test_damaged_trial_is_drawn_again(rehearse):
    rehearsal = rehearse("random")
    rehearsal.run(rehearsal.begin(), most=5)
    rehearsal.folder.oracle.unlink()
    rehearsal.folder.oracle.with_name("oracle.json.previous").unlink()
    (rehearsal.folder.trial("4") / "trial.json").write_text('{"trial_id":')
    rehearsal.folder.result("4").unlink()
    rehearsal.run(rehearsal.begin())
    assert sorted(rehearsal.folder.results()) == [str(number) for number in range(8)]


@pytest.mark.parametrize("name", NAMES)
def test_ended_at_random(rehearse, name):
    """Two workers, of which the search loses one or both now and then, before or after the oracle has written."""
    rehearsal, chance = rehearse(name), random.Random(name)
    for _ in range(40):
        oracle, running = rehearsal.begin(), {}
        for _ in range(chance.randrange(1, 6)):
            worker = f"worker-{chance.randrange(2)}"
            trial = running.pop(worker, None)
            if trial is not None:
                rehearsal.run_trial(oracle, trial)
                continue
            before = read_json(rehearsal.folder.oracle, fall_back=False)
            trial = oracle.create_trial(worker)
            if trial.status == "RUNNING":
                running[worker] = trial
                if chance.random() < 0.2 and before is not None:  # the trial was written, and the state was not
                    write_json(rehearsal.folder.oracle, before)
                    break
    oracle = rehearsal.begin()
    rehearsal.run(oracle)
    assert len(rehearsal.ran) == len(set(rehearsal.ran))
    assert sorted(oracle.end_order) == sorted(oracle.trials) == sorted(rehearsal.folder.results())
    if name != "hyperband":
        assert len(oracle.trials) == rehearsal.most


def test_grid_is_whole_and_without_repetition(rehearse):
    whole, parted = rehearse("grid", most=200), rehearse("grid", most=200)
    values = whole.run(whole.begin())
    rates = {entry["rate"] for entry in values}
    assert len(values) == len({str(sorted(entry.items())) for entry in values}) == len(rates) * 3 * 3
    assert len(rates) >= 10
    found = []
    while more := parted.run(parted.begin(), most=33):
        found += more
    assert found == values


def test_more_trials_than_before(rehearse):
    rehearsal = rehearse("random", most=3)
    rehearsal.run(rehearsal.begin())
    rehearsal.most = 5
    rehearsal.run(rehearsal.begin())
    assert rehearsal.ran == ["0", "1", "2", "3", "4"]


def test_better_than_chance(rehearse):
    def best(name):
        found = []
        for seed in range(1, 5):
            rehearsal = rehearse(name, most=24, seed=seed)
            found.append(max(measure(values)["val_accuracy"] for values in rehearsal.run(rehearsal.begin())))
        return sum(found) / len(found)

    assert best("tpe") > best("random")


@pytest.mark.parametrize("name", ["bayesian", "nsga2", "tpe", "random"])
def test_several_objectives(rehearse, name):
    rehearsal = rehearse(name, most=7, objectives=("val_accuracy", "latency_ms"))
    oracle = rehearsal.begin()
    rehearsal.run(oracle)
    scores = [trial.score for trial in oracle.trials.values()]
    assert all(0 <= score <= 1.1 for score in scores)
    assert len(set(scores)) > 3


def test_hyperband_goes_on_with_the_best(rehearse):
    rehearsal = rehearse("hyperband", most=100)
    values = rehearsal.run(rehearsal.begin())
    chosen = {entry["tuner/trial_id"] for entry in values if entry["tuner/round"] == 1 and entry["tuner/bracket"] == 2}
    results = rehearsal.folder.results()
    first = [
        key
        for key, entry in results.items()
        if entry["drawn"]["tuner/round"] == 0 and entry["drawn"]["tuner/bracket"] == 2
    ]
    ranked = sorted(first, key=lambda key: -results[key]["measures"]["val_accuracy"])
    assert chosen == set(ranked[: len(chosen)])
    assert {entry["tuner/epochs"] for entry in values} == {1, 3, 9}


def test_hyperband_does_not_wait_for_what_has_failed(rehearse):
    def outcome(key, values):
        rejected = int(key) % 2 == 0 and values["tuner/round"] == 0
        return (REJECTED, {}) if rejected else (COMPLETED, measure(values))

    rehearsal = rehearse("hyperband", most=100, outcome=outcome)
    values = rehearsal.run(rehearsal.begin())
    assert sum(entry["tuner/round"] > 0 for entry in values) >= 4


def test_pruned_by_the_median(rehearse):
    rehearsal = rehearse("tpe", most=10, epochs=10)
    oracle = rehearsal.begin()
    for number in range(6):
        trial = oracle.create_trial("worker-1")
        for epoch in (1, 2, 3):
            status = oracle.update_trial(
                trial.trial_id, {"val_accuracy": 0.5 + 0.1 * epoch + 0.01 * number}, epoch
            ).status
            assert status == "RUNNING"
        rehearsal.run_trial(oracle, trial)
    oracle = rehearsal.begin()  # what was reported is not forgotten
    trial = oracle.create_trial("worker-1")
    assert oracle.update_trial(trial.trial_id, {"val_accuracy": 0.1}, 1).status == "RUNNING"  # it warms up
    assert oracle.update_trial(trial.trial_id, {"val_accuracy": 0.1}, 2).status == "STOPPED"
    rehearsal.outcome = lambda key, values: (PRUNED, {})
    rehearsal.run_trial(oracle, trial)
    assert rehearsal.run(rehearsal.begin())


def test_gives_up_when_everything_fails(rehearse):
    rehearsal = rehearse("random", most=50, outcome=lambda key, values: (FAILED, {}))
    oracle = rehearsal.begin()
    rehearsal.run(oracle)
    assert len(rehearsal.ran) == 3
    assert oracle.given_up


def test_does_not_give_up_for_failures_among_others(rehearse):
    rehearsal = rehearse(
        "random", most=12, outcome=lambda key, values: (FAILED, {}) if int(key) > 1 else (COMPLETED, measure(values))
    )
    rehearsal.run(rehearsal.begin())
    assert len(rehearsal.ran) == 12


def test_does_not_give_up_for_what_is_rejected(rehearse):
    rehearsal = rehearse("random", most=12, outcome=lambda key, values: (REJECTED, {}))
    rehearsal.run(rehearsal.begin())
    assert len(rehearsal.ran) == 12


def test_a_trial_told_twice_counts_once(rehearse):
    rehearsal = rehearse("random", most=4)
    oracle = rehearsal.begin()
    trial = oracle.create_trial("worker-1")
    rehearsal.run_trial(oracle, trial)
    oracle.end_trial(trial)
    assert oracle.end_order == ["0"]
