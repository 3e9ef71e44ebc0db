package io.dualwrite.frameworks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import jakarta.persistence.CascadeType;
import jakarta.persistence.ElementCollection;
import jakarta.persistence.Embeddable;
import jakarta.persistence.Entity;
import jakarta.persistence.EnumType;
import jakarta.persistence.Enumerated;
import jakarta.persistence.GeneratedValue;
import jakarta.persistence.GenerationType;
import jakarta.persistence.Id;
import jakarta.persistence.Inheritance;
import jakarta.persistence.InheritanceType;
import jakarta.persistence.JoinTable;
import jakarta.persistence.LockModeType;
import jakarta.persistence.ManyToMany;
import jakarta.persistence.ManyToOne;
import jakarta.persistence.OneToMany;
import jakarta.persistence.OptimisticLockException;
import jakarta.persistence.OrderColumn;
import jakarta.persistence.SequenceGenerator;
import jakarta.persistence.Version;
import java.io.StringWriter;
import java.math.BigDecimal;
import java.sql.Connection;
import java.sql.Statement;
import java.time.Instant;
import java.time.LocalDate;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import org.hibernate.Session;
import org.hibernate.SessionFactory;
import org.hibernate.annotations.ColumnDefault;
import org.hibernate.annotations.CreationTimestamp;
import org.hibernate.annotations.DynamicUpdate;
import org.hibernate.annotations.Generated;
import org.hibernate.annotations.JdbcTypeCode;
import org.hibernate.annotations.UpdateTimestamp;
import org.hibernate.cfg.AvailableSettings;
import org.hibernate.cfg.Configuration;
import org.hibernate.dialect.PostgreSQLDialect;
import org.hibernate.type.SqlTypes;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInfo;

/**
 * Hibernate ORM over HikariCP: on a schema that was restored on both sides, and on one that it
 * creates itself.
 */
class HibernateTest {

  enum Level {
    LOW,
    HIGH
  }

  @Embeddable
  static class Address {
    String street;
    String city;

    protected Address() {}

    Address(String street, String city) {
      this.street = street;
      this.city = city;
    }
  }

  /** Ids from a sequence, fifty at a time; everything that has a table of its own. */
  @Entity(name = "Person")
  @SequenceGenerator(name = "person_ids", sequenceName = "person_ids", allocationSize = 50)
  static class Person {
    @Id
    @GeneratedValue(generator = "person_ids")
    Long id;

    @Version int version;
    String name;

    @Enumerated(EnumType.STRING)
    Level level;

    @CreationTimestamp Instant created;
    @UpdateTimestamp Instant changed;

    @JdbcTypeCode(SqlTypes.JSON)
    Map<String, String> settings = new LinkedHashMap<>();

    @JdbcTypeCode(SqlTypes.ARRAY)
    List<String> nicknames = new ArrayList<>();

    /** A bag: its table has no key. */
    @ElementCollection List<String> phones = new ArrayList<>();

    @ElementCollection Set<Address> addresses = new HashSet<>();
    @ElementCollection @OrderColumn List<String> moves = new ArrayList<>();
    @ElementCollection Map<String, Integer> scores = new HashMap<>();
    @ManyToMany Set<Club> clubs = new HashSet<>();

    /** Another bag. */
    @ManyToMany
    @JoinTable(name = "waiting")
    List<Club> waitingFor = new ArrayList<>();

    @OneToMany(mappedBy = "owner", cascade = CascadeType.ALL, orphanRemoval = true)
    List<Pet> pets = new ArrayList<>();

    protected Person() {}

    Person(String name) {
      this.name = name;
    }
  }

  /** Ids of an identity column; a value made by the database. */
  @Entity(name = "Club")
  @DynamicUpdate
  static class Club {
    @Id
    @GeneratedValue(strategy = GenerationType.IDENTITY)
    Long id;

    String name;
    BigDecimal fee = BigDecimal.ONE;

    @Generated
    @ColumnDefault("current_date")
    LocalDate founded;

    protected Club() {}

    Club(String name) {
      this.name = name;
    }
  }

