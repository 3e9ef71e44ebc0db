package io.dualwrite.jdbc;

import io.dualwrite.jdbc.KindStage.Variant;
import java.io.ByteArrayInputStream;
import java.io.StringReader;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.sql.SQLXML;
import java.sql.Types;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.OffsetDateTime;
import java.time.OffsetTime;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Calendar;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TimeZone;
import java.util.UUID;
import org.postgresql.geometric.PGpoint;
import org.postgresql.util.PGInterval;
import org.postgresql.util.PGmoney;
import org.postgresql.util.PGobject;

/** Every built-in type with odd values, and every way of the driver to give a value. */
final class KindsOfType {

  private KindsOfType() {}

  /** Odd values as text, separated by |, by table; * stands for several tables of one prefix. */
  private static final String[][] VALUES = {
    {"t_smallint", "0|-32768|32767"},
    {"t_integer", "0|-2147483648|2147483647"},
    {"t_bigint", "-9223372036854775808|9223372036854775807"},
    {
      "t_numeric",
      "0|0.00|-0.0|1e400|NaN|1.10|123456789012345678901234567890.12345678901234567890|1e-300"
    },
    {"t_numeric_10_2", "0|1.005|-1.005|99999999.99|NaN"},
    {"t_real", "0|-0|NaN|Infinity|-Infinity|1e-45|3.4028235e38|0.1|16777217"},
    {
      "t_double_precision",
      "0|-0|NaN|Infinity|-Infinity|4.9e-324|1.7976931348623157e308|0.1|0.30000000000000004"
    },
    {"t_money", "0|-1.23|92233720368547758.07|1,234.50"},
    {"t_boolean", "t|f|yes|off"},
    {"t_text", "|a| x |it''s|\\|\\n|tab\tnew\nline|é😀|NULL|null|{}"},
    {"t_varchar_10", "|abcdefghij|é😀"},
    {"t_char_5", "|a|a    |abcde"},
    {"t_name", "a|" + "n".repeat(70)},
    {"t_char", "|a|\\\\"},
    {"t_bytea", "|\\x|\\x00ff|abc|\\\\000\\\\377"},
    {"t_date", "2001-02-03|0044-03-15 BC|infinity|-infinity|5874897-12-31|4713-01-01 BC|epoch"},
    {"t_time", "00:00|24:00:00|23:59:59.999999|04:05:06.0000005"},
    {"t_time_3", "23:59:59.9996|00:00:00.0004"},
    {"t_timetz", "00:00+14|24:00:00-12|12:34:56.789+05:30:15|23:59:60Z"},
    {
      "t_timestamp",
      "2001-02-03 04:05:06.789|0044-03-15 00:00:00 BC|infinity|-infinity|294276-12-31 23:59:59.999999|1969-12-31 23:59:59.999999"
    },
    {"t_timestamp_3", "2001-02-03 04:05:06.7895|2001-02-03 04:05:06.9999"},
    {
      "t_timestamptz",
      "2001-02-03 04:05:06.789Z|0044-03-15 00:00:00+00 BC|infinity|-infinity|2001-10-28 01:30:00 America/New_York|1800-01-01 00:00 Europe/Amsterdam"
    },
    {
      "t_interval",
      "0|1 year -2 mons 3 days -04:05:06.789|P1Y2M3DT4H5M6S|-178000000 years|1 day -1 hour|999999 hours"
    },
    {"t_interval_day_to_second", "3 days 04:05:06|1 02:03"},
    {"t_uuid", "00000000-0000-0000-0000-000000000000|{A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11}"},
    {"t_json", "{\"b\": 1.10, \"a\" : [1, null], \"a\":2}|null|\"x\"|[]|1e2"},
    {
      "t_jsonb",
      "{\"b\": 1.10, \"a\" : [1, null], \"a\":2}|null|\"\\u00e9\"|[]|1e2|{\"q\": \"it''s\"}"
    },
    {"t_xml", "<a b=\"c\">d &amp; e</a>|text only|<a/><b/>|<?xml version=\"1.0\"?><x>é</x>"},
    {"t_bit_4", "0101|1111"},
    {"t_varbit", "|1|010101010101010101010101010101010101"},
    {"t_inet", "192.168.0.1|192.168.0.1/24|::1|fe80::1/64"},
    {"t_cidr", "192.168.0.0/24|10.0.0.0/8|2001:db8::/32"},
    {"t_macaddr", "08:00:2b:01:02:03|08002b010203"},
    {"t_macaddr8", "08:00:2b:01:02:03:04:05|08:00:2b:01:02:03"},
    {"t_point", "(0,0)|(-1.5,1e300)|(NaN,Infinity)"},
    {"t_line", "{1,2,3}|[(0,0),(1,1)]"},
    {"t_lseg", "[(0,0),(1,1)]"},
    {"t_box", "(0,0),(1,1)|((1,1),(0,0))"},
    {"t_path", "[(0,0),(1,1)]|((0,0),(1,1),(2,0))"},
    {"t_polygon", "((0,0),(1,1),(2,0))"},
    {"t_circle", "<(0,0),5>|(1,1),0"},
    {"t_tsvector", "a fat cat|''a b'':1A c:2,3|"},
    {"t_tsquery", "fat & (rat & cat)|!a:*B|a <-> b"},
    {"t_oid", "0|4294967295"},
    {"t_regclass", "pg_class|pg_catalog.pg_type|public.item"},
    {"t_pg_lsn", "0/0|16/B374D848"},
    {"t_int4range", "empty|[1,5)|(1,5]|(,)|[,3]"},
    {"t_int8range", "[1,9223372036854775806]"},
    {"t_numrange", "[1.10,2.2)|empty|(,0]"},
    {"t_daterange", "[2001-01-01,2001-02-01]|[2001-01-01,infinity)|(,2001-01-01)"},
    {"t_tsrange", "[2001-01-01 00:00,2001-01-02 00:00)"},
    {"t_tstzrange", "[2001-01-01 00:00Z,)|empty"},
    {"t_integer_array", "{}|{1,NULL,3}|{{1,2},{3,4}}|[2:3]={1,2}"},
    {
      "t_text_array",
      "{}|{a,\"b,c\",\"NULL\",NULL,\"\"}|{\"q\\\"\",\"back\\\\\\\\\",\"{}\"}|{{a,b},{c,d}}"
    },
    {"t_numeric_array", "{1.10,NaN,1e40}"},
    {"t_timestamptz_array", "{\"2001-01-01 00:00:00Z\",infinity,NULL}"},
    {"t_jsonb_array", "{\"{\\\"a\\\": 1}\",\"null\",NULL}"},
    {"t_bytea_array", "{\"\\\\\\\\x00ff\",\"\",NULL}"},
    {"t_ty_mood", "sad|it''s \"odd\""},
    {"t_ty_mood_array", "{sad,\"it''s \\\"odd\\\"\",NULL}"},
    {"t_ty_positive", "1|2147483647"},
    {"t_ty_email", "a@b"},
    {"t_ty_pair", "(1,a)|(,)|(,\"\")|(5,\"q,\"\"x\"\"\")"},
    {"t_ty_pair_array", "{\"(1,a)\",\"(,)\",NULL}"},
    {"t_ty_nested", "(\"(1,a)\",\"{\"\"(2,b)\"\",NULL}\",\"2001-01-01 00:00:00Z\")|(,,)"},
    {"t_ty_hstore", "|a=>1|\"q \\\"\"=>NULL, b=>\"x,y\""},
    {"t_ty_citext", "|AbC|ABC"},
  };

