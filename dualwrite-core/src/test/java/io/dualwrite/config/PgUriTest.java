package io.dualwrite.config;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Properties;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.postgresql.Driver;

class PgUriTest {

  @ParameterizedTest
  @CsvSource(
      delimiter = ' ',
      value = {
        "postgres://u:p@h:6432/d jdbc:postgresql://h:6432/d u p",
        "postgresql://u:p@h/d jdbc:postgresql://h:5432/d u p",
        "POSTGRES://u@h/d jdbc:postgresql://h:5432/d u ",
        "postgres://h jdbc:postgresql://h:5432/  ",
        "postgres:// jdbc:postgresql://localhost:5432/  ",
        "postgres:///d jdbc:postgresql://localhost:5432/d  ",
        "postgres://u@/d jdbc:postgresql://localhost:5432/d u ",
        "postgres://u:@h/d jdbc:postgresql://h:5432/d u ",
        "postgres://u%40x:p%2Fq%3F%23%25+@h/d%20b jdbc:postgresql://h:5432/d+b u@x p/q?#%+",
        "postgres://u:p:q@h/d jdbc:postgresql://h:5432/d u p:q",
        "postgres://%C3%BC:%E2%82%AC@h/d jdbc:postgresql://h:5432/d ü €",
        "postgres://u@a:1,b,c:3/d jdbc:postgresql://a:1,b:5432,c:3/d u ",
        "postgres://u@[::1]:5433/d jdbc:postgresql://[::1]:5433/d u ",
        "postgres://u@[2001:db8::1]/d jdbc:postgresql://[2001:db8::1]:5432/d u ",
        "postgres://u@h/d?sslmode=require jdbc:postgresql://h:5432/d?sslmode=require u ",
        "postgres://h/d?user=u&password=p%26q jdbc:postgresql://h:5432/d u p&q",
        "postgres:///d?host=a,b&port=1,2 jdbc:postgresql://a:1,b:2/d  ",
        "postgres://h/d?port=7 jdbc:postgresql://h:7/d  ",
        "postgres://h/d?dbname=e jdbc:postgresql://h:5432/e  ",
        "postgres://h/d?application_name=my%20app&connect_timeout=3 jdbc:postgresql://h:5432/d?ApplicationName=my+app&connectTimeout=3  ",
        "postgres://h/d?application_name=a&fallback_application_name=b jdbc:postgresql://h:5432/d?ApplicationName=a  ",
        "postgres://h/d?target_session_attrs=read-write jdbc:postgresql://h:5432/d?targetServerType=primary  ",
        "postgres://h/d?keepalives=1&keepalives_idle=5&client_encoding=utf-8 jdbc:postgresql://h:5432/d?tcpKeepAlive=true  ",
        "postgres://h/d?options=-c%20search_path%3Dx jdbc:postgresql://h:5432/d?options=-c+search_path%3Dx  ",
        "postgres://h/d?ssl=true jdbc:postgresql://h:5432/d?sslmode=require  ",
        "postgres://h/d?prepareThreshold=0 jdbc:postgresql://h:5432/d?prepareThreshold=0  ",
      })
  void convertsWhatPsqlReads(String uri, String url, String user, String password) {
    PgUri p = PgUri.parse(uri);
    assertEquals(url, p.jdbcUrl());
    assertEquals(user, p.user());
    assertEquals(password, p.password());
  }

  @Test
  void theDriverReadsBackWhatWasEncoded() {
    PgUri p =
        PgUri.parse("postgres://h:1/a%20b%2Bc%26%3F?options=-c%20x%3D1%2B1%26&sslmode=disable");
    Properties read = Driver.parseURL(p.jdbcUrl(), null);
    assertEquals("a b+c&?", read.getProperty("PGDBNAME"));
    assertEquals("-c x=1+1&", read.getProperty("options"));
    assertEquals("h", read.getProperty("PGHOST"));
    assertEquals("1", read.getProperty("PGPORT"));
  }

  @Test
  void aJdbcUrlIsTakenAsItIs() {
    String url = "jdbc:postgresql://h:5432/d?user=u&password=p%25&prepareThreshold=0";
    PgUri p = PgUri.parse("  " + url + " ");
    assertEquals(url, p.jdbcUrl());
    assertEquals("u", p.user());
    assertEquals("p%", p.password());
    assertNull(PgUri.parse("jdbc:postgresql:d").user());
  }

