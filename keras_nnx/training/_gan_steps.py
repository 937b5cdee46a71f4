"""The parts of a step of adversarial training: critic steps in a compiled loop, the generator's, the moving average."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from keras_nnx.training._latents import drawn, next_seed

if TYPE_CHECKING:
    from keras_nnx.training.gan import GAN

Logs = dict[str, tf.Tensor]

_ADAM = {"learning_rate": 2e-4, "beta_1": 0.5, "beta_2": 0.999}

MEASURED = ("discriminator_loss", "real_score", "generated_score", "discriminator_accuracy")
"""Of each step of the discriminator; the accuracy is how often a real image scores over a generated one."""


def train(gan: GAN, images: tf.Tensor, labels: tf.Tensor | None) -> Logs:
    """Train the discriminator on each part of a batch, then the generator; return what was measured.

    The batch is cut into as many parts as there are critic steps, so that each step sees other images. What is missing
    to a last part is filled up from the start.
    """
    images, labels, share = _shared(images, labels)
    steps, size = gan.critic_steps, tf.shape(images)[0]
    if steps == 1:
        logs = _train_discriminator(gan, images, labels, share)
        return {**logs, **_train_generator(gan, images, labels, share)}
    part = -(-size // steps)
    indices = tf.reshape(tf.range(part * steps) % size, (steps, part))

    def cut(step: Any) -> tuple[tf.Tensor, tf.Tensor | None]:
        return tf.gather(images, indices[step]), None if labels is None else tf.gather(labels, indices[step])

    if _replicas() > 1:  # an optimizer cannot join replicas from inside a loop of TensorFlow
        every = [_train_discriminator(gan, *cut(step), share=share) for step in range(steps)]
        logs = {name: tf.add_n([entry[name] for entry in every]) / steps for name in every[0]}
    else:
        logs = _in_a_loop(gan, cut, steps)
    return {**logs, **_train_generator(gan, *cut(steps - 1), share=share)}


def evaluate(gan: GAN, images: tf.Tensor, labels: tf.Tensor | None) -> Logs:
    """Return both losses and the mean scores at inference, without regularisers and augmentation."""
    images, labels, _ = _shared(images, labels)
    generated = _generate(gan, images, labels, training=False)
    real_scores = _discriminate(gan, images, labels, training=False)
    generated_scores = _discriminate(gan, generated, labels, training=False)
    return {
        **_measured(gan, real_scores, generated_scores),
        "generator_loss": gan.loss_between.generator(real_scores, generated_scores),
    }


def _in_a_loop(gan: GAN, cut: Any, steps: int) -> Logs:
    names = (*MEASURED, *(entry.name for entry in gan.regularizers))

    def body(step: tf.Tensor, sums: Sequence[tf.Tensor]) -> tuple[tf.Tensor, list[tf.Tensor]]:
        images, labels = cut(step)
        logs = _train_discriminator(gan, images, labels, share=1.0)
        return step + 1, [before + logs[name] for name, before in zip(names, sums, strict=True)]

    _, sums = tf.while_loop(
        lambda step, _: step < steps, body, (tf.constant(0), [tf.zeros((), tf.float32) for _ in names])
    )
    return {name: total / steps for name, total in zip(names, sums, strict=True)}


def _train_discriminator(gan: GAN, images: tf.Tensor, labels: tf.Tensor | None, share: Any) -> Logs:
    optimizer, variables = gan.discriminator_optimizer, gan.discriminator.trainable_variables
    generated = gan.seen(_generate(gan, images, labels, training=True))
    images = gan.seen(images)

    def critic(seen: tf.Tensor) -> tf.Tensor:
        return _discriminate(gan, seen, labels, training=True)

    def examined(seen: tf.Tensor) -> tf.Tensor:
        # A look at slopes moves no statistics; and where there are several replicas, a branch could not.
        with keras.StatelessScope():
            return critic(seen)

    with tf.GradientTape() as tape:
        logs = _measured(gan, critic(images), critic(generated))
        loss = logs["discriminator_loss"]
        for regularizer in gan.regularizers:
            added = regularizer(examined, images, generated, next_seed(gan.seed_generator), optimizer.iterations)
            logs[regularizer.name] = added
            loss += added
        scaled = optimizer.scale_loss(loss * share)
    optimizer.apply(tape.gradient(scaled, variables, unconnected_gradients="zero"), variables)
    return logs


def _train_generator(gan: GAN, images: tf.Tensor, labels: tf.Tensor | None, share: Any) -> Logs:
    optimizer, variables = gan.generator_optimizer, gan.generator.trainable_variables
    loss_between = gan.loss_between
    real_scores = _discriminate(gan, gan.seen(images), labels, training=True) if loss_between.compares else None
    with tf.GradientTape() as tape:
        generated = gan.seen(_generate(gan, images, labels, training=True))
        loss = loss_between.generator(real_scores, _discriminate(gan, generated, labels, training=True))
        scaled = optimizer.scale_loss(loss * share)
    optimizer.apply(tape.gradient(scaled, variables, unconnected_gradients="zero"), variables)
    if gan.ema_decay is not None:
        _move_average(gan)
    return {"generator_loss": loss}


def _move_average(gan: GAN) -> None:
    """Move the averaged generator towards the other: quickly at first, so that the start is soon forgotten."""
    done = tf.cast(gan.generator_optimizer.iterations, tf.float32)
    decay = tf.minimum(gan.ema_decay, (1 + done) / (10 + done))
    trained = {id(variable) for variable in gan.generator.trainable_variables}
    pairs = [
        (average.value, variable.value, id(variable) in trained)
        for average, variable in zip(gan.averaged_generator.weights, gan.generator.weights, strict=True)
    ]

    def move(strategy: tf.distribute.Strategy) -> None:
        for average, variable, moves in pairs:

            def assign(target: tf.Variable, value: tf.Tensor, moves: bool = moves) -> None:
                share = tf.cast(decay, target.dtype) if moves else tf.zeros((), target.dtype)
                target.assign(share * target + (1 - share) * tf.cast(value, target.dtype))

            strategy.extended.update(average, assign, args=(variable,), group=False)

    tf.__internal__.distribute.interim.maybe_merge_call(move, gan.distribute_strategy)


def _measured(gan: GAN, real: tf.Tensor, generated: tf.Tensor) -> Logs:
    return {
        "discriminator_loss": gan.loss_between.discriminator(real, generated),
        "real_score": tf.reduce_mean(tf.cast(real, tf.float32)),
        "generated_score": tf.reduce_mean(tf.cast(generated, tf.float32)),
        "discriminator_accuracy": tf.reduce_mean(tf.cast(real > generated, tf.float32)),
    }


def _generate(gan: GAN, images: tf.Tensor, labels: tf.Tensor | None, training: bool) -> tf.Tensor:
    latents = drawn(gan.seed_generator, tf.shape(images)[0], gan.latent_dim)
    return gan.generator(latents if labels is None else [latents, labels], training=training)


def _discriminate(gan: GAN, images: tf.Tensor, labels: tf.Tensor | None, training: bool) -> tf.Tensor:
    return gan.discriminator(images if labels is None else [images, labels], training=training)


def _shared(images: tf.Tensor, labels: tf.Tensor | None) -> tuple[tf.Tensor, tf.Tensor | None, Any]:
    """Return what this replica trains on, and the share that its loss has in that of all replicas.

    A last batch may be smaller than the number of replicas. One that gets nothing takes an image of another, since all
    of them have to do the same, and its loss counts nothing.
    """
    if _replicas() == 1:
        return images, labels, 1.0
    context = tf.distribute.get_replica_context()
    has_images = tf.cast(tf.shape(images)[0] > 0, tf.float32)
    share = has_images / context.all_reduce(tf.distribute.ReduceOp.SUM, has_images)

    def filled(values: tf.Tensor) -> tf.Tensor:
        everything = context.all_gather(values, axis=0)
        return tf.cond(has_images > 0, lambda: values, lambda: everything[:1])

    return filled(images), None if labels is None else filled(labels), share


def _replicas() -> int:
    return tf.distribute.get_strategy().num_replicas_in_sync


def optimizer_of(network: keras.Model, given: Any) -> Any:
    """Return the optimizer of a network, with a loss scale where float16 would let gradients vanish."""
    optimizer = keras.optimizers.Adam(**_ADAM) if given is None else keras.optimizers.get(given)
    half = any(layer.compute_dtype == "float16" for layer in network._flatten_layers())
    scaled = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    return keras.optimizers.LossScaleOptimizer(optimizer) if half and not scaled else optimizer
