package io.dualwrite.catalog;

import java.util.List;

/**
 * A foreign key.
 *
 * @param name the constraint's name
 * @param child the referring table
 * @param childColumns its columns, in the constraint's order
 * @param parent the table referred to
 * @param parentColumns its columns, in the same order
 * @param onDelete what a delete of the parent does to the child
 * @param onUpdate what a change of the parent's columns does to the child
 */
public record ForeignKey(
    String name,
    TableName child,
    List<String> childColumns,
    TableName parent,
    List<String> parentColumns,
    Action onDelete,
    Action onUpdate) {

  /** What happens to the child. */
  public enum Action {
    /** The change of the parent is refused. */
    NO_ACTION,
    /** The change of the parent is refused, at once. */
    RESTRICT,
    /** The child follows. */
    CASCADE,
    /** The child's columns become NULL. */
    SET_NULL,
    /** The child's columns take their defaults. */
    SET_DEFAULT;

    static Action of(String code) {
      return switch (code) {
        case "a" -> NO_ACTION;
        case "r" -> RESTRICT;
        case "c" -> CASCADE;
        case "n" -> SET_NULL;
        case "d" -> SET_DEFAULT;
        default -> throw new IllegalArgumentException("unknown foreign key action: " + code);
      };
    }

    /** Whether the server itself changes the child. */
    public boolean changesChild() {
      return this == CASCADE || this == SET_NULL || this == SET_DEFAULT;
    }
  }
}