  @ParameterizedTest
  @CsvSource({
    "jdbc:postgresql://h/d?prepareThreshold=-1, jdbc:postgresql://h/d",
    "jdbc:postgresql://h/d?prepareThreshold=0&autosave=always, jdbc:postgresql://h/d?prepareThreshold=0",
    "jdbc:postgresql://h/d?readOnly=true&sslmode=require&x&password=%26readOnly%3D, jdbc:postgresql://h/d?sslmode=require&x&password=%26readOnly%3D",
    "jdbc:postgresql://h/d?socketTimeout=9, jdbc:postgresql://h/d",
    "jdbc:postgresql:d, jdbc:postgresql:d",
    "postgres://u@h:1/d?preferQueryMode=simple&application_name=a, jdbc:postgresql://h:1/d?ApplicationName=a"
  })
  void withoutWhatIsForTheApplicationsStatements(String url, String ours) {
    assertEquals(ours, PgUri.parse(url).jdbcUrlOfOurOwn(Set.of("socketTimeout")));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "postgres://u:hunter2/x@h/d", // unescaped slash
        "postgres://u:hunter2@x@h/d", // unescaped at
        "postgres://u:hunter2%zz@h/d",
        "postgres://u:hunter2%00@h/d",
        "postgres://u:hunter2%ff@h/d",
        "postgres://u:hunter2#@h/d",
        "postgres://u:hunter2@h:port/d",
        "postgres://u:hunter2@h:0/d",
        "postgres://u:hunter2@h:65536/d",
        "postgres://u:hunter2@[::1/d",
        "postgres://u:hunter2@[::1]x/d",
        "postgres://u:hunter2@h/d?password=hunter2&what=ever",
        "postgres://u:hunter2@h/d?sslmode",
        "postgres://u:hunter2@h/d?client_encoding=latin1",
        "postgres://u:hunter2@%2Fvar%2Frun/d",
        "postgres://u:hunter2@h/d?host=/var/run",
        "postgres:///?service=prod",
        "postgres://u:hunter2@h:5432/d?service=prod",
        "postgres://u:hunter2@h/d?host=a,b&port=1,2,3",
        "mysql://u:hunter2@h/d",
        "jdbc:mysql://h/d?password=hunter2",
        "host=h user=app password=hunter2", // psql takes it
        "u:hunter2@h/d",
        "//u:hunter2@h/d",
        "postgres:u:hunter2@h/d",
        "postgres://h/d?password=1&hunter2",
        "postgres://h/d?password=1&hunter2&what=ever",
        "jdbc:postgresql://h:x/d?password=hunter2",
        "",
      })
  void theMalformedIsRefusedWithoutShowingThePassword(String uri) {
    String message =
        assertThrows(IllegalArgumentException.class, () -> PgUri.parse(uri)).getMessage();
    assertFalse(message.contains("hunter2"), message);
    assertTrue(
        message.contains(" is malformed: ") || message.contains("is no connection string"),
        message);
  }

  @Test
  void errorsSayWhatToDo() {
    assertEquals(
        "the connection string 'postgres://u:***@h/d' is malformed: a / in the user name or"
            + " password must be written %2F",
        assertThrows(IllegalArgumentException.class, () -> PgUri.parse("postgres://u:a/b@h/d"))
            .getMessage());
    assertEquals(
        "the connection string 'postgres://h/d?pool=3' is malformed: the PostgreSQL JDBC driver"
            + " has no parameter 'pool', leave it out",
        assertThrows(IllegalArgumentException.class, () -> PgUri.parse("postgres://h/d?pool=3"))
            .getMessage());
  }

  @Test
  void secretsAreMasked() {
    assertEquals("postgres://u:***@h:1/d", PgUri.mask("postgres://u:p@h:1/d"));
    assertEquals("postgres://u@h:1/d", PgUri.mask("postgres://u@h:1/d"));
    assertEquals("postgres://h:1/d", PgUri.mask("postgres://h:1/d"));
    assertEquals(
        "jdbc:postgresql://h/d?password=***&sslpassword=***&a=b",
        PgUri.parse("jdbc:postgresql://h/d?password=x&sslpassword=y&a=b").toString());
    assertEquals("jdbc:postgresql://h:5432/d", PgUri.parse("postgres://u:p@h/d").toString());
    assertEquals("jdbc:postgresql:u:***@h/d", PgUri.parse("jdbc:postgresql:u:p@h/d").toString());
    assertEquals("***", PgUri.mask("host=h password=p"));
  }
}
