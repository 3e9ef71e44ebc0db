package io.dualwrite.jdbc;

import java.io.ByteArrayInputStream;
import java.io.StringReader;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyIn;
import org.postgresql.copy.CopyManager;
import org.postgresql.copy.PGCopyOutputStream;

/** COPY, updatable results, and the driver's own classes. */
final class KindsOfTransfer {

  private KindsOfTransfer() {}

  private static CopyManager manager(App a) throws SQLException {
    return a.c.unwrap(PGConnection.class).getCopyAPI();
  }

  private static Kind.Body copy(String sql, String data) {
    return a -> a.attempt(x -> a.see(manager(a).copyIn(a.text(sql), new StringReader(data))));
  }

  static void in(Kind.Table t) {
    copies(t);
    updatable(t);
    unwrapped(t);
  }

  private static void copies(Kind.Table t) {
    t.exact("copy text", copy("copy pair from stdin", "10\tc\t1\n11\tc\\\\\\tx\t\\N\n"));
    t.exact(
            "copy csv",
            copy(
                "copy pair(a, b, v) from stdin with (format csv, header true)",
                "a,b,v\n10,\"q\"\"x,y\",1\n11,,\n12,\"\",3\n"))
        .fails();
    t.exact(
        "copy csv with null and delimiter",
        copy(
            "copy pair from stdin (format csv, delimiter ';', null 'NIL', quote '''')",
            "10;'c;d';1\n11;x;NIL\n"));
    t.exact("copy omits serial", copy("copy ser(v) from stdin", "one\ntwo\n"));
    t.exact("copy omits clock default", copy("copy auto(v) from stdin", "one\ntwo\n"));
    t.exact("copy keyless", copy("copy log(line, v) from stdin", "l\t1\nl\t1\n"));
    t.exact("copy keyless all columns", copy("copy log from stdin", "2001-01-01Z\tl\t1\n"));
    t.exact(
        "copy partitioned",
        copy("copy part from stdin", "10\t2001-03-03\tx\n11\t2002-03-03\ty\n12\t1980-01-01\tz\n"));
    t.exact("copy with generated column", copy("copy gen(id, a) from stdin", "10\t5\n"));
    t.exact("copy nothing", copy("copy pair from stdin", ""));
    t.exact("copy end marker", copy("copy pair from stdin", "10\tc\t1\n\\.\n"));
    t.exact("copy duplicate", copy("copy pair from stdin", "10\tc\t1\n1\tx\t1\n")).fails();
    t.exact("copy bad data", copy("copy pair from stdin", "10\tc\tno\n")).fails();
    t.exact("copy missing table", copy("copy nosuch from stdin", "1\n")).fails();
    t.exact("copy where", copy("copy pair from stdin where a > 10", "10\tc\t1\n11\tc\t1\n"));
    t.exact(
            "copy on_error ignore",
            copy("copy pair from stdin with (on_error ignore)", "10\tc\tno\n11\tc\t1\n"))
        .since(17);
    t.exact(
            "copy freeze-free many rows",
            a -> {
              StringBuilder b = new StringBuilder();
              for (int i = 0; i < 20000; i++) {
                b.append(1000 + i).append("\tmany\t").append(i).append('\n');
              }
              copy("copy pair from stdin", b.toString()).run(a);
            })
        .once();
    t.exact(
        "copy then statements",
        a -> {
          copy("copy pair from stdin", "10\tc\t1\n").run(a);
          a.sql("update pair set v = 2 where a = 10 returning v");
          copy("copy pair from stdin", "11\tc\t1\n").run(a);
          a.sql("delete from pair where a = 11");
        });
    t.exact(
        "copy from input stream",
        a ->
            a.attempt(
                x ->
                    a.see(
                        manager(a)
                            .copyIn(
                                "copy pair from stdin",
                                new ByteArrayInputStream(
                                    "10\té\t1\n".getBytes(StandardCharsets.UTF_8))))));
    t.exact(
        "copy by CopyIn",
        a ->
            a.attempt(
                x -> {
                  CopyIn in = manager(a).copyIn("copy pair from stdin");
                  byte[] one = "10\tc\t1\n11\t".getBytes(StandardCharsets.UTF_8);
                  byte[] two = "d\t2\n".getBytes(StandardCharsets.UTF_8);
                  in.writeToCopy(one, 0, one.length);
                  in.writeToCopy(two, 0, two.length);
                  a.see(in.endCopy());
                  a.see(in.getHandledRowCount());
                  a.see(in.getFieldCount());
                  a.see(in.getFormat());
                }));
    t.exact(
        "copy by CopyIn, cancelled",
        a ->
            a.attempt(
                x -> {
                  CopyIn in = manager(a).copyIn("copy pair from stdin");
                  byte[] one = "10\tc\t1\n".getBytes(StandardCharsets.UTF_8);
                  in.writeToCopy(one, 0, one.length);
                  in.cancelCopy();
                  a.see(in.isActive());
                }));
    t.exact(
        "copy by output stream",
        a ->
            a.attempt(
                x -> {
                  try (PGCopyOutputStream out =
                      new PGCopyOutputStream(
                          a.c.unwrap(PGConnection.class), "copy pair from stdin")) {
                    out.write("10\tc\t1\n".getBytes(StandardCharsets.UTF_8));
                    out.write("11\tc\t1\n".getBytes(StandardCharsets.UTF_8));
                  }
                }));
    t.exact(
        "copy binary",
        a ->
            a.attempt(
                x -> {
                  java.io.ByteArrayOutputStream out = new java.io.ByteArrayOutputStream();
                  a.see(
                      manager(a)
                          .copyOut(
                              "copy (select a + 50, b, v from pair order by a, b) to stdout (format binary)",
                              out));
                  a.see(
                      manager(a)
                          .copyIn(
                              "copy pair from stdin (format binary)",
                              new ByteArrayInputStream(out.toByteArray())));
                }));
    t.exact(
        "copy out",
        a ->
            a.attempt(
                x -> {
                  StringWriter out = new StringWriter();
                  a.see(
                      manager(a)
                          .copyOut(
                              "copy (select a, b, v from pair order by a, b) to stdout csv header",
                              out));
                  a.see(out);
                }));
    t.exact("copy as statement", "copy pair from stdin").fails();
    t.exact(
        "copy legacy syntax", copy("copy pair (a, b) from stdin using delimiters '|'", "10|c\n"));
    t.suspect("copy into table with trigger", copy("copy §t from stdin", "10\n11\n"))
        .on(
            "create table §t(id int primary key); create table §audit(id serial primary key, t int); create function §n() returns trigger language plpgsql as $$ begin insert into §audit(t) values (new.id); return null; end $$; create trigger n after insert on §t for each row execute function §n()");
    t.suspect("copy into view", copy("copy §v from stdin", "10\n"))
        .on(
            "create table §t(id int primary key); create view §v as select id from §t; create function §n() returns trigger language plpgsql as $$ begin insert into §t values (new.id); return new; end $$; create trigger n instead of insert on §v for each row execute function §n()");
    t.suspect("copy from program or file", "copy §t from program 'echo 5'")
        .on("create table §t(id int primary key)");
    t.exact(
        "copy into temporary table",
        a -> {
          a.sql("create temp table tcopy(id int)");
          copy("copy tcopy from stdin", "70\n71\n").run(a);
          a.sql("insert into parent select id, 1 from tcopy");
          a.sql("drop table tcopy");
        });
  }

