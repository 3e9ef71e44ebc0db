package io.dualwrite.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.UncheckedIOException;
import picocli.CommandLine.Option;

/**
 * The {@code --json} of a command: one object to the line, each with its {@code type}, so that any
 * amount can be piped on. What goes wrong is said on standard error as always.
 */
final class Json {

  /** A third of the time that a command takes to start, so only for those that need it. */
  private static final class Lazy {
    static final ObjectMapper MAPPER = new ObjectMapper();
  }

  @Option(
      names = "--json",
      order = 90,
      description = "For programs: one JSON object per line, nothing else on standard output.")
  private boolean wanted;

  /** Whether it was asked for. */
  boolean wanted() {
    return wanted;
  }

  /** A new object. */
  static ObjectNode object(String type) {
    return Lazy.MAPPER.createObjectNode().put("type", type);
  }

  /** The object in one line. */
  static String line(ObjectNode object) {
    try {
      return Lazy.MAPPER.writeValueAsString(object);
    } catch (JsonProcessingException e) {
      throw new UncheckedIOException(e);
    }
  }
}
