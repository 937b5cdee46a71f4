"""Adversarial training: our step beside one as Keras's examples write it, and what generated images are worth.

`python -m tests.bench.gan step COMPILED STEPS` and `python -m tests.bench.gan augmentation SEED EPOCHS` print JSON; the
bench starts them as processes of their own.
"""

import json
import os
import statistics
import subprocess
import sys

BATCH, LATENTS = 64, 32
MODES = {"graph": False, "jit": True}
SEEDS = (1, 2, 3, 4, 5)
FEW, ROUNDS = 200, 600


def steps(_options):
    return len(MODES) + len(SEEDS)


def measure(options, _folder, step):
    """Return milliseconds of steps by mode, and accuracies by seed."""
    found = {"step": {}, "augmentation": {}}
    for mode, compiled in MODES.items():
        step(f"adversarial steps, {mode}")
        found["step"][mode] = _process("step", int(compiled), options.steps)
    for seed in SEEDS:
        step(f"{FEW} digits and generated ones, seed {seed}")
        found["augmentation"][seed] = _process("augmentation", seed, ROUNDS)
    return found


def tables(results):
    lines = [
        "## Adversarial training",
        "",
        f"A step for {BATCH} images of 28 x 28, DCGAN networks, non-saturating loss, no regulariser, no average:",
        "ours over a `train_step` as Keras's examples write it, in turns.",
        "",
        "| mode | ours, ms | plain, ms | ratio |",
        "|---|---|---|---|",
    ]
    for mode, found in results["step"].items():
        ours, plain = found["ours"], found["plain"]
        lines.append(f"| {mode} | {ours:.2f} | {plain:.2f} | {ours / plain:.3f} |")
    lines += [
        "",
        f"Generated images as more training data: a classifier of {FEW} digits, its accuracy on the 270 test digits,",
        "without and with 1,000 images of a conditional GAN that saw the same digits and no others.",
        "",
        "| seed | without | with | difference |",
        "|---|---|---|---|",
    ]
    pairs = results["augmentation"]
    for seed, found in pairs.items():
        lines.append(f"| {seed} | {found['without']:.1%} | {found['with']:.1%} | {_points(found)} |")
    changes = [100 * (found["with"] - found["without"]) for found in pairs.values()]
    means = [statistics.mean(found[name] for found in pairs.values()) for name in ("without", "with")]
    lines.append(
        f"| mean, and standard deviation over the seeds | {means[0]:.1%} | {means[1]:.1%} | "
        f"{statistics.mean(changes):+.1f} ± {statistics.stdev(changes):.1f} |"
    )
    return lines


def _points(found):
    return f"{100 * (found['with'] - found['without']):+.1f}"


def _process(*arguments):
    command = [sys.executable, "-m", "tests.bench.gan", *map(str, arguments)]
    printed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=os.environ).stdout
    return json.loads(printed.splitlines()[-1])


def networks():
    """Return a generator and a discriminator for images of 28 x 28."""
    import keras_nnx as nnx

    return (
        nnx.models.DCGANGenerator((28, 28, 1), latent_dim=LATENTS, filters=(64, 32)),
        nnx.models.DCGANDiscriminator((28, 28, 1), filters=(32, 64)),
    )


def plain_model():
    """Return a GAN as Keras's examples write one: a subclass with its own step."""
    import keras
    import tensorflow as tf

    class Plain(keras.Model):
        def __init__(self, generator, discriminator):
            super().__init__()
            self.generator, self.discriminator = generator, discriminator
            self.seeds = keras.random.SeedGenerator(1)
            self.built = True

        def compile(self, d_optimizer, g_optimizer, **more):
            super().compile(**more)
            self.d_optimizer, self.g_optimizer = d_optimizer, g_optimizer
            self.crossentropy = keras.losses.BinaryCrossentropy(from_logits=True)

        def train_step(self, images):
            size = tf.shape(images)[0]
            made = self.generator(keras.random.normal((size, LATENTS), seed=self.seeds), training=True)
            both, truth = tf.concat([made, images], 0), tf.concat([tf.zeros((size, 1)), tf.ones((size, 1))], 0)
            with tf.GradientTape() as tape:
                told = self.crossentropy(truth, self.discriminator(both, training=True))
            weights = self.discriminator.trainable_weights
            self.d_optimizer.apply_gradients(zip(tape.gradient(told, weights), weights, strict=True))
            latents = keras.random.normal((size, LATENTS), seed=self.seeds)
            with tf.GradientTape() as tape:
                answers = self.discriminator(self.generator(latents, training=True), training=True)
                fooled = self.crossentropy(tf.ones((size, 1)), answers)
            weights = self.generator.trainable_weights
            self.g_optimizer.apply_gradients(zip(tape.gradient(fooled, weights), weights, strict=True))
            return {"d_loss": told, "g_loss": fooled}

    return Plain(*networks())


