package io.dualwrite.embedded;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.List;
import org.testcontainers.containers.wait.strategy.Wait;
import org.testcontainers.postgresql.PostgreSQLContainer;
import org.testcontainers.utility.DockerImageName;

/** PostgreSQL in a container, on a port that survives a restart. */
final class ContainerServer extends PgServer {

  private final PostgreSQLContainer container;
  private final int port;

  ContainerServer(int major, String... settings) {
    try {
      port = freePort();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    StringBuilder command = new StringBuilder("postgres -c max_connections=200");
    for (String s : settings) {
      command.append(" -c ").append(s);
    }
    container =
        new PostgreSQLContainer(
                DockerImageName.parse(image(major)).asCompatibleSubstituteFor("postgres"))
            .withUsername("postgres")
            .withPassword("postgres")
            .withDatabaseName("postgres")
            .withCommand(command.toString());
    container.setPortBindings(List.of(port + ":5432"));
    container.start();
  }

  /** The given image is that of servers for which no version is asked. */
  private static String image(int major) {
    String given = System.getProperty("dualwrite.test.image");
    return given != null && major == majors().get(0) ? given : "postgres:" + major;
  }

  @Override
  public int port() {
    return port;
  }

  @Override
  public void kill() {
    container.getDockerClient().killContainerCmd(container.getContainerId()).exec();
  }

  @Override
  public void stop() {
    container.getDockerClient().stopContainerCmd(container.getContainerId()).exec();
  }

  @Override
  public void restart() {
    container.getDockerClient().startContainerCmd(container.getContainerId()).exec();
    Wait.forListeningPort().waitUntilReady(container);
  }

  @Override
  public void freeze() {
    container.getDockerClient().pauseContainerCmd(container.getContainerId()).exec();
  }

  @Override
  public void thaw() {
    container.getDockerClient().unpauseContainerCmd(container.getContainerId()).exec();
  }

  @Override
  public void close() {
    container.stop();
  }
}
