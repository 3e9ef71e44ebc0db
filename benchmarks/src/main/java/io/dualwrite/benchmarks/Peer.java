package io.dualwrite.benchmarks;

import com.p6spy.engine.spy.P6DataSource;
import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import io.dualwrite.config.Setting;
import io.dualwrite.jdbc.DualWriteDataSource;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import javax.sql.DataSource;
import net.ttddyy.dsproxy.support.ProxyDataSourceBuilder;
import software.amazon.jdbc.ds.AwsWrapperDataSource;

/** Who stands between the application and the driver. None of them logs or listens. */
public enum Peer {
  /** Nobody. */
  RAW("raw") {
    @Override
    DataSource over(DataSource driver) {
      return driver;
    }
  },

  /** This product: writes are captured, reads handed on. */
  DUALWRITE("dualwrite") {
    @Override
    DataSource over(DataSource driver) {
      return DualWriteDataSource.builder()
          .source(driver)
          .target(Servers.targetOfParent())
          .journal(Scratch.memory())
          .set(Setting.JOURNAL_MIN_FREE_BYTES, "1MB")
          .build();
    }
  },

  /** The pool. */
  HIKARI("HikariCP 7.1.0") {
    @Override
    DataSource over(DataSource driver) {
      HikariConfig c = new HikariConfig();
      c.setDataSource(driver);
      c.setMaximumPoolSize(1);
      return new HikariDataSource(c);
    }
  },

  /** JDK proxies around statements; results are handed out as they are. */
  DATASOURCE_PROXY("datasource-proxy 1.11.0") {
    @Override
    DataSource over(DataSource driver) {
      return ProxyDataSourceBuilder.create(driver).build();
    }
  },

  /** The same with its results proxied, as whoever wants to see rows has to do. */
  DATASOURCE_PROXY_RESULTS("datasource-proxy 1.11.0, results too") {
    @Override
    DataSource over(DataSource driver) {
      return ProxyDataSourceBuilder.create(driver).proxyResultSet().build();
    }
  },

  /** Hand-written wrappers. */
  P6SPY("p6spy 3.9.1") {
    @Override
    DataSource over(DataSource driver) {
      System.setProperty("p6spy.config.modulelist", "com.p6spy.engine.spy.P6SpyFactory");
      System.setProperty("p6spy.config.appender", "com.p6spy.engine.spy.appender.StdoutLogger");
      return new P6DataSource(driver);
    }
  },

  /** Hand-written wrappers with a chain of plugins, here an empty one. */
  AWS("AWS JDBC wrapper 4.3.0") {
    @Override
    DataSource over(DataSource driver) {
      AwsTarget.driver = driver;
      Properties p = new Properties();
      p.setProperty("wrapperPlugins", "");
      p.setProperty("wrapperDialect", "pg");
      p.setProperty("wrapperTargetDriverDialect", "generic");
      AwsWrapperDataSource ds = new AwsWrapperDataSource();
      ds.setTargetDataSourceClassName(AwsTarget.class.getName());
      ds.setTargetDataSourceProperties(p);
      ds.setJdbcProtocol("jdbc:postgresql:");
      ds.setServerName("localhost");
      ds.setDatabase("stub");
      return ds;
    }
  },

  /** Parses each statement, finds out where it goes, and merges results: here all of one place. */
  SHARDINGSPHERE("ShardingSphere-JDBC 5.5.2") {
    @Override
    DataSource over(DataSource driver) {
      return ShardingSphere.over(driver);
    }
  };

  /** As the tables name it. */
  final String label;

  Peer(String label) {
    this.label = label;
  }

  abstract DataSource over(DataSource driver);

  /** Those that take part: all of them, if {@code benchmarks/run} has brought the last one. */
  static List<Peer> present() {
    List<Peer> all = new ArrayList<>(List.of(values()));
    if (!ShardingSphere.isPresent()) {
      all.remove(SHARDINGSPHERE);
    }
    return all;
  }
}