  /** A table for each class; ids made here. */
  @Entity(name = "Pet")
  @Inheritance(strategy = InheritanceType.JOINED)
  static class Pet {
    @Id @GeneratedValue UUID id;
    String name;
    @ManyToOne Person owner;

    protected Pet() {}

    Pet(String name, Person owner) {
      this.name = name;
      this.owner = owner;
    }
  }

  @Entity(name = "Dog")
  static class Dog extends Pet {
    int barks;

    protected Dog() {}

    Dog(String name, Person owner, int barks) {
      super(name, owner);
      this.barks = barks;
    }
  }

  /** Ids from a table: a row that is read for update and changed. */
  @Entity(name = "Ticket")
  static class Ticket {
    @Id
    @GeneratedValue(strategy = GenerationType.TABLE)
    Long id;

    String title;

    protected Ticket() {}

    Ticket(String title) {
      this.title = title;
    }
  }

  private TwoDatabases both;
  private HikariDataSource pool;
  private SessionFactory factory;

  /** The schema as Hibernate itself would create it, which a migration restores on both sides. */
  private static String schema() {
    StringWriter script = new StringWriter();
    Configuration c = entities();
    c.setProperty(AvailableSettings.DIALECT, PostgreSQLDialect.class.getName());
    c.setProperty(AvailableSettings.ALLOW_METADATA_ON_BOOT, "false");
    c.setProperty(AvailableSettings.JAKARTA_HBM2DDL_SCRIPTS_ACTION, "create");
    c.setProperty(AvailableSettings.HBM2DDL_DELIMITER, ";");
    c.getProperties().put(AvailableSettings.JAKARTA_HBM2DDL_SCRIPTS_CREATE_TARGET, script);
    c.buildSessionFactory().close();
    return script.toString();
  }

  private static Configuration entities() {
    Configuration c = new Configuration();
    for (Class<?> e : List.of(Person.class, Club.class, Pet.class, Dog.class, Ticket.class)) {
      c.addAnnotatedClass(e);
    }
    return c;
  }

  @BeforeEach
  void start(TestInfo test) throws Exception {
    boolean migrated = !test.getTags().contains("new");
    both = migrated ? TwoDatabases.with(schema()) : TwoDatabases.empty();
    HikariConfig config = new HikariConfig();
    config.setDataSource(both.process());
    config.setMaximumPoolSize(4);
    pool = new HikariDataSource(config);
    factory = factory(migrated ? "validate" : "create");
  }

  private SessionFactory factory(String schema) {
    Configuration c = entities();
    c.getProperties().put(AvailableSettings.JAKARTA_NON_JTA_DATASOURCE, pool);
    c.setProperty(AvailableSettings.STATEMENT_BATCH_SIZE, "20");
    c.setProperty(AvailableSettings.ORDER_INSERTS, "true");
    c.setProperty(AvailableSettings.ORDER_UPDATES, "true");
    c.setProperty(AvailableSettings.HBM2DDL_AUTO, schema);
    return c.buildSessionFactory();
  }

  @AfterEach
  void stop() {
    if (factory != null) {
      factory.close();
    }
    pool.close();
    both.close();
  }

  private Person person(Session s, String name) {
    return s.createSelectionQuery("from Person where name = :n", Person.class)
        .setParameter("n", name)
        .getSingleResult();
  }