  @FunctionalInterface
  private interface Change {
    void on(ResultSet r) throws Exception;
  }

  private static Kind.Body updating(String query, Change change) {
    return a ->
        a.attempt(
            x -> {
              try (Statement s =
                      a.c.createStatement(
                          ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_UPDATABLE);
                  ResultSet r = s.executeQuery(query)) {
                a.see(r.getConcurrency() == ResultSet.CONCUR_UPDATABLE);
                change.on(r);
                r.beforeFirst();
                while (r.next()) {
                  a.see(r.getString(1) + " " + r.getString(2));
                }
              }
            });
  }

  private static void updatable(Kind.Table t) {
    t.exact(
        "updatable result, updateRow",
        updating(
            "select id, name, n from item order by id",
            r -> {
              r.next();
              r.updateString("name", "changed");
              r.updateInt(3, 99);
              r.updateRow();
              r.next();
              r.updateNull("n");
              r.updateRow();
            }));
    t.exact(
        "updatable result, deleteRow",
        updating(
            "select id, name from item order by id",
            r -> {
              r.next();
              r.deleteRow();
              r.last();
              r.deleteRow();
            }));
    t.exact(
        "updatable result, insertRow",
        updating(
            "select id, name, n from item order by id",
            r -> {
              r.moveToInsertRow();
              r.updateInt(1, 50);
              r.updateString(2, "inserted");
              r.insertRow();
              r.moveToCurrentRow();
            }));
    t.exact(
        "updatable result, insertRow with serial",
        updating(
            "select id, v from ser order by id",
            r -> {
              r.moveToInsertRow();
              r.updateInt(1, 50);
              r.updateString(2, "inserted");
              r.insertRow();
            }));
    t.exact(
        "updatable result, key change",
        updating(
            "select id, name from item order by id",
            r -> {
              r.next();
              r.updateInt(1, 77);
              r.updateRow();
            }));
    t.exact(
        "updatable result, cancel and refresh",
        updating(
            "select id, name from item order by id",
            r -> {
              r.next();
              r.updateString(2, "no");
              r.cancelRowUpdates();
              r.refreshRow();
              r.updateString(2, "yes");
              r.updateRow();
            }));
    t.exact(
        "updatable result, composite key",
        updating(
            "select a, b, v from pair order by a, b",
            r -> {
              r.next();
              r.updateObject("v", 55);
              r.updateRow();
            }));
    t.exact(
        "updatable result, prepared",
        a ->
            a.attempt(
                x -> {
                  try (PreparedStatement s =
                      a.c.prepareStatement(
                          "select id, name from item where id = ?",
                          ResultSet.TYPE_FORWARD_ONLY,
                          ResultSet.CONCUR_UPDATABLE)) {
                    s.setInt(1, 2);
                    try (ResultSet r = s.executeQuery()) {
                      r.next();
                      r.updateString(2, "prepared");
                      r.updateRow();
                      a.see(r.getString(2));
                    }
                  }
                }));
    t.exact(
            "updatable result without key",
            updating(
                "select line, v from log",
                r -> {
                  r.next();
                  r.updateInt(2, 5);
                  r.updateRow();
                }))
        .fails();
    t.exact(
        "updatable result of all types",
        a ->
            a.attempt(
                x -> {
                  try (Statement s =
                          a.c.createStatement(
                              ResultSet.TYPE_FORWARD_ONLY, ResultSet.CONCUR_UPDATABLE);
                      ResultSet r = s.executeQuery("select * from facts")) {
                    r.next();
                    r.updateLong("xid", 5L);
                    r.updateTimestamp("at", new java.sql.Timestamp(0));
                    r.updateDouble("rnd", -0.0);
                    r.updateObject("uid", new java.util.UUID(1, 2));
                    r.updateString("line", "all");
                    r.updateRow();
                  }
                }));
  }

