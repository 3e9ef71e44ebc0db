package io.dualwrite.backfill.schema;

import io.dualwrite.backfill.BackfillException;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * PostgreSQL's client programs of one version, from one directory of this machine. Immutable.
 *
 * @param bin the directory
 * @param major the version of its pg_dump, as in {@code 15}
 */
public record PgTools(Path bin, int major) {

  private static final Pattern VERSION = Pattern.compile("\\(PostgreSQL\\) (\\d+)");

  /** Where packages put them; the star is a version. */
  private static final List<String> USUAL =
      List.of(
          "/usr/lib/postgresql/*/bin",
          "/usr/pgsql-*/bin",
          "/usr/local/pgsql/bin",
          "/opt/homebrew/opt/postgresql@*/bin",
          "/opt/homebrew/opt/libpq/bin",
          "/usr/local/opt/postgresql@*/bin",
          "/usr/local/opt/libpq/bin",
          "/Library/PostgreSQL/*/bin",
          "/Applications/Postgres.app/Contents/Versions/*/bin",
          "C:/Program Files/PostgreSQL/*/bin");

  /**
   * The programs that can dump a server of that version: of the target's version if that is no
   * older than the source's, else of the next newer one.
   *
   * @param bin only this directory; empty for the PATH and the usual places
   * @param source the source's major version: pg_dump refuses newer servers
   * @param target the target's, which should understand what comes out
   * @throws BackfillException if there are none; the message says what to install
   */
  public static PgTools find(Optional<Path> bin, int source, int target) {
    List<PgTools> found = bin.isPresent() ? at(bin.get()).stream().toList() : installed();
    return found.stream()
        .filter(t -> t.major >= source)
        .min(
            Comparator.comparing((PgTools t) -> t.major != target)
                .thenComparing(t -> t.major > target)
                .thenComparing(PgTools::major))
        .orElseThrow(() -> new BackfillException(missing(bin, found, source)));
  }

  private static String missing(Optional<Path> bin, List<PgTools> found, int source) {
    String versions =
        found.stream()
            .map(t -> "PostgreSQL " + t.major + " in " + t.bin)
            .collect(Collectors.joining(", "));
    String need =
        "pg_dump, pg_dumpall, pg_restore and psql of PostgreSQL "
            + source
            + " or later are needed; ";
    return need
        + (bin.isPresent()
            ? "--pg-bin " + bin.get() + " has " + (found.isEmpty() ? "none" : versions)
            : "on the PATH and in the usual places there is "
                + (found.isEmpty() ? "none" : "only " + versions))
        + ". Install postgresql-client-"
        + source
        + " (Debian, Ubuntu), postgresql"
        + source
        + " (Red Hat) or postgresql@"
        + source
        + " (Homebrew), or name their directory with --pg-bin";
  }

  /** Every complete set of programs on the PATH and in the usual places. */
  static List<PgTools> installed() {
    Set<Path> directories = new LinkedHashSet<>();
    String path = System.getenv("PATH");
    if (path != null) {
      for (String p : path.split(java.io.File.pathSeparator, -1)) {
        if (!p.isEmpty()) {
          directories.add(Path.of(p));
        }
      }
    }
    for (String pattern : USUAL) {
      directories.addAll(expand(pattern));
    }
    List<PgTools> result = new ArrayList<>();
    Set<Path> seen = new TreeSet<>();
    for (Path d : directories) {
      at(d).filter(t -> seen.add(t.bin)).ifPresent(result::add);
    }
    return result;
  }

  private static List<Path> expand(String pattern) {
    int star = pattern.indexOf('*');
    if (star < 0) {
      return List.of(Path.of(pattern));
    }
    int before = pattern.lastIndexOf('/', star);
    Path parent = Path.of(pattern.substring(0, before));
    String prefix = pattern.substring(before + 1, star);
    if (!Files.isDirectory(parent)) {
      return List.of();
    }
    try (Stream<Path> entries = Files.list(parent)) {
      return entries
          .filter(e -> e.getFileName().toString().startsWith(prefix))
          .map(e -> e.resolve(pattern.substring(star + 2)))
          .sorted()
          .toList();
    } catch (IOException e) {
      return List.of(); // not readable: nothing for us there
    }
  }