  private record Way(String name, Binder binder) {}

  @FunctionalInterface
  private interface Binder {
    void bind(PreparedStatement s, int at, App a) throws SQLException;
  }

  static void in(Kind.Table t) {
    Map<String, String[]> values = new LinkedHashMap<>();
    for (String[] v : VALUES) {
      values.put(v[0], v[1].split("\\|", -1));
    }
    KindTables.TYPES.forEach(
        (table, type) -> types(t, table, type, values.getOrDefault(table, new String[0])));
    multiranges(t);
    List<Way> ways = ways();
    for (Way w : ways) {
      t.exact("give " + w.name + " to every type", a -> everyType(a, w)).in("ty").fails().once();
    }
    keysOfTypes(t);
  }

  private static void types(Kind.Table t, String table, String type, String[] values) {
    t.exact(
            "type " + type,
            a -> {
              int id = 0;
              for (String v : values) {
                // as a literal, as text that is cast, as an untyped parameter, computed, and read
                // back
                a.sql("insert into ty." + table + " values (" + ++id + ", '" + v + "')");
                String raw = v.replace("''", "'");
                a.bound(
                    "insert into ty."
                        + table
                        + " values (?, ?::"
                        + type
                        + ") returning v::text as x",
                    ++id,
                    raw);
                a.attempt(
                    x -> {
                      try (PreparedStatement s =
                          a.c.prepareStatement(
                              "insert into ty." + table + " values (1000 + ?, ?)")) {
                        s.setInt(1, 1);
                        s.setObject(2, raw, Types.OTHER);
                        s.addBatch();
                        s.setInt(1, 2);
                        s.setObject(2, raw, Types.OTHER);
                        s.addBatch();
                        a.see(s.executeBatch());
                      }
                    });
                for (int key : new int[] {1001, 1002}) {
                  a.sql("update ty." + table + " set id = id + 2000 where id = " + key);
                }
                a.sql("delete from ty." + table + " where id > 2000");
                a.sql(
                    "update ty."
                        + table
                        + " set v = (select v from ty."
                        + table
                        + " x where x.id = "
                        + id
                        + ") where id = "
                        + (id - 1));
              }
              a.attempt(
                  x -> {
                    try (PreparedStatement s =
                        a.c.prepareStatement("insert into ty." + table + " values (?, ?)")) {
                      s.setInt(1, 500);
                      s.setNull(2, Types.NULL);
                      a.see(s.executeUpdate());
                      s.setInt(1, 501);
                      s.setNull(2, Types.OTHER);
                      a.see(s.executeUpdate());
                    }
                  });
              a.sql("insert into ty." + table + " values (502, default)");
              a.sql("select id, v::text as x from ty." + table + " order by id");
            })
        .in("ty")
        .fails()
        .only(Variant.STATEMENT, Variant.TARGET_AWAY);
  }

