"""Moving averages of a model's variables over the steps; they often rank better than any step's.

Polynomial-decay averaging: Shamir & Zhang, "Stochastic gradient descent for non-smooth
optimization: convergence results and optimal averaging schemes", 2013, section 4.
"""

from collections.abc import Sequence

import tensorflow as tf

_ETA = 2.0
"""An average reaches back over about a third of the steps made so far."""


class StepAverages(tf.Module):  # type: ignore[misc]  # TensorFlow has no types
    """Beside each variable the average of the values that it has had."""

    def __init__(self, variables: Sequence[tf.Variable]) -> None:
        """Takes variables of one strategy's scope, to be called inside that scope."""
        super().__init__()
        self._pairs = [
            (variable, tf.Variable(variable, trainable=False, name="average"))
            for variable in variables
        ]

    def follow(self, step: tf.Tensor) -> None:
        """Takes the variables' present values in, inside a train step.

        With a(t) the average after step t and v(t) the values, a(t) = a(t-1) + share * (v(t) -
        a(t-1)), share = (eta + 1) / (t + eta): what was there before the first step is forgotten.

        Args:
            step: scalar, how many steps have been made, from 1.
        """
        share = (_ETA + 1) / (tf.cast(step, tf.float32) + _ETA)

        def update(strategy: tf.distribute.Strategy) -> None:
            # Every replica has the same values, so nothing needs to be sent.
            for variable, average in self._pairs:
                strategy.extended.update(
                    average, lambda mean, value: mean.assign_add(share * (value - mean)), [variable]
                )

        tf.distribute.get_replica_context().merge_call(update)

    def swap(self) -> None:
        """Exchanges variables and averages; done twice, nothing has changed."""
        for variable, average in self._pairs:
            last = variable.numpy()
            variable.assign(average)
            average.assign(last)