  @Test
  void entitiesWithEveryKindOfId() throws Exception {
    List<Long> ids = new ArrayList<>();
    factory.inTransaction(
        s -> {
          for (int i = 0; i < 120; i++) {
            Person p = new Person("p" + i);
            p.level = i % 2 == 0 ? Level.LOW : Level.HIGH;
            p.settings.put("colour", "c" + i);
            p.nicknames.add("n'" + i);
            s.persist(p);
            ids.add(p.id);
            Club c = new Club("c" + i);
            s.persist(c);
            assertTrue(c.id > 0);
            s.persist(new Dog("d" + i, p, i));
            s.persist(new Ticket("t" + i));
          }
        });
    assertEquals(120, new HashSet<>(ids).size());
    factory.inTransaction(
        s -> {
          for (Person p : s.createSelectionQuery("from Person order by id", Person.class).list()) {
            p.name = p.name.toUpperCase(java.util.Locale.ROOT);
            p.settings.put("more", "x");
          }
          for (Club c :
              s.createSelectionQuery("from Club where mod(id, 3) = 0", Club.class).list()) {
            assertEquals(
                LocalDate.now(java.time.ZoneId.systemDefault()).getYear(), c.founded.getYear());
            c.fee = c.fee.add(BigDecimal.TEN);
          }
        });
    factory.inTransaction(
        s -> {
          for (Dog d : s.createSelectionQuery("from Dog where barks > 100", Dog.class).list()) {
            d.barks = -d.barks;
            if (d.barks % 2 == 0) {
              s.remove(d);
            }
          }
          for (Ticket t :
              s.createSelectionQuery("from Ticket where title like 't1%'", Ticket.class).list()) {
            s.remove(t);
          }
        });
    assertEquals(
        List.of("120"),
        both.stored("select count(*) from person where version = 1 and name like 'P%'"));
    assertEquals(List.of("40"), both.stored("select count(*) from club where fee = 11"));
    assertEquals(List.of("111"), both.stored("select count(*) from dog"));
    both.assertEqual();
  }

  @Test
  void collectionsAndJoinTables() throws Exception {
    factory.inTransaction(
        s -> {
          Club chess = new Club("chess");
          Club go = new Club("go");
          s.persist(chess);
          s.persist(go);
          for (int i = 0; i < 5; i++) {
            Person p = new Person("p" + i);
            p.phones.addAll(List.of("1" + i, "2" + i, "1" + i));
            p.addresses.add(new Address("street " + i, "town"));
            p.addresses.add(new Address("street " + i, null));
            p.moves.addAll(List.of("e4", "d4", "c4"));
            p.scores.putAll(Map.of("chess", i, "go", i + 1));
            p.clubs.addAll(Set.of(chess, go));
            p.waitingFor.addAll(List.of(chess, go, chess));
            p.pets.add(new Dog("rex" + i, p, 3));
            p.pets.add(new Pet("tom" + i, p));
            s.persist(p);
          }
        });
    both.assertEqual();
    factory.inTransaction(
        s -> {
          Person p = person(s, "p1");
          p.moves.remove(0); // the others move up: UPDATEs of the key
          p.scores.put("go", 99);
          p.scores.remove("chess");
          p.clubs.removeIf(c -> c.name.equals("go"));
          p.addresses.removeIf(a -> a.city == null); // a part of the row is null
          p.pets.removeIf(x -> x.name.startsWith("tom"));
          s.remove(person(s, "p2"));
        });
    both.assertEqual();
    // bags are deleted whole and written again
    factory.inTransaction(
        s -> {
          Person p = person(s, "p3");
          p.phones.remove("13");
          p.waitingFor.remove(0);
          person(s, "p4").phones.clear();
        });
    assertEquals(
        List.of("13,23"),
        both.stored(
            "select string_agg(phones, ',' order by phones) from person_phones x join person p on p.id = x.person_id where p.name = 'p3'"));
    assertEquals(
        List.of("chess", "go"),
        both.stored(
            "select c.name from waiting x join person p on p.id = x.person_id join club c on c.id = x.waitingfor_id where p.name = 'p3' order by 1"));
    both.assertEqual();
  }

  @Test
  void twoUsersOfOneVersionedRow() throws Exception {
    factory.inTransaction(s -> s.persist(new Person("ada")));
    try (Session a = factory.openSession();
        Session b = factory.openSession()) {
      a.beginTransaction();
      b.beginTransaction();
      Person mine = person(a, "ada");
      Person theirs = person(b, "ada");
      mine.level = Level.HIGH;
      theirs.level = Level.LOW;
      a.persist(new Club("of a"));
      b.persist(new Club("of b"));
      a.getTransaction().commit();
      assertThrows(OptimisticLockException.class, () -> b.flush());
      b.getTransaction().rollback();
    }
    factory.inTransaction(
        s -> {
          Person p = s.find(Person.class, person(s, "ada").id, LockModeType.PESSIMISTIC_WRITE);
          p.name = "Ada";
          s.lock(p, LockModeType.OPTIMISTIC_FORCE_INCREMENT);
        });
    assertThrows(
        IllegalStateException.class,
        () ->
            factory.inTransaction(
                s -> {
                  s.persist(new Person("never"));
                  s.flush();
                  throw new IllegalStateException();
                }));
    assertEquals(List.of("HIGH,Ada"), both.stored("select level||','||name from person"));
    assertEquals(List.of("of a"), both.stored("select name from club"));
    both.assertEqual();
  }