  private static void multiranges(Kind.Table t) {
    t.exact(
            "type multirange",
            "insert into §m values (1, '{[1,3),[5,7)}'), (2, '{}')",
            "update §m set v = v + '{[10,11)}'::int4multirange returning v::text as x")
        .on("create table §m(id int primary key, v int4multirange)")
        .since(14);
    t.exact(
            "virtual generated column",
            "insert into §g(id, a) values (1, 2) returning *",
            "update §g set a = 5 returning b")
        .on("create table §g(id int primary key, a int, b int generated always as (a * 2))")
        .since(18);
    t.exact(
            "xid8 and jsonpath",
            "insert into §j values (1, '12345678901', '$.a[*] ? (@ > 1)')",
            "update §j set v = '5'")
        .on("create table §j(id int primary key, v xid8, p jsonpath)");
    t.exact(
            "columns of all relations",
            "insert into §r values (1, '(1,2)', row(1,'x')::§c)",
            "update §r set w = row(2, 'y')::§c")
        .on(
            "create type §c as (a int, b text); create table §r(id int primary key, p point, w §c)");
    t.exact(
            "wide table",
            a -> {
              StringBuilder b = new StringBuilder("insert into §w values (1");
              for (int i = 0; i < 300; i++) {
                b.append(", ").append(i);
              }
              a.sql(b.append(")").toString());
              a.sql(
                  "update §w set c299 = 1, c0 = clock_timestamp()::text where id = 1"
                      .replace("clock_timestamp()::text", "'x'"));
            })
        .on(wide());
  }

  private static String wide() {
    StringBuilder b = new StringBuilder("create table §w(id int primary key");
    for (int i = 0; i < 300; i++) {
      b.append(", c").append(i).append(" text");
    }
    return b.append(")").toString();
  }

