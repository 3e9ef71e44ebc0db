package io.dualwrite.backfill.schema;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import org.junit.jupiter.api.Test;

class RolesTest {

  private static Roles clean(String statements) {
    return Roles.clean(
        """
        --
        -- PostgreSQL database cluster dump
        --

        \\restrict abc
        SET default_transaction_read_only = off;
        SET client_encoding = 'UTF8';

        --
        -- Roles
        --

        """
            + statements
            + "\n\\unrestrict abc\n",
        "root");
  }

  @Test
  void whatAServiceRefusesIsLeftOut() {
    Roles r =
        clean(
            """
            CREATE ROLE "boss";
            ALTER ROLE "boss" WITH SUPERUSER INHERIT CREATEROLE CREATEDB LOGIN REPLICATION BYPASSRLS PASSWORD 'SCRAM-SHA-256$4096:a b NOSUPERUSER c=';
            CREATE ROLE "odd ""name";
            ALTER ROLE "odd ""name" WITH NOSUPERUSER INHERIT NOCREATEROLE NOCREATEDB NOLOGIN NOREPLICATION NOBYPASSRLS CONNECTION LIMIT 7 VALID UNTIL 'infinity';
            COMMENT ON ROLE "boss" IS E'line one
            line; two $dualwrite$
            \\\\restrict abc
            ';
            CREATE ROLE "postgres";
            ALTER ROLE "postgres" WITH SUPERUSER INHERIT;
            CREATE ROLE "rdsadmin";
            CREATE ROLE "rdsapp";
            CREATE ROLE "root";
            ALTER ROLE "boss" SET "search_path" TO 'a', 'b';
            --
            -- Role memberships
            --

            GRANT "boss" TO "odd ""name" WITH INHERIT TRUE GRANTED BY "postgres";
            GRANT "pg_monitor" TO "boss" GRANTED BY "root";
            GRANT "rds_superuser" TO "boss";
            GRANT "boss" TO "root";
            """);
    assertEquals(
        List.of(
            """
            DO $dualwrite_$ BEGIN IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'boss') THEN RAISE WARNING '%', 'role that exists stays as it is: boss'; ELSE CREATE ROLE "boss";
              BEGIN ALTER ROLE "boss" WITH INHERIT CREATEROLE CREATEDB LOGIN PASSWORD 'SCRAM-SHA-256$4096:a b NOSUPERUSER c='; EXCEPTION WHEN OTHERS THEN RAISE WARNING '%', 'role "boss" was not set up completely: ' || SQLERRM; END;
              BEGIN COMMENT ON ROLE "boss" IS E'line one
            line; two $dualwrite$
            \\\\restrict abc
            '; EXCEPTION WHEN OTHERS THEN RAISE WARNING '%', 'role "boss" was not set up completely: ' || SQLERRM; END;
              BEGIN ALTER ROLE "boss" SET "search_path" TO 'a', 'b'; EXCEPTION WHEN OTHERS THEN RAISE WARNING '%', 'role "boss" was not set up completely: ' || SQLERRM; END;
            END IF; EXCEPTION WHEN OTHERS THEN RAISE WARNING '%', 'role "boss" was not set up completely: ' || SQLERRM; END $dualwrite_$""",
            """
            DO $dualwrite$ BEGIN IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'odd "name') THEN RAISE WARNING '%', 'role that exists stays as it is: odd ""name'; ELSE CREATE ROLE "odd ""name";
              BEGIN ALTER ROLE "odd ""name" WITH INHERIT NOCREATEROLE NOCREATEDB NOLOGIN CONNECTION LIMIT 7 VALID UNTIL 'infinity'; EXCEPTION WHEN OTHERS THEN RAISE WARNING '%', 'role "odd ""name" was not set up completely: ' || SQLERRM; END;
            END IF; EXCEPTION WHEN OTHERS THEN RAISE WARNING '%', 'role "odd ""name" was not set up completely: ' || SQLERRM; END $dualwrite$""",
            """
            DO $dualwrite$ BEGIN IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'rdsapp') THEN RAISE WARNING '%', 'role that exists stays as it is: rdsapp'; ELSE CREATE ROLE "rdsapp";
            END IF; EXCEPTION WHEN OTHERS THEN RAISE WARNING '%', 'role "rdsapp" was not set up completely: ' || SQLERRM; END $dualwrite$""",
            """
            DO $dualwrite$ BEGIN IF current_user = 'odd "name' OR NOT EXISTS (SELECT FROM pg_catalog.pg_auth_members WHERE roleid = '"boss"'::regrole AND member = '"odd ""name"'::regrole) THEN
              GRANT "boss" TO "odd ""name" WITH INHERIT TRUE, SET TRUE;
            END IF; EXCEPTION WHEN OTHERS THEN RAISE WARNING '%', '"odd ""name" was not made a member of "boss": ' || SQLERRM; END $dualwrite$""",
            """
            DO $dualwrite$ BEGIN IF current_user = 'boss' OR NOT EXISTS (SELECT FROM pg_catalog.pg_auth_members WHERE roleid = '"pg_monitor"'::regrole AND member = '"boss"'::regrole) THEN
              GRANT "pg_monitor" TO "boss";
            END IF; EXCEPTION WHEN OTHERS THEN RAISE WARNING '%', '"boss" was not made a member of "pg_monitor": ' || SQLERRM; END $dualwrite$"""),
        r.statements());
    String lost = ", which the target does not give it";
    assertEquals(
        List.of(
            "role boss had SUPERUSER" + lost,
            "role boss had REPLICATION" + lost,
            "role boss had BYPASSRLS" + lost,
            "role boss was a member of rds_superuser" + lost,
            "roles of the server's or of a service's own are left out: rdsadmin, root"),
        r.notes());
  }

  @Test
  void whatSeveralGrantedIsOneMembership() {
    List<String> granted =
        clean(
                """
                GRANT "team" TO "boss" WITH ADMIN OPTION, INHERIT FALSE, SET FALSE GRANTED BY "postgres";
                GRANT "team" TO "boss" WITH INHERIT TRUE GRANTED BY "boss";
                GRANT "team" TO "none" WITH INHERIT FALSE, SET FALSE GRANTED BY "boss";
                GRANT "team" TO "old" WITH ADMIN OPTION GRANTED BY "boss";
                """)
            .statements()
            .stream()
            .map(s -> s.substring(s.indexOf("THEN\n") + 5, s.indexOf("\nEND IF")).strip())
            .toList();
    assertEquals(
        List.of(
            """
            GRANT "team" TO "boss" WITH INHERIT TRUE, SET TRUE;
              BEGIN GRANT "team" TO "boss" WITH ADMIN OPTION; EXCEPTION WHEN invalid_grant_operation THEN NULL; END;""",
            """
            GRANT "team" TO "none" WITH INHERIT FALSE, SET FALSE;""",
            """
            GRANT "team" TO "old";
              BEGIN GRANT "team" TO "old" WITH ADMIN OPTION; EXCEPTION WHEN invalid_grant_operation THEN NULL; END;"""),
        granted);
  }
}
