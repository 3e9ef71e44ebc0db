package io.dualwrite.frameworks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import java.sql.SQLException;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.List;
import org.apache.ibatis.annotations.Delete;
import org.apache.ibatis.annotations.Flush;
import org.apache.ibatis.annotations.Insert;
import org.apache.ibatis.annotations.Options;
import org.apache.ibatis.annotations.Param;
import org.apache.ibatis.annotations.Select;
import org.apache.ibatis.annotations.SelectKey;
import org.apache.ibatis.annotations.Update;
import org.apache.ibatis.exceptions.PersistenceException;
import org.apache.ibatis.executor.BatchResult;
import org.apache.ibatis.mapping.Environment;
import org.apache.ibatis.session.Configuration;
import org.apache.ibatis.session.ExecutorType;
import org.apache.ibatis.session.SqlSession;
import org.apache.ibatis.session.SqlSessionFactory;
import org.apache.ibatis.session.SqlSessionFactoryBuilder;
import org.apache.ibatis.transaction.jdbc.JdbcTransactionFactory;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** MyBatis: a mapper, generated keys, the batch executor. */
class MyBatisTest {

  /** A row, as a bean. */
  public static final class Parcel {
    Long id;
    String address;
    Double weight;
    OffsetDateTime sent;
    String code;

    Parcel() {}

    Parcel(String address, Double weight) {
      this.address = address;
      this.weight = weight;
    }
  }

  /** The statements. */
  interface Parcels {
    @Insert("insert into parcel (address, weight) values (#{address}, #{weight})")
    @Options(useGeneratedKeys = true, keyProperty = "id,sent", keyColumn = "id,sent")
    int insert(Parcel p);

    @Insert({
      "<script>insert into parcel (address, weight) values",
      "<foreach collection='list' item='p' separator=','>(#{p.address}, #{p.weight})</foreach></script>"
    })
    @Options(useGeneratedKeys = true, keyProperty = "id", keyColumn = "id")
    int insertAll(List<Parcel> all);

    @Insert("insert into parcel (id, address) values (#{id}, #{address})")
    @SelectKey(
        statement = "select nextval('parcel_id_seq')",
        keyProperty = "id",
        before = true,
        resultType = Long.class)
    int insertWithKey(Parcel p);

    @Update({
      "<script>update parcel <set>",
      "<if test='address != null'>address = #{address},</if>",
      "<if test='weight != null'>weight = #{weight},</if>",
      "</set> where id = #{id}</script>"
    })
    int change(Parcel p);

    @Select("update parcel set weight = weight * #{by} where weight > #{from} returning *")
    @Options(flushCache = Options.FlushCachePolicy.TRUE)
    List<Parcel> scale(@Param("by") double by, @Param("from") double from);

    @Insert(
        "insert into parcel (id, address, weight) values (#{id}, #{address}, #{weight})"
            + " on conflict (id) do update set address = excluded.address, weight = parcel.weight + excluded.weight")
    int upsert(Parcel p);

    @Delete({
      "<script>delete from parcel where id in",
      "<foreach collection='ids' item='id' open='(' separator=',' close=')'>#{id}</foreach></script>"
    })
    int delete(@Param("ids") List<Long> ids);

    @Select("select * from parcel order by id")
    List<Parcel> all();

    @Flush
    List<BatchResult> flush();
  }

  private TwoDatabases both;
  private HikariDataSource pool;
  private SqlSessionFactory sessions;

  @BeforeEach
  void start() throws Exception {
    both =
        TwoDatabases.with(
            """
            create table parcel(id bigserial primary key, address varchar(80) not null, weight float8,
              sent timestamptz not null default now(), code uuid not null default gen_random_uuid());
            """);
    HikariConfig config = new HikariConfig();
    config.setDataSource(both.process());
    config.setMaximumPoolSize(4);
    pool = new HikariDataSource(config);
    Configuration c =
        new Configuration(new Environment("test", new JdbcTransactionFactory(), pool));
    c.addMapper(Parcels.class);
    sessions = new SqlSessionFactoryBuilder().build(c);
  }