def compare(compiled, count):
    """Return the median milliseconds of a step of both, in turns of ten."""
    import time

    import keras
    import numpy as np
    import tensorflow as tf

    import keras_nnx as nnx

    def adam():
        return keras.optimizers.Adam(2e-4, beta_1=0.5)

    ours, plain = nnx.training.GAN(*networks(), ema_decay=None, seed=1), plain_model()
    ours.compile(adam(), adam(), jit_compile=compiled)
    plain.compile(adam(), adam(), jit_compile=compiled)
    images = np.random.default_rng(0).uniform(-1, 1, (BATCH * 10, 28, 28, 1)).astype("float32")
    data = tf.data.Dataset.from_tensor_slices(images).batch(BATCH, drop_remainder=True).cache()
    seconds = {"ours": [], "plain": []}
    for turn in range(-1, max(2, count // 10)):
        for name, model in {"ours": ours, "plain": plain}.items():
            start = time.perf_counter()
            model.fit(data, verbose=0, shuffle=False)
            if turn >= 0:  # the first compiles
                seconds[name].append((time.perf_counter() - start) / 10)
    return {name: 1e3 * statistics.median(values) for name, values in seconds.items()}


def augmentation(seed, rounds):
    """Return the accuracy of classifiers of a few digits, without and with images of a GAN that saw no others."""
    import keras
    import numpy as np

    import keras_nnx as nnx

    data = nnx.data.load("digits", augment="none")

    def digits(split):
        pictures, labels = (np.concatenate(p) for p in zip(*data.raw(split).as_numpy_iterator(), strict=True))
        return pictures.astype("float32") / 127.5 - 1, labels.astype("int32")

    images, labels = digits("train")
    chosen = np.random.default_rng(seed).permutation(len(images))[:FEW]
    images, labels = images[chosen], labels[chosen]
    keras.utils.set_random_seed(seed)
    gan = nnx.training.GAN(
        nnx.models.DCGANGenerator((8, 8, 1), latent_dim=LATENTS, num_classes=10, filters=(96, 48)),
        nnx.models.DCGANDiscriminator((8, 8, 1), num_classes=10, filters=(48, 96), normalization=None),
        num_classes=10,
        augmentation=nnx.layers.DifferentiableAugmentation(("translation",), seed=seed),
        ema_decay=0.995,
        seed=seed,
    )
    adam = {"learning_rate": 1e-3, "beta_1": 0.0, "beta_2": 0.99}
    gan.compile(
        keras.optimizers.Adam(**adam),
        keras.optimizers.Adam(**adam),
        loss=nnx.losses.RelativisticGANLoss(),
        regularizers=[nnx.training.R1(0.5, 4), nnx.training.R2(0.5, 4)],
        jit_compile=False,
    )
    gan.fit(nnx.training.ShuffledBatches(images, labels, 50, seed), epochs=rounds // 4, shuffle=False, verbose=0)
    asked = np.arange(1000) % 10
    more = np.concatenate([images, gan.generate(1000, seed=seed, labels=asked)]), np.concatenate([labels, asked])
    return {
        "without": _accuracy((images, labels), digits("test"), seed),
        "with": _accuracy(more, digits("test"), seed),
    }


def _accuracy(known, test, seed):
    """Return the accuracy of a classifier behind 1,500 steps, however many images it has."""
    import keras
    import numpy as np

    import keras_nnx as nnx

    keras.utils.set_random_seed(seed)
    model = nnx.models.ResNet((8, 8, 1), 10, filters=(32, 64), blocks=(1, 1))
    schedule = nnx.schedules.CosineRestarts(3e-3, period=1500, restarts=0)
    model.compile(keras.optimizers.AdamW(schedule), "sparse_categorical_crossentropy", jit_compile=False)
    batches = nnx.training.ShuffledBatches(*known, batch_size=50, seed=seed)
    model.fit(batches, epochs=-(-1500 // len(batches)), shuffle=False, verbose=0)
    images, labels = test
    return float((np.argmax(model.predict(images, verbose=0), -1) == labels).mean())


def main():
    what, first, second = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    found = compare(bool(first), second) if what == "step" else augmentation(first, second)
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