  /** The programs in a directory, if all are there and run. */
  private static Optional<PgTools> at(Path directory) {
    for (String name : List.of("pg_dump", "pg_dumpall", "pg_restore", "psql")) {
      if (!Files.isExecutable(program(directory, name))) {
        return Optional.empty();
      }
    }
    try {
      // on Debian a wrapper picks the version; what it says is what it would run
      Process p =
          new ProcessBuilder(program(directory, "pg_dump").toString(), "--version")
              .redirectErrorStream(true)
              .start();
      String out = new String(p.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      Matcher m = VERSION.matcher(out);
      return p.waitFor() == 0 && m.find()
          ? Optional.of(new PgTools(directory, Integer.parseInt(m.group(1))))
          : Optional.empty();
    } catch (IOException e) {
      return Optional.empty();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return Optional.empty();
    }
  }

  private static Path program(Path directory, String name) {
    boolean windows = System.getProperty("os.name").toLowerCase(Locale.ROOT).startsWith("windows");
    return directory.resolve(windows ? name + ".exe" : name);
  }

  /**
   * Runs a program to its end, or to that of the waiting thread: an interruption ends it.
   *
   * @param environment how it connects; nothing secret is on the command line, where others see it
   * @return what it wrote to its standard output
   * @throws BackfillException with the first errors that it wrote, if it failed
   */
  String run(Map<String, String> environment, String name, List<String> arguments) {
    List<String> command = new ArrayList<>();
    command.add(program(bin, name).toString());
    command.addAll(arguments);
    command.forEach(a -> encodable(name, "'" + a + "'", a));
    environment.forEach((variable, value) -> encodable(name, variable, value));
    ProcessBuilder b = new ProcessBuilder(command);
    // what the caller's shell has set for psql must not lead elsewhere
    b.environment()
        .keySet()
        .removeAll(
            Set.of("PGHOSTADDR", "PGSERVICE", "PGOPTIONS", "PGPASSWORD", "PGCLIENTENCODING"));
    b.environment().putAll(environment);
    b.environment().put("LC_MESSAGES", "C");
    Process p = null;
    Path errors = null;
    try {
      errors = Files.createTempFile("dualwrite", ".err");
      p = b.redirectError(errors.toFile()).redirectInput(ProcessBuilder.Redirect.PIPE).start();
      p.getOutputStream().close();
      InputStream out = p.getInputStream();
      // read beside it, as reading cannot be interrupted
      CompletableFuture<String> said = CompletableFuture.supplyAsync(() -> text(out));
      int code = p.waitFor();
      if (code != 0) {
        throw new BackfillException(name + " failed: " + first(errors, code));
      }
      return said.join();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new BackfillException(name + " was interrupted", e);
    } finally {
      if (p != null && p.isAlive()) {
        p.destroy();
        // whoever was interrupted waits too: it must not work on, nor write files
        p.onExit().completeOnTimeout(p, 10, TimeUnit.SECONDS).join();
        p.destroyForcibly();
      }
      if (errors != null) {
        try {
          Files.deleteIfExists(errors);
        } catch (IOException e) {
          // a temporary file: the operating system's business from here on
        }
      }
    }
  }

  private static String text(InputStream in) {
    try {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Else question marks would take the place of what the encoding lacks. */
  private static void encodable(String program, String what, String value) {
    for (String encoding :
        List.of(System.getProperty("sun.jnu.encoding"), Charset.defaultCharset().name())) {
      if (!Charset.forName(encoding).newEncoder().canEncode(value)) {
        throw new BackfillException(
            what
                + " cannot be told to "
                + program
                + ", because the locale's encoding, "
                + encoding
                + ", lacks some of its characters; run dualwrite in a locale with UTF-8, as by LC_ALL=C.UTF-8");
      }
    }
  }

  /** The first error and what belongs to it, without the program's name and the file's path. */
  private static String first(Path errors, int code) throws IOException {
    List<String> said =
        // a server's messages may be in another encoding
        new String(Files.readAllBytes(errors), StandardCharsets.UTF_8)
            .lines()
            .map(String::strip)
            .filter(l -> !l.isEmpty())
            .map(l -> l.replaceFirst("^psql:\\S*?:(\\d+): ", "line $1: "))
            .map(l -> l.replaceFirst("^(pg_\\w+|psql): ", ""))
            .toList();
    int error = 0;
    while (error < said.size()
        && !said.get(error).contains("rror:")
        && !said.get(error).contains("ERROR:")) {
      error++;
    }
    return said.isEmpty()
        ? "exit code " + code
        : String.join(
            "; ", said.subList(error == said.size() ? 0 : error, Math.min(said.size(), error + 3)));
  }
}
