package io.dualwrite.model;

import io.dualwrite.model.Explorer.Found;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;

/**
 * The protocol's model on the command line.
 *
 * <pre>
 *   Main                          every suite with every rule on; exit 1 on a violation
 *   Main --teeth                  each rule switched off in turn: exit 1 unless each is caught
 *   Main --off RULE[,RULE...]     some rules off
 *   Main --rules                  the rules
 *   options: --suite NAME[,NAME...]   some suites only
 *            --faults N               how many faults there may be (1)
 *            --deep                   all workloads, where a part of them is taken by default
 *            --patient                no lock_timeout on the mirror
 *            --trace                  stop at the first violation; with --teeth: show the traces
 *            --threads N              (as many as there are processors)
 * </pre>
 */
public final class Main {

  private final Set<Rule> off = EnumSet.noneOf(Rule.class);
  private final List<String> only = new ArrayList<>();
  private int faults = 1;
  private int threads = Runtime.getRuntime().availableProcessors();
  private boolean teeth;
  private boolean rules;
  private boolean deep;
  private boolean patient;
  private boolean trace;

  private Main() {}

  /** Runs the model; exits with 0 if all is as it should be, 1 if not, 2 on a wrong option. */
  public static void main(String[] args) {
    Main m = new Main();
    try {
      m.parse(args);
    } catch (IllegalArgumentException e) {
      System.err.println(e.getMessage());
      System.exit(2);
    }
    System.exit(m.run() ? 0 : 1);
  }

  private void parse(String[] args) {
    for (int i = 0; i < args.length; i++) {
      String option = args[i];
      switch (option) {
        case "--teeth" -> teeth = true;
        case "--rules" -> rules = true;
        case "--deep" -> deep = true;
        case "--patient" -> patient = true;
        case "--trace" -> trace = true;
        case "--off", "--suite", "--faults", "--threads" -> {
          if (++i == args.length) {
            throw new IllegalArgumentException(option + " needs a value");
          }
          value(option, args[i]);
        }
        default -> throw new IllegalArgumentException("there is no option " + option);
      }
    }
  }

  private void value(String option, String value) {
    switch (option) {
      case "--off" -> {
        for (String x : value.split(",", -1)) {
          off.add(Rule.valueOf(x.trim().toUpperCase(Locale.ROOT).replace('-', '_')));
        }
      }
      case "--suite" -> {
        for (String x : value.split(",", -1)) {
          if (!Suites.all().contains(x)) {
            throw new IllegalArgumentException(
                "there is no suite " + x + "; there are " + String.join(", ", Suites.all()));
          }
          only.add(x);
        }
      }
      case "--faults" -> faults = Integer.parseInt(value);
      default -> threads = Math.max(1, Integer.parseInt(value));
    }
  }

  private boolean run() {
    if (rules) {
      for (Rule r : Rule.values()) {
        System.out.printf("%-31s %-8s %s%n", r, r.style.word, r.text);
      }
      return true;
    }
    return teeth ? teeth() : suites();
  }

  // ---- every suite

  private boolean suites() {
    System.out.println(off.isEmpty() ? "every rule on" : "switched off: " + off);
    Suites suites = new Suites(off, faults, deep, patient);
    long states = 0;
    double seconds = 0;
    boolean ok = true;
    for (String name : Suites.all()) {
      if (!only.isEmpty() && !only.contains(name)) {
        continue;
      }
      Check c = Check.of(suites.systems(name), threads, trace);
      states += c.states();
      seconds += c.seconds();
      ok &= c.found() == null;
      System.out.printf(
          "%-12s %5d workloads %,13d states %6.1f s  %s%n",
          name, c.systems(), c.states(), c.seconds(), c.found() == null ? "ok" : "VIOLATION");
      if (c.found() != null) {
        print(c.found());
      }
    }
    System.out.printf(
        "%,d states, %.1f s: %s%n", states, seconds, ok ? "no violation" : "VIOLATED");
    return ok;
  }

  private static void print(Found f) {
    System.out.println("    VIOLATION: " + f.what());
    System.out.println("    in: " + f.title());
    int i = 0;
    for (String x : f.trace()) {
      System.out.printf("    %3d. %s%n", i++, x);
    }
  }

  // ---- each rule off in turn

  private boolean teeth() {
    boolean ok = true;
    for (Teeth x : Teeth.all()) {
      ok &= bites(x);
    }
    ok &= spare();
    System.out.println(ok ? "every rule is needed" : "NOT AS EXPECTED");
    return ok;
  }

  private boolean bites(Teeth x) {
    Optional<Teeth.Bite> bite = x.bite();
    if (bite.isEmpty()) {
      System.out.printf("without %-42s NOT CAUGHT%n", names(x.off()));
      return false;
    }
    Teeth.Bite b = bite.get();
    Found f = Explorer.shortest(b.system());
    System.out.printf(
        "without %-42s caught in %s, %d steps, after %,d states: %s%n",
        names(x.off()), b.suite(), f.steps(), b.states(), f.what());
    if (trace) {
      print(f);
    }
    return true;
  }

  /** What need not be: each of two rules, if only the other holds. */
  private boolean spare() {
    boolean ok = true;
    Suites suites = new Suites(EnumSet.of(Rule.MISMATCH_ROLLS_BACK), Teeth.FAULTS, deep, false);
    for (String name : Suites.KEYED) {
      Check c = Check.of(suites.systems(name), threads, true);
      ok &= c.found() == null;
      System.out.printf(
          "without MISMATCH_ROLLS_BACK alone: %-12s %,13d states: %s%n",
          name, c.states(), c.found() == null ? "ok, as it should be" : "VIOLATION");
      if (c.found() != null) {
        print(c.found());
      }
    }
    return ok;
  }

  private static String names(Set<Rule> rules) {
    return String.join(", ", rules.stream().map(Enum::name).toList());
  }
}
