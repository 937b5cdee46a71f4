"""Train a network that reads dates in words, letter by letter, and end with artifacts that are proven to run.

It needs no network connection. Dates of 1900 to 2099 are written in eight forms such as "the third of march, nineteen
ninety-nine" and "mar 3rd 1999"; the answer to both is 1999-03-03. A bidirectional encoder reads the letters, and a
decoder with attention writes the answer; in training it is shown the right answer so far (teacher forcing). No date of
the test was seen in training in any form. Written to --out:

  export/      saved_model/, model.onnx, model.tflite, each checked in its own runtime; from letters to letters, with
               the loop of the decoder inside
  dates.png    which words the ONNX file's answers hang on, and how many are right in each form

The last lines give how many test dates the ONNX file reads right to the last letter, beside two baselines: linear
classifiers of year, month and day on counts of letter sequences, and dateutil, a parser made of rules, which nobody
told of years in words. (Rules written for these very forms would always be right.) Exit code 1: it was not better.
"""

import argparse
import datetime
import os
import re
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # fewer of TensorFlow's start-up lines

import keras
import numpy as np
import onnxruntime
from dateutil import parser as dateutil
from matplotlib.figure import Figure
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.svm import LinearSVC

import keras_nnx as nnx

SMALL = re.findall(
    r"\w+",
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen",
)
TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
ORDINALS = {"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth"}
MONTHS = re.findall(r"\w+", "january february march april may june july august september october november december")
FIRST, DAYS = datetime.date(1900, 1, 1), 73_049  # to the end of 2099

SOURCE = " ,-0123456789abcdefghijklmnopqrstuvwxyz"  # token 1 and following; 0 is padding
TARGET = "-0123456789"  # likewise
START = len(TARGET) + 1
HELD_OUT = 100  # dates, each in every form
WRITTEN = len("1999-03-03")
BLUE, ORANGE, GREY = "#1f5fa8", "#d9730d", "#808892"


