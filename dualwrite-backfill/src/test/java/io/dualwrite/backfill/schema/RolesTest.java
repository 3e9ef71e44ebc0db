package io.dualwrite.backfill.schema;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import org.junit.jupiter.api.Test;

class RolesTest {

  @Test
  void whatAServiceRefusesIsLeftOut() {
    Roles r =
        Roles.clean(
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

            CREATE ROLE "boss";
            ALTER ROLE "boss" WITH SUPERUSER INHERIT CREATEROLE CREATEDB LOGIN REPLICATION BYPASSRLS PASSWORD 'SCRAM-SHA-256$4096:a b NOSUPERUSER c=';
            CREATE ROLE "odd ""name";
            ALTER ROLE "odd ""name" WITH NOSUPERUSER INHERIT NOCREATEROLE NOCREATEDB NOLOGIN NOREPLICATION NOBYPASSRLS CONNECTION LIMIT 7 VALID UNTIL 'infinity';
            COMMENT ON ROLE "boss" IS 'line one
            line; two';
            CREATE ROLE "postgres";
            ALTER ROLE "postgres" WITH SUPERUSER INHERIT;
            CREATE ROLE "rdsadmin";
            CREATE ROLE "root";
            ALTER ROLE "boss" SET "search_path" TO 'a', 'b';
            --
            -- Role memberships
            --

            GRANT "boss" TO "odd ""name" WITH INHERIT TRUE GRANTED BY "postgres";
            GRANT "pg_monitor" TO "boss" GRANTED BY "root";
            GRANT "rds_superuser" TO "boss";
            GRANT "boss" TO "root";

            \\unrestrict abc
            """,
            "root");
    assertEquals(
        List.of(
            "DO $dualwrite$ BEGIN CREATE ROLE \"boss\"; EXCEPTION WHEN duplicate_object THEN NULL; END $dualwrite$",
            "ALTER ROLE \"boss\" WITH INHERIT CREATEROLE CREATEDB LOGIN PASSWORD 'SCRAM-SHA-256$4096:a b NOSUPERUSER c='",
            "DO $dualwrite$ BEGIN CREATE ROLE \"odd \"\"name\"; EXCEPTION WHEN duplicate_object THEN NULL; END $dualwrite$",
            "ALTER ROLE \"odd \"\"name\" WITH INHERIT NOCREATEROLE NOCREATEDB NOLOGIN CONNECTION LIMIT 7 VALID UNTIL 'infinity'",
            "COMMENT ON ROLE \"boss\" IS 'line one\nline; two'",
            "ALTER ROLE \"boss\" SET \"search_path\" TO 'a', 'b'",
            "GRANT \"boss\" TO \"odd \"\"name\" WITH INHERIT TRUE",
            "GRANT \"pg_monitor\" TO \"boss\""),
        r.statements());
    assertEquals(
        List.of(
            "boss had SUPERUSER",
            "boss had REPLICATION",
            "boss had BYPASSRLS",
            "boss was a member of rds_superuser"),
        r.notes());
  }
}
