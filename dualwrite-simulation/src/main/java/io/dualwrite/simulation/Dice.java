package io.dualwrite.simulation;

import java.util.List;
import java.util.SplittableRandom;

/**
 * A stream of decisions of its own for every actor: what one draws does not depend on what another
 * drew, on time, or on what a database answered. Not thread-safe.
 */
final class Dice {

  private final SplittableRandom random;

  private Dice(SplittableRandom random) {
    this.random = random;
  }

  /** The stream of an actor, the same whenever it is asked for. */
  static Dice of(long seed, Object... actor) {
    long mixed = seed;
    for (Object part : actor) {
      mixed = new SplittableRandom(mixed ^ part.toString().hashCode()).nextLong();
    }
    return new Dice(new SplittableRandom(mixed));
  }

  /** From 0 to below the bound. */
  int below(int bound) {
    return random.nextInt(bound);
  }

  /** From one to the other, both included. */
  int between(int low, int high) {
    return random.nextInt(low, high + 1);
  }

  /** True so many times of a hundred. */
  boolean percent(int chance) {
    return random.nextInt(100) < chance;
  }

  <T> T of(List<T> all) {
    return all.get(random.nextInt(all.size()));
  }

  /** By weight: the number of the weight that was hit. */
  int weighted(int... weights) {
    int sum = 0;
    for (int w : weights) {
      sum += w;
    }
    int at = random.nextInt(sum);
    for (int i = 0; ; i++) {
      at -= weights[i];
      if (at < 0) {
        return i;
      }
    }
  }
}
