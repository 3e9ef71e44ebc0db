package io.dualwrite.cli.demo;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.dualwrite.embedded.PgPair;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.List;
import org.junit.jupiter.api.Test;

class ComparisonTest {

  private static List<Comparison> compare(PgPair pair) throws SQLException {
    try (Connection s = pair.source();
        Connection t = pair.target()) {
      return Comparison.all(s, t);
    }
  }

  @Test
  void equalTablesAreIdenticalWhateverTheOrderOfTheirRows() throws SQLException {
    try (PgPair pair = PgPair.shared()) {
      pair.execute("create table t(a int, b text, c double precision)");
      pair.executeSource("insert into t values (1,'x',0.1),(2,null,'NaN'),(2,null,'NaN')");
      pair.executeTarget("insert into t values (2,null,'NaN'),(1,'x',0.1),(2,null,'NaN')");
      assertEquals(List.of(new Comparison("public.t", 3, 3, 0, 0)), compare(pair));
    }
  }

  @Test
  void everyKindOfDifferenceIsFound() throws SQLException {
    try (PgPair pair = PgPair.shared()) {
      pair.execute(
          """
          create table duplicate(a int); create table extra(a int); create table missing(a int);
          create table nulls(a text); create table swapped(a int, b int);
          create table noise(a double precision)""");
      pair.executeSource(
          """
          insert into duplicate values (1),(2); insert into missing values (1),(2);
          insert into nulls values (null); insert into swapped values (1,2),(3,4);
          insert into noise values (0.1)""");
      pair.executeTarget(
          """
          insert into duplicate values (1),(1); insert into extra values (1);
          insert into missing values (1); insert into nulls values (''), (null);
          insert into swapped values (1,4),(3,2); insert into noise values (0.10000000000000002)""");
      assertEquals(
          List.of(
              new Comparison("public.duplicate", 2, 2, 1, 1),
              new Comparison("public.extra", 0, 1, 0, 1),
              new Comparison("public.missing", 2, 1, 1, 0),
              new Comparison("public.noise", 1, 1, 1, 1),
              new Comparison("public.nulls", 1, 2, 0, 1),
              new Comparison("public.swapped", 2, 2, 2, 2)),
          compare(pair));
    }
  }
}
