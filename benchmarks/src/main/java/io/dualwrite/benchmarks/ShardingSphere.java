package io.dualwrite.benchmarks;

import java.io.IOException;
import java.lang.reflect.InvocationTargetException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.DriverManager;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import javax.sql.DataSource;

/**
 * ShardingSphere-JDBC, from the jars of a directory: it has a class loader of its own, because it
 * wants other versions of libraries than everybody else.
 */
final class ShardingSphere {

  /** Where its jars are. */
  static final String PROPERTY = "dualwrite.benchmarks.shardingsphere";

  /**
   * One database whose tables are all single ones: it parses, routes and merges, and changes
   * nothing.
   */
  private static final String CONFIGURATION =
      """
      databaseName: benchmark
      rules:
      - !SINGLE
        tables:
        - "*.*"
      """;

  private ShardingSphere() {}

  static boolean isPresent() {
    return Files.isDirectory(Path.of(System.getProperty(PROPERTY, "absent")));
  }

  static DataSource over(DataSource driver) {
    List<URL> jars = new ArrayList<>();
    try (DirectoryStream<Path> files =
        Files.newDirectoryStream(Path.of(System.getProperty(PROPERTY)), "*.jar")) {
      for (Path f : files) {
        jars.add(f.toUri().toURL());
      }
      ClassLoader loader =
          new URLClassLoader(jars.toArray(new URL[0]), ClassLoader.getPlatformClassLoader());
      DriverManager.getDrivers(); // it looks for them with the context's class loader, once
      Thread.currentThread().setContextClassLoader(loader);
      Class<?> factory =
          loader.loadClass(
              "org.apache.shardingsphere.driver.api.yaml.YamlShardingSphereDataSourceFactory");
      return (DataSource)
          factory
              .getMethod("createDataSource", Map.class, byte[].class)
              .invoke(null, Map.of("one", driver), CONFIGURATION.getBytes(StandardCharsets.UTF_8));
    } catch (InvocationTargetException e) {
      throw new IllegalStateException(e.getCause());
    } catch (IOException | ReflectiveOperationException e) {
      throw new IllegalStateException(e);
    }
  }
}