  private static void unwrapped(Kind.Table t) {
    t.exact(
        "unwrap to PGConnection",
        a ->
            a.attempt(
                x -> {
                  PGConnection p = a.c.unwrap(PGConnection.class);
                  a.see(a.c.isWrapperFor(PGConnection.class));
                  a.see(p.getPreferQueryMode());
                  a.see(p.getPrepareThreshold());
                  a.see(p.escapeLiteral("it's"));
                  a.see(p.escapeIdentifier("a\"b"));
                  a.see(p.getBackendPID() > 0);
                  a.see(p.getParameterStatus("server_encoding"));
                  p.setPrepareThreshold(2);
                  a.sql("insert into parent values (10, 1)");
                }));
    t.exact(
        "unwrap to PGStatement",
        a ->
            a.attempt(
                x -> {
                  try (PreparedStatement s =
                      a.c.prepareStatement("insert into parent values (?, 1)")) {
                    var p = s.unwrap(org.postgresql.PGStatement.class);
                    p.setPrepareThreshold(1);
                    s.setInt(1, 10);
                    a.see(s.executeUpdate());
                    a.see(p.isUseServerPrepare());
                  }
                }));
    t.exact(
            "PGConnection createArrayOf",
            a ->
                a.attempt(
                    x -> {
                      try (PreparedStatement s =
                          a.c.prepareStatement("insert into ty.t_integer_array values (1, ?)")) {
                        s.setArray(
                            1,
                            a.c.unwrap(PGConnection.class).createArrayOf("int4", new int[] {1, 2}));
                        a.see(s.executeUpdate());
                      }
                    }))
        .in("ty");
  }
}