  @Test
  void bulkStatements() throws Exception {
    factory.inTransaction(
        s -> {
          for (int i = 0; i < 30; i++) {
            Person p = new Person("p" + i);
            p.phones.add("1");
            p.clubs.clear();
            s.persist(p);
            s.persist(new Dog("d" + i, p, i));
            s.persist(new Club("c" + i));
          }
        });
    factory.inTransaction(
        s -> {
          assertEquals(
              30,
              s.createMutationQuery("update versioned Person set level = :l where level is null")
                  .setParameter("l", Level.LOW)
                  .executeUpdate());
          assertEquals(
              10,
              s.createMutationQuery(
                      "update Club set fee = fee * 2, name = upper(name) where id > (select avg(id) from Club) + 5")
                  .executeUpdate());
          assertEquals(
              5,
              s.createMutationQuery("delete from Club where name in ('c0','c1','c2','c3','c4')")
                  .executeUpdate());
          // one statement for each of the class's tables
          assertEquals(
              15,
              s.createMutationQuery("update Dog set barks = -1, name = 'old' where barks >= 15")
                  .executeUpdate());
          assertEquals(
              10,
              s.createMutationQuery("delete from Dog where barks between 0 and 9").executeUpdate());
          assertEquals(
              30,
              s.createMutationQuery(
                      "insert into Ticket (id, title) select p.id, p.name from Person p")
                  .executeUpdate());
          assertEquals(
              1,
              s.createMutationQuery(
                      "insert into Ticket (id, title) values (1, 'x') on conflict (id) do update set title = excluded.title || '!'")
                  .executeUpdate());
        });
    factory.inTransaction(
        s ->
            assertEquals(
                30,
                s.createNativeMutationQuery("update person set name = name || '.'")
                    .executeUpdate()));
    assertEquals(List.of("20"), both.stored("select count(*) from pet"));
    assertEquals(List.of("x!"), both.stored("select title from ticket where id = 1"));
    both.assertEqual();
  }

  @Test
  void statelessSession() throws Exception {
    factory.inStatelessTransaction(
        s -> {
          s.setJdbcBatchSize(10);
          List<Person> all = new ArrayList<>();
          for (int i = 0; i < 25; i++) {
            Person p = new Person("s" + i);
            p.phones.add("0" + i);
            s.insert(p);
            all.add(p);
          }
          all.get(3).name = "changed";
          s.update(all.get(3));
          s.delete(all.get(4));
          s.insertMultiple(List.of(new Club("x"), new Club("y")));
          Ticket t = new Ticket("up");
          t.id = 7L;
          s.upsert(t); // MERGE, or INSERT … ON CONFLICT
          t.title = "upped";
          s.upsert(t);
        });
    assertEquals(List.of("24"), both.stored("select count(*) from person"));
    assertEquals(List.of("upped"), both.stored("select title from ticket"));
    both.assertEqual();
  }

  @Test
  @Tag("new")
  void theSchemaIsCreatedValidatedUpdatedAndDropped() throws Exception {
    factory.inTransaction(s -> s.persist(new Club("kept")));
    factory.close();
    factory = factory("validate");
    factory.close();
    // as if the entity had a new attribute
    try (Connection c = pool.getConnection();
        Statement s = c.createStatement()) {
      s.execute("alter table club drop column fee");
    }
    factory = factory("update");
    factory.inTransaction(s -> s.persist(new Club("new")));
    assertEquals(
        List.of("1", "2"),
        both.stored(
            "select count(*) from club where fee is null union all select count(*) from club order by 1"));
    both.assertEqual();
    factory.close();
    factory = factory("create-drop");
    factory.close();
    factory = null;
    assertEquals(Map.of(), both.rows());
    both.assertEqual();
  }
}
