package io.dualwrite.jdbc;

import io.dualwrite.config.Settings;
import io.dualwrite.control.Side;
import io.dualwrite.journal.Journal;
import java.nio.file.Path;
import javax.sql.DataSource;

/**
 * The write path put together from parts, with a journal of the caller's: in this package, because
 * no application should.
 */
public final class Assembled {

  private final DualWriter writer;

  /**
   * Puts it together.
   *
   * @param directory the journal's
   */
  public Assembled(
      Settings settings, DataSource source, DataSource target, Journal journal, Path directory) {
    writer =
        new DualWriter(
            settings,
            new Database(Side.SOURCE, settings, source),
            new Database(Side.TARGET, settings, target),
            journal,
            directory);
  }

  /** Its connections. */
  public DataSource dataSource() {
    return new Connections(() -> new DwConnection(writer));
  }

  /** Whether both catalogs have been compared, so that values are captured where they can be. */
  public boolean ready() {
    return writer.ready();
  }

  /** The same of a DataSource. */
  public static boolean ready(DualWriteDataSource dataSource) {
    return dataSource.writer().ready();
  }
}
