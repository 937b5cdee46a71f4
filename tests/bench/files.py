"""The files that our export and that of stock Keras write of the same models: how fast, how large, how costly to make.

Exports are measured in turns, each in a process of its own; so are the two files of a model, in one process.
"""

import json
import statistics
import sys

import onnx

from tests.bench import memory

FORMATS = ("saved_model", "onnx", "tflite")
FILES = {"onnx": "model.onnx", "tflite": "model.tflite"}
THREADS = (1, 2)


def steps(options):
    return len(options.models) * (2 * options.rounds + len(FILES) * len(THREADS))


def measure(options, folder, step):
    """Return what was measured of each model."""
    results = {}
    for place, name in enumerate(options.models):
        (folder / str(place)).mkdir()
        results[name] = measure_model(name, options.rounds, options.seconds, folder / str(place), step)
    return results


def tables(results):
    return [
        "## Latency",
        "",
        *latency_table(results),
        "",
        "## Export",
        "",
        "Three formats; ours with the proof.",
        "",
        *export_table(results),
        "",
        "## Files that do not run",
        "",
        *failures(results),
    ]


def export(name, by, folder):
    command = [sys.executable, "-m", "tests.bench.export_once", name, by, ",".join(FORMATS), str(folder)]
    printed, peak = memory.run(command)
    return {**json.loads(printed.splitlines()[-1]), "peak": peak, "folder": folder}


def compare(name, target, threads, seconds, first, second):
    paths = [str(folder / FILES[target]) for folder in (first, second)]
    command = [sys.executable, "-m", "tests.bench.latency", name, target, str(threads), str(seconds), *paths]
    return json.loads(memory.run(command)[0].splitlines()[-1])


def measure_model(name, rounds, seconds, folder, step):
    """Return what was measured of one model."""
    exports = {"stock": [], "ours": []}
    for turn in range(rounds):
        for who, done in exports.items():
            step(f"{name}: export by {who}, {turn + 1} of {rounds}")
            done.append(export(name, who, folder / f"{who}{turn}"))
    first, second = exports["ours"][0]["folder"], exports["stock"][0]["folder"]
    latencies = {}
    for target in FILES:
        for threads in THREADS:
            step(f"{name}: latency of {target}, {threads} thread{'s' * (threads > 1)}")
            if target in exports["stock"][0]["refused"]:
                latencies[target, threads] = {"failures": {"stock": exports["stock"][0]["refused"][target]}}
            else:
                latencies[target, threads] = compare(name, target, threads, seconds, first, second)
    nodes = {
        who: len(onnx.load(path, load_external_data=False).graph.node)
        for who, path in (("ours", first / FILES["onnx"]), ("stock", second / FILES["onnx"]))
        if path.exists()
    }
    size = sum(path.stat().st_size for path in (first / "saved_model" / "variables").iterdir())
    return {"exports": exports, "latencies": latencies, "nodes": nodes, "size": size}


def latency_table(results):
    lines = [
        "| model | format | threads | ours, ms | stock, ms | ours / stock |",
        "|---|---|---|---|---|---|",
    ]
    for name, result in results.items():
        for (target, threads), found in result["latencies"].items():
            if found["failures"]:
                why = "; ".join(f"{who} does not run" for who in found["failures"])
                lines.append(f"| {name} | {target} | {threads} | | | {why} |")
                continue
            ours, stock = found["medians"]["ours"], found["medians"]["stock"]
            wrong = " (their answers differ)" if found["difference"] > 1e-3 else ""
            lines.append(f"| {name} | {target} | {threads} | {ours:.2f} | {stock:.2f} | {ours / stock:.2f}{wrong} |")
    return lines


def export_table(results):
    lines = [
        "| model | weights, MB | ours, s | stock, s | ours / stock | peak, GB | stock's | ONNX nodes | stock's |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, result in results.items():
        seconds = {
            who: statistics.median(done["seconds"] for done in all_of) for who, all_of in result["exports"].items()
        }
        peak = {who: max(done["peak"] for done in all_of) / 1e9 for who, all_of in result["exports"].items()}
        lines.append(
            f"| {name} | {result['size'] / 1e6:.0f} | {seconds['ours']:.1f} | {seconds['stock']:.1f} "
            f"| {seconds['ours'] / seconds['stock']:.2f} | {peak['ours']:.2f} | {peak['stock']:.2f} "
            f"| {result['nodes'].get('ours', '')} | {result['nodes'].get('stock', '')} |"
        )
    return lines


def failures(results):
    lines = []
    for name, result in results.items():
        for (target, threads), found in result["latencies"].items():
            if threads == THREADS[0]:
                lines += [f"- {name}, {target}, {who}: `{why}`" for who, why in found["failures"].items()]
    return lines or ["All files ran."]
