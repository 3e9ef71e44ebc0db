package io.dualwrite.model;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;

/** Receives the successors of one state. Names are made only while a trace is looked for. */
final class Successors {

  private final boolean named;
  private final List<byte[]> states = new ArrayList<>();
  private final List<String> names = new ArrayList<>();
  private int progress;

  Successors(boolean named) {
    this.named = named;
  }

  void clear() {
    states.clear();
    names.clear();
    progress = 0;
  }

  /** A step of the protocol. */
  void step(byte[] s, Supplier<String> name) {
    states.add(s);
    if (named) {
      names.add(name.get());
    }
    progress++;
  }

  /** Something that need not happen: a state with nothing but faults left is a last one. */
  void fault(byte[] s, Supplier<String> name) {
    states.add(s);
    if (named) {
      names.add("FAULT: " + name.get());
    }
  }

  boolean last() {
    return progress == 0;
  }

  List<byte[]> states() {
    return states;
  }

  List<String> names() {
    return names;
  }
}