  private static List<Way> ways() {
    List<Way> all = new ArrayList<>();
    Map<String, Object> objects = new LinkedHashMap<>();
    objects.put("Integer", 1);
    objects.put("Long", 2L);
    objects.put("Short", (short) 3);
    objects.put("Byte", (byte) 4);
    objects.put("Boolean", true);
    objects.put("Float", 0.1f);
    objects.put("Double", 0.1);
    objects.put("negative zero", -0.0);
    objects.put("NaN", Double.NaN);
    objects.put("BigDecimal", new BigDecimal("1.10"));
    objects.put("BigInteger", new java.math.BigInteger("5"));
    objects.put("String", "1");
    objects.put("Character", '1');
    objects.put("byte[]", new byte[] {0, 1, -1});
    objects.put("UUID", new UUID(1, 2));
    objects.put("LocalDate", LocalDate.of(2001, 2, 3));
    objects.put("LocalDate.MAX", LocalDate.MAX);
    objects.put("LocalTime", LocalTime.of(1, 2, 3, 456789123));
    objects.put("LocalDateTime", LocalDateTime.of(2001, 2, 3, 4, 5, 6, 789123456));
    objects.put("LocalDateTime BC", LocalDateTime.of(-43, 3, 15, 0, 0));
    objects.put(
        "OffsetDateTime", OffsetDateTime.of(2001, 2, 3, 4, 5, 6, 789123456, ZoneOffset.ofHours(5)));
    objects.put("OffsetTime", OffsetTime.of(1, 2, 3, 0, ZoneOffset.ofHours(-3)));
    objects.put("Instant", Instant.EPOCH);
    objects.put("java.sql.Date", java.sql.Date.valueOf("2001-02-03"));
    objects.put("java.sql.Time", java.sql.Time.valueOf("01:02:03"));
    objects.put("java.sql.Timestamp", java.sql.Timestamp.valueOf("2001-02-03 04:05:06.789123456"));
    objects.put("PGInterval", new PGInterval(1, 2, 3, 4, 5, 6.789));
    objects.put("PGpoint", new PGpoint(1, 2));
    objects.put("PGmoney", new PGmoney(1.23));
    objects.put("int[]", new int[] {1, 2});
    objects.put("Integer[]", new Integer[] {1, null});
    objects.put("String[]", new String[] {"a", null, "b,\"c"});
    objects.put("Map", Map.of("k", "v"));
    objects.forEach((n, o) -> all.add(new Way(n, (s, at, a) -> s.setObject(at, o))));
    for (String type : new String[] {"json", "jsonb", "inet", "interval", "ty.mood", "int4range"}) {
      String text =
          type.equals("inet")
              ? "::1"
              : type.equals("interval")
                  ? "1 day"
                  : type.equals("ty.mood")
                      ? "sad"
                      : type.equals("int4range") ? "[1,2]" : "{\"a\": 1.0}";
      all.add(
          new Way(
              "PGobject " + type,
              (s, at, a) -> {
                PGobject o = new PGobject();
                o.setType(type);
                o.setValue(text);
                s.setObject(at, o);
              }));
    }
    all.add(new Way("setString", (s, at, a) -> s.setString(at, "2")));
    all.add(new Way("setNString", (s, at, a) -> s.setNString(at, "2")));
    all.add(new Way("setInt", (s, at, a) -> s.setInt(at, 2)));
    all.add(new Way("setBytes", (s, at, a) -> s.setBytes(at, new byte[] {1})));
    all.add(
        new Way(
            "setDate of a calendar",
            (s, at, a) ->
                s.setDate(
                    at,
                    new java.sql.Date(0),
                    Calendar.getInstance(TimeZone.getTimeZone("Pacific/Auckland")))));
    all.add(
        new Way(
            "setTime of a calendar",
            (s, at, a) ->
                s.setTime(
                    at,
                    new java.sql.Time(0),
                    Calendar.getInstance(TimeZone.getTimeZone("Pacific/Auckland")))));
    all.add(
        new Way(
            "setTimestamp of a calendar",
            (s, at, a) ->
                s.setTimestamp(
                    at,
                    new java.sql.Timestamp(0),
                    Calendar.getInstance(TimeZone.getTimeZone("Pacific/Auckland")))));
    all.add(
        new Way(
            "setAsciiStream",
            (s, at, a) ->
                s.setAsciiStream(
                    at, new ByteArrayInputStream("12".getBytes(StandardCharsets.US_ASCII)), 2)));
    all.add(
        new Way(
            "setBinaryStream",
            (s, at, a) -> s.setBinaryStream(at, new ByteArrayInputStream(new byte[] {1, 2, 3}))));
    all.add(
        new Way(
            "setBinaryStream with length",
            (s, at, a) ->
                s.setBinaryStream(at, new ByteArrayInputStream(new byte[] {1, 2, 3}), 2)));
    all.add(
        new Way(
            "setCharacterStream", (s, at, a) -> s.setCharacterStream(at, new StringReader("12é"))));
    all.add(
        new Way(
            "setCharacterStream with length",
            (s, at, a) -> s.setCharacterStream(at, new StringReader("12"), 2)));
    all.add(
        new Way(
            "setSQLXML",
            (s, at, a) -> {
              SQLXML x = a.c.createSQLXML();
              x.setString("<a>b</a>");
              s.setSQLXML(at, x);
            }));
    all.add(
        new Way(
            "setArray",
            (s, at, a) -> s.setArray(at, a.c.createArrayOf("text", new Object[] {"1", null}))));
    all.add(
        new Way(
            "setObject with target type", (s, at, a) -> s.setObject(at, "2001-02-03", Types.DATE)));
    all.add(
        new Way(
            "setObject with numeric scale",
            (s, at, a) -> s.setObject(at, new BigDecimal("1.23456"), Types.NUMERIC, 2)));
    all.add(new Way("setNull of integer", (s, at, a) -> s.setNull(at, Types.INTEGER)));
    all.add(new Way("setNull of a named type", (s, at, a) -> s.setNull(at, Types.OTHER, "jsonb")));
    all.add(
        new Way(
            "setRowId and setURL",
            (s, at, a) -> {
              try {
                s.setURL(at, null);
              } catch (SQLException e) {
                a.see(e.getSQLState());
                s.setString(at, "1");
              }
            }));
    return all;
  }