  @AfterEach
  void stop() {
    pool.close();
    both.close();
  }

  @Test
  void mapperAndGeneratedKeys() throws Exception {
    try (SqlSession s = sessions.openSession()) {
      Parcels parcels = s.getMapper(Parcels.class);
      Parcel one = new Parcel("home", 1.5);
      assertEquals(1, parcels.insert(one));
      List<Parcel> many = new ArrayList<>();
      for (int i = 0; i < 20; i++) {
        many.add(new Parcel("street " + i, i / 3.0));
      }
      assertEquals(20, parcels.insertAll(many));
      Parcel keyed = new Parcel("drawn", null);
      assertEquals(1, parcels.insertWithKey(keyed));
      List<Parcel> stored = parcels.all();
      assertEquals(one.id, stored.get(0).id);
      assertEquals(one.sent, stored.get(0).sent);
      assertEquals(
          many.stream().map(p -> p.id).toList(),
          stored.subList(1, 21).stream().map(p -> p.id).toList());
      assertEquals(keyed.id, stored.get(21).id);
      assertEquals(22, stored.stream().map(p -> p.code).distinct().count());
      Parcel change = new Parcel("moved", null);
      change.id = one.id;
      assertEquals(1, parcels.change(change));
      assertEquals(13, parcels.scale(2, 2).size());
      assertEquals(2, parcels.delete(List.of(many.get(0).id, many.get(1).id, -1L)));
      for (int i = 0; i < 2; i++) {
        Parcel up = new Parcel("up " + i, 10.0);
        up.id = 1000L;
        assertEquals(1, parcels.upsert(up));
      }
      s.commit();
    }
    try (SqlSession s = sessions.openSession()) {
      s.getMapper(Parcels.class).insert(new Parcel("not committed", 0.0));
    } // MyBatis rolls back what was not committed
    try (SqlSession s = sessions.openSession(true)) {
      s.getMapper(Parcels.class).insert(new Parcel("by itself", 0.0));
      PersistenceException e =
          assertThrows(
              PersistenceException.class,
              () -> s.getMapper(Parcels.class).insert(new Parcel(null, 0.0)));
      assertEquals("23502", ((SQLException) e.getCause()).getSQLState());
    }
    assertEquals(List.of("22"), both.stored("select count(*) from parcel"));
    assertEquals(
        List.of("up 1 20"), both.stored("select address||' '||weight from parcel where id = 1000"));
    both.assertEqual();
  }

  @Test
  void batchExecutor() throws Exception {
    List<Parcel> all = new ArrayList<>();
    try (SqlSession s = sessions.openSession(ExecutorType.BATCH)) {
      Parcels parcels = s.getMapper(Parcels.class);
      for (int i = 0; i < 130; i++) {
        Parcel p = new Parcel("b" + i, (double) i);
        all.add(p);
        parcels.insert(p);
        if (i % 50 == 49) {
          for (BatchResult r : parcels.flush()) {
            for (int n : r.getUpdateCounts()) {
              assertEquals(1, n);
            }
          }
        }
      }
      parcels.flush();
      assertTrue(all.stream().allMatch(p -> p.id != null && p.sent != null));
      for (Parcel p : all) {
        Parcel change = new Parcel(null, p.weight + 0.25);
        change.id = p.id;
        parcels.change(change);
      }
      parcels.delete(List.of(all.get(7).id));
      s.commit();
      parcels.insert(new Parcel("c", 1.0));
      parcels.insert(new Parcel(null, 1.0));
      assertThrows(PersistenceException.class, s::flushStatements);
      s.rollback();
    }
    try (SqlSession s = sessions.openSession(ExecutorType.REUSE)) {
      for (Parcel p : s.getMapper(Parcels.class).all().subList(0, 5)) {
        p.address = p.address + "!";
        p.weight = null;
        s.getMapper(Parcels.class).change(p);
      }
      s.commit();
    }
    assertEquals(
        List.of("129"),
        both.stored("select count(*) from parcel where weight - floor(weight) = 0.25"));
    assertEquals(List.of("5"), both.stored("select count(*) from parcel where address like '%!'"));
    both.assertEqual();
  }
}