def in_words(number: int) -> str:
    """Return a number under 100 in words."""
    if number < 20:
        return SMALL[number]
    return TENS[number // 10] + (f"-{SMALL[number % 10]}" if number % 10 else "")


def year_in_words(year: int, random: np.random.Generator) -> str:
    """Return a year of 1900 to 2099 in words, in one of the ways that people say it."""
    century, rest = divmod(year, 100)
    hundreds = "two thousand" if century == 20 else "nineteen hundred"
    if not rest:
        return hundreds
    ways = [f"{hundreds} and {in_words(rest)}"]
    if rest > 9:
        ways.append(f"{in_words(century)} {in_words(rest)}")
    else:
        ways.append(f"{in_words(century)} oh {in_words(rest)}")
    return ways[random.integers(len(ways))]


def ordinal(day: int) -> str:
    """Return a day of the month as in 3rd."""
    ending = "th" if day in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return f"{day}{ending}"


def ordinal_in_words(day: int) -> str:
    """Return a day of the month as in third."""
    head, _, last = in_words(day).rpartition("-")
    last = ORDINALS.get(last) or (f"{last[:-1]}ieth" if last.endswith("y") else f"{last}th".replace("vet", "ft"))
    return f"{head}-{last}" if head else last


FORMS = (
    "the {third} of {march}, {in_words}",
    "{march} the {third}, {in_words}",
    "{weekday}, {ordinal} {march} {in_words}",
    "the {third} of {march} {year}",
    "{weekday}, {march} the {third}, {year}",
    "{march} {ordinal}, {year}",
    "{mar} {ordinal} {year}",
    "{day} {mar} {year}",
)


def write_out(date: datetime.date, form: str, random: np.random.Generator) -> str:
    """Return a date in one of the forms."""
    month = MONTHS[date.month - 1]
    return form.format(
        day=date.day,
        ordinal=ordinal(date.day),
        third=ordinal_in_words(date.day),
        march=month,
        mar=month[:3],
        year=date.year,
        in_words=year_in_words(date.year, random),
        weekday=date.strftime("%A").lower(),
    )


def make_texts(count: int, held_out: int, seed: int) -> tuple[list[str], list[str], list[str], list[str]]:
    """Return `count` texts to train on with their dates, and `held_out` other dates in every form, likewise."""
    random = np.random.default_rng(seed)
    dates = [FIRST + datetime.timedelta(days=int(day)) for day in random.permutation(DAYS)]
    known = [dates[held_out + index % (DAYS - held_out)] for index in range(count)]
    texts = [write_out(date, FORMS[random.integers(len(FORMS))], random) for date in known]
    unseen = [(write_out(date, form, random), date.isoformat()) for form in FORMS for date in dates[:held_out]]
    return texts, [date.isoformat() for date in known], *map(list, zip(*unseen, strict=True))


def encode(texts: Sequence[str], letters: str) -> np.ndarray:
    """Return texts as tokens (n, longest) in int32, padded with 0; a letter that is unknown is read as a space."""
    table = {letter: token for token, letter in enumerate(letters, 1)}
    tokens = np.zeros((len(texts), max(map(len, texts))), np.int32)
    for row, text in zip(tokens, texts, strict=True):
        row[: len(text)] = [table.get(letter, 1) for letter in text.lower()]
    return tokens


def decode(tokens: np.ndarray) -> list[str]:
    """Return what a decoder wrote, (n, WRITTEN), as texts."""
    return ["".join(TARGET[token - 1] if 0 < token < START else "?" for token in row) for row in tokens]


def train(texts: list[str], dates: list[str], epochs: int) -> keras.Model:
    """Return an encoder and decoder that was trained with teacher forcing."""
    model = nnx.models.SequenceToSequence(
        ((None,), (None,)), (len(SOURCE) + 1, START + 1), units=(96,), cell="gru", dim=48, classifier_activation=None
    )
    answers = encode(dates, TARGET)
    shown = np.pad(answers[:, :-1], ((0, 0), (1, 0)), constant_values=START)
    steps = epochs * -(-len(texts) // 64)
    schedule = keras.optimizers.schedules.CosineDecay(0.0, steps, warmup_target=4e-3, warmup_steps=max(1, steps // 20))
    model.compile(
        keras.optimizers.Adam(schedule, clipnorm=1.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    inputs = {"source": encode(texts, SOURCE), "target": shown}
    model.fit(inputs, answers, batch_size=64, epochs=epochs, verbose=2)
    return model


def read_by_rules(texts: list[str]) -> list[str]:
    """Return what dateutil reads; nothing where it gives up."""
    read = []
    for text in texts:
        try:
            read.append(dateutil.parse(text, default=datetime.datetime(2000, 1, 1)).date().isoformat())
        except (ValueError, OverflowError):
            read.append("")
    return read


def read_by_counts(texts: list[str], dates: list[str], unseen: list[str]) -> list[str]:
    """Return what linear classifiers of year, month and day read in counts of one to four letters, after training."""
    vectors = TfidfVectorizer(analyzer="char", ngram_range=(1, 4))
    counts, others = vectors.fit_transform(texts), vectors.transform(unseen)
    fields = np.array([date.split("-") for date in dates]).T
    parts = [LinearSVC(random_state=0).fit(counts, field).predict(others) for field in fields]
    return ["-".join(row) for row in zip(*parts, strict=True)]


class Reader:
    """Reads texts with an ONNX file alone."""

    def __init__(self, path: Path) -> None:
        self.session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def __call__(self, texts: Sequence[str]) -> list[str]:
        """Return the dates that texts tell."""
        parts = [texts[start : start + 100] for start in range(0, len(texts), 100)]
        return [date for part in parts for date in decode(self.session.run(None, {"source": encode(part, SOURCE)})[0])]


def struck_out(reader: Reader, text: str) -> np.ndarray:
    """Return which letters of the answer (row) change when the word of a letter of the text (column) is struck out."""
    words = list(re.finditer(r"[a-z0-9]+", text))
    blank = [text[: word.start()] + " " * len(word[0]) + text[word.end() :] for word in words]
    answer, *others = (np.array(list(date)) for date in reader([text, *blank]))
    changed = np.zeros((WRITTEN, len(text)), bool)
    for word, other in zip(words, others, strict=True):
        changed[:, word.start() : word.end()] = (other != answer)[:, None]
    return changed


def draw(path: Path, reader: Reader, texts: Sequence[str], right: dict[str, np.ndarray]) -> None:
    """Write a picture: what answers hang on, and how many test dates are right in each form."""
    figure = Figure(figsize=(13, 9), layout="constrained", facecolor="white")
    panels = figure.subplots(len(texts) + 1, 1, height_ratios=(*[1] * len(texts), 1.4))
    for panel, text in zip(panels, texts, strict=False):
        panel.imshow(struck_out(reader, text), cmap="Blues", vmin=0, vmax=1.3, aspect="auto")
        panel.set(xticks=range(len(text)), xticklabels=text, yticks=range(WRITTEN), yticklabels=reader([text])[0])
        panel.tick_params(length=0)
    panels[0].set_title("Blue: this letter of the answer (left) changes when that word of the text is struck out")
    panel, places = panels[-1], np.arange(len(FORMS))
    for index, (colour, (name, answers)) in enumerate(zip((BLUE, ORANGE, GREY), right.items(), strict=True)):
        shares = 100 * answers.reshape(len(FORMS), -1).mean(axis=1)
        bars = panel.bar(places + 0.28 * (index - 1), shares, 0.26, color=colour, label=name)
        panel.bar_label(bars, fmt="%.0f", fontsize=8)
    random = np.random.default_rng(0)
    names = [textwrap.fill(write_out(datetime.date(1999, 3, 3), form, random), 18) for form in FORMS]
    panel.set_xticks(places, names, fontsize=8)
    panel.set(ylabel="% right to the last letter", ylim=(0, 125))
    panel.spines[["top", "right"]].set_visible(False)
    panel.legend(frameon=False, ncols=3, loc="upper left")
    figure.savefig(path, dpi=110)


def positive(text: str) -> int:
    """Return the whole number over 0 that an option was given."""
    number = int(text)
    if number < 1:
        raise ValueError(f"{number} is under 1")
    return number


def read_options() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--texts", type=positive, default=3200, help="dates to train on, in one form each (default: %(default)s)")
    add("--epochs", type=positive, default=8, help="passes over the texts to train on (default: %(default)s)")
    add(
        "--seed", type=positive, default=1, help="of dates, forms, weights and order; one seed, one result (default: 1)"
    )
    add("--out", type=Path, default=Path("build/read_dates"), help="folder to write to (default: %(default)s)")
    options = parser.parse_args()
    if not 500 <= options.texts <= DAYS - HELD_OUT:
        parser.error(f"--texts: take 500 to {DAYS - HELD_OUT}, which are left beside those held out")
    return options


def main() -> None:
    """Train, make a decoder of it, export it, and let the artifact read dates that were held out."""
    options = read_options()
    keras.utils.set_random_seed(options.seed)
    texts, dates, unseen, truth = make_texts(options.texts, HELD_OUT, options.seed)
    model = train(texts, dates, options.epochs)
    report = nnx.export_model(
        nnx.models.greedy_decoder(model, WRITTEN, START, name="read_dates"),
        options.out / "export",
        formats=("saved_model", "onnx", "tflite"),
        calibration=encode(unseen[::100], SOURCE),
        metadata={"example": "read_dates", "seed": options.seed, "source_letters": SOURCE, "target_letters": TARGET},
        overwrite=True,
    )
    print(report)

    reader = Reader(report.artifacts["onnx"].path)
    answers = {
        "ONNX": reader(unseen),
        "linear classifiers of letter counts": read_by_counts(texts, dates, unseen),
        "dateutil": read_by_rules(unseen),
    }
    right = {name: np.array(read) == np.array(truth) for name, read in answers.items()}
    draw(options.out / "dates.png", reader, (unseen[0], unseen[5 * HELD_OUT + 1]), right)
    print(f"What the answers hang on, and those right by form: {options.out / 'dates.png'}")
    for text in unseen[::HELD_OUT]:
        print(f"  {text} -> {reader([text])[0]}")
    finish(right)


def finish(right: dict[str, np.ndarray]) -> None:
    """Print what was reached, and end with exit code 1 where a baseline was as good."""
    ours, *others = (answers.mean() for answers in right.values())
    count = len(right["ONNX"])
    print("; ".join(f"{name}: {answers.mean():.1%}" for name, answers in right.items()), f"of {count} texts, exactly")
    if ours <= max(others):
        sys.exit("The ONNX file is not better than the baselines: train longer (--epochs) or on more (--texts).")


if __name__ == "__main__":
    main()
