package io.dualwrite.converge;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.dualwrite.journal.Intent;
import io.dualwrite.journal.Outcome;
import io.dualwrite.journal.RowChange.Kind;
import java.sql.Connection;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;

class KeylessParentsTest {

  /** Dual-write has begun and nothing was copied yet: new rows refer to old ones. */
  @Test
  void rowsWithoutKeyBringTheParentsThatTheMirrorLacks() throws Exception {
    try (Fixture f =
        new Fixture()
            .with(
                "create table region(id int primary key)",
                "create table site(id int primary key, region int not null references region)",
                "create table reading(site int references site, v text)")) {
      f.pair.executeSource(
          "insert into region values (1); insert into site values (7, 1), (8, 1), (9, 1)");
      Connection p = f.primary();
      Fixture.execute(p, "insert into reading values (7, 'a'), (null, 'b'), (8, 'c')");
      Intent i =
          f.intent(
              p,
              Fixture.change(
                  Kind.INSERT,
                  "reading",
                  List.of("site", "v"),
                  List.of(),
                  Fixture.row("7", "a"),
                  Fixture.row(null, "b"),
                  Fixture.row("8", "c")));
      p.commit();
      f.journal.release(i.sequence(), Outcome.COMMITTED);
      try (Replayer r = f.replayer()) {
        assertTrue(r.drain(Duration.ofSeconds(30)), r.stats().lastError());
      }
      f.assertEqual("reading", "region");
      try (Connection m = f.pair.target()) {
        assertEquals(
            "7,8", Fixture.value(m, "select string_agg(id::text, ',' order by id) from site"));
      }
    }
  }
}