  private static void everyType(App a, Way w) throws Exception {
    for (String table : KindTables.TYPES.keySet()) {
      a.attempt(
          x -> {
            try (PreparedStatement s =
                a.c.prepareStatement("insert into ty." + table + " values (?, ?)")) {
              s.setInt(1, 1);
              w.binder.bind(s, 2, a);
              a.see(table + " " + s.executeUpdate());
            }
          });
    }
  }

  private static void keysOfTypes(Kind.Table t) {
    record Keyed(String type, List<String> values) {}
    for (Keyed k :
        List.of(
            new Keyed("text", List.of("a", "A", "", "é", "it''s")),
            new Keyed("uuid", List.of("00000000-0000-0000-0000-000000000001")),
            new Keyed("numeric", List.of("1.10", "NaN", "1e20")),
            new Keyed("float8", List.of("0.1", "NaN", "-0", "Infinity")),
            new Keyed("timestamptz", List.of("2001-01-01 00:00:00.123456Z", "infinity")),
            new Keyed("date", List.of("2001-01-01", "0044-03-15 BC")),
            new Keyed("bytea", List.of("\\x00", "\\xff")),
            new Keyed("jsonb", List.of("{\"a\": 1}", "null")),
            new Keyed("ty.mood", List.of("sad", "ok")),
            new Keyed("int[]", List.of("{1,2}", "{}")),
            new Keyed("ty.pair", List.of("(1,a)")),
            new Keyed("inet", List.of("::1", "10.0.0.1/8")),
            new Keyed("interval", List.of("1 day", "24:00:00.5")),
            new Keyed("char(3)", List.of("a", "ab")),
            new Keyed("ty.citext", List.of("Ab")),
            new Keyed("int4range", List.of("[1,3)")),
            new Keyed("boolean", List.of("t")),
            new Keyed("ty.positive", List.of("7")))) {
      t.exact(
              "key of type " + k.type,
              a -> {
                // a literal of a composite type has to be cast where it is compared
                String cast = k.type.equals("ty.pair") ? "::ty.pair" : "";
                for (String v : k.values) {
                  a.sql("insert into §t values ('" + v + "', 1)");
                  a.bound(
                      "insert into §t values (?::"
                          + k.type
                          + ", 2) on conflict (id) do update set v = excluded.v + §t.v"
                              .replace("§t.v", "t.v")
                              .replace("into §t", "into §t as t"),
                      v.replace("''", "'"));
                  a.sql("update §t set v = v + 1 where id = '" + v + "'" + cast);
                }
                a.sql(
                    "delete from §t where id = '" + k.values.get(0) + "'" + cast + " returning v");
              })
          .on("create table §t(id " + k.type + " primary key, v int)")
          .only(Variant.STATEMENT, Variant.MIRROR_EMPTY, Variant.TARGET_AWAY);
    }
  }
}
